"""The portable weights file and its refusals."""

import jax
import numpy as np
import pytest

from configs import alexnet
from siamjax.config import to_json
from siamjax.errors import UserError
from siamjax.models import build, init_variables, weights
from siamjax.models.initialise import shapes


@pytest.fixture
def config():
    c = alexnet.get_config()
    c.model.width = 0.0625
    return c


def test_round_trip(tmp_path, config):
    variables = init_variables(build(config), 1)
    path = tmp_path / "new" / "weights.npz"
    weights.save(path, config, variables, {"note": [1, "two"]})
    loaded, arrays, metadata = weights.load_with_metadata(path)
    assert to_json(loaded) == to_json(config)
    assert metadata == {"note": [1, "two"]}
    jax.tree.map(np.testing.assert_array_equal, arrays, variables)
    assert [p.name for p in path.parent.iterdir()] == ["weights.npz"]
    weights.check_matches(loaded, arrays, path)
    assert len(weights.load(path)) == 2


def test_another_architecture(config):
    variables = init_variables(build(config), 1)
    config.model.width = 0.125
    with pytest.raises(UserError, match=r"a\.npz.*another architecture.*layer1/bn/mean is \(6,\)"):
        weights.check_matches(config, variables, "a.npz")
    del variables["params"]["head"]["level5"]["loc"]
    config.model.width = 0.0625
    with pytest.raises(UserError, match="missing, the network has"):
        weights.check_matches(build(config), variables, "a.npz")
    assert weights.check_matches(config, shapes(build(config)), "a.npz") is None
    right = init_variables(build(config), 1)
    head = right["params"]["head"]["level5"]["cls"]["out"]
    head |= {"bias": np.zeros(1), "more": np.zeros(1)}
    head["kernel"] = np.zeros(1)
    with pytest.raises(UserError, match="the network has none; use the config") as caught:
        weights.check_matches(config, right, "a.npz")  # three faults, named all
    assert str(caught.value).count("the network has") == 3
    del right["params"]["head"]["level5"]["loc"]["out"]["bias"]
    with pytest.raises(UserError, match="and 1 more; use the config"):
        weights.check_matches(config, right, "a.npz")


def test_bad_files(tmp_path, config):
    with pytest.raises(UserError, match="no such weights file"):
        weights.load(tmp_path / "none.npz")
    text = tmp_path / "text.npz"
    text.write_text("no archive")
    with pytest.raises(UserError, match=r"text\.npz: not a siamjax weights file"):
        weights.load(text)
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(UserError, match=r"other\.npz: not a siamjax weights file"):
        weights.load(tmp_path / "other.npz")
    good = tmp_path / "good.npz"
    weights.save(good, config, init_variables(build(config), 1))
    short = tmp_path / "short.npz"
    short.write_bytes(good.read_bytes()[:-2000])
    with pytest.raises(UserError, match=r"short\.npz"):
        weights.load(short)


def test_unwritable_folder(tmp_path, config):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        weights.save(tmp_path / "file" / "a.npz", config, {"params": {}})


def test_half_precision_is_half_the_file_and_float32_again(tmp_path, config):
    variables = init_variables(build(config), 1)
    variables["params"]["backbone"]["layer1"]["conv"]["kernel"][0, 0, 0, 0] = 0.1
    whole, half = tmp_path / "whole.npz", tmp_path / "half.npz"
    weights.save(whole, config, variables)
    weights.save(half, config, variables, half=True)
    _, arrays = weights.load(half)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2**-11, atol=2**-24), arrays, variables
    )
    assert {leaf.dtype for leaf in jax.tree.leaves(arrays)} == {np.dtype(np.float32)}
    assert arrays["params"]["backbone"]["layer1"]["conv"]["kernel"][0, 0, 0, 0] == np.float16(0.1)
    numbers = sum(leaf.nbytes for leaf in jax.tree.leaves(variables))
    saved = whole.stat().st_size - half.stat().st_size
    assert saved == numbers // 2
    variables["params"]["backbone"]["layer1"]["conv"]["kernel"][0, 0, 0, 0] = 1e5
    with pytest.raises(UserError, match="layer1/conv/kernel has numbers too large"):
        weights.save(half, config, variables, half=True)
