"""The portable weights file and its refusals."""

import io
import json
import struct
import warnings
import zipfile

import jax
import numpy as np
import pytest

from configs import alexnet
from siamjax import npz
from siamjax.config import load_config, to_json
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


@pytest.mark.parametrize("half", [False, True])
def test_what_load_refuses_is_not_written(half, tmp_path, config):
    """Before: `convert` of a checkpoint with NaN wrote a file that `load` refused."""
    variables = {"params": {"head": {"bias": np.array([1, np.nan], np.float32)}}}
    path = tmp_path / "weights.npz"
    with pytest.raises(UserError, match=r"weights\.npz: not written: params/head/bias has numbers"):
        weights.save(path, config, variables, half=half)
    assert list(tmp_path.iterdir()) == []


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


def written(path, config, changes):
    """A weights file with other members; None: without it."""
    weights.save(path, config, init_variables(build(config), 1))
    with np.load(path) as file:
        members = {**file, **changes}
    np.savez(path, **{name: array for name, array in members.items() if array is not None})
    return path


def head_of(shape, dtype="<f4"):
    head = io.BytesIO()
    fields = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(head, fields)
    return head.getvalue()


def changed(config, section, field, value):
    tree = json.loads(to_json(config))
    tree[section][field] = value
    return np.array(json.dumps(tree))


@pytest.mark.parametrize(
    "changes, message",
    [
        (lambda c: {"config": changed(c, "model", "blocks", [10**9] * 4)}, "model.blocks="),
        (lambda c: {"config": changed(c, "anchors", "stride", 0)}, "anchors.stride=0"),
        (lambda c: {"config": changed(c, "anchors", "ratios", [1])}, "another architecture"),
        (lambda c: {"config": changed(c, "model", "backbone", "vgg")}, "model.backbone='vgg'"),
        (lambda c: {"config": None}, "its config is none of siamjax's: there is none"),
        (lambda c: {"metadata": np.array("[")}, "its metadata are no JSON object"),
        (lambda c: {"metadata": None}, "its metadata are no JSON object"),
        (lambda c: {"format": np.array("siamjax weights 9")}, "not a siamjax weights file"),
        (lambda c: {NAME: np.zeros(6, np.int64)}, "is int64, weights are float32"),
        (lambda c: {NAME: np.full(6, np.nan, np.float32)}, "numbers that are not finite"),
        (lambda c: {NAME: np.full(6, 1e300)}, "numbers that are not finite"),
        (lambda c: {NAME: np.array(["a"])}, "is <U1, weights are float32"),
        (lambda c: {NAME + "/inner": np.zeros(1)}, "no names of a network's"),
        (lambda c: {"a/" * 5000 + "a": np.zeros(1)}, "not a siamjax weights file"),
        (lambda c: {"a/" * 20 + "a": np.zeros(1)}, "no names of a network's"),
    ],
)
def test_what_a_strange_file_holds_is_one_line_before_anything_is_built(
    tmp_path, config, changes, message
):
    """Before, `siamjax.load` of such files gave: blocks of 1e9 no answer within 25 s; a stride of 0
    a ZeroDivisionError; no config a KeyError; NaN and integers a tracker."""
    path = written(tmp_path / "strange.npz", config, changes(config))
    with pytest.raises(UserError) as caught:
        weights.check_matches(*weights.load(path), path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_config_of_layers_without_channels():
    """Before: ZeroDivisionError."""
    narrow = load_config("mobilenetv2", ["--config.model.width=0.02"])
    with pytest.raises(UserError, match=r"^a: backbone/layer0/conv: no channels are left"):
        weights.check_matches(narrow, {}, "a")


NAME = "params/backbone/layer1/bn/bias"


def test_float64_and_files_of_compressed_members_are_read(tmp_path, config):
    path = written(tmp_path / "wide.npz", config, {NAME: np.full(6, 0.5)})
    with np.load(path) as file:
        np.savez_compressed(tmp_path / "packed.npz", **file)
    for name in ("wide", "packed"):
        bias = weights.load(tmp_path / f"{name}.npz")[1]["params"]["backbone"]["layer1"]["bn"]
        assert (bias["bias"] == np.float32(0.5)).all()
        assert bias["bias"].dtype == np.float32


def test_orders_and_types_of_arrays(tmp_path):
    arrays = {
        "rows": np.arange(6.0).reshape(2, 3),
        "columns": np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3)),
        "text": np.array("äö"),
        "flags": np.array([True, False]),
        "none": np.empty((0, 4), np.float32),
        "one": np.float16(2),
    }
    np.savez(tmp_path / "a.npz", **arrays)
    for name, array in npz.read(tmp_path / "a.npz").items():
        np.testing.assert_array_equal(array, arrays[name], strict=True)


@pytest.mark.parametrize(
    "member, message",
    [
        (head_of((100 << 28,)) + bytes(64), "is not float32 of shape"),  # 100 GiB
        (head_of((-1,)), "is not float32 of shape"),
        (head_of((2,), "|O") + bytes(16), "is not object of shape"),
        (head_of((2,), "|V8") + bytes(16), "is not |V8 of shape"),
        (b"\x93NUMPY\x09\x00", "another version"),
        (b"no array", "magic string"),
    ],
)
def test_a_member_that_claims_what_it_is_not(tmp_path, member, message):
    """Before: a member of 100 GiB gave a MemoryError."""
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        file.writestr("a.npy", member)
    with pytest.raises(UserError) as caught:
        npz.read(tmp_path / "a.npz")
    assert message in str(caught.value)


def test_sizes_are_compared_before_anything_is_unpacked(tmp_path):
    bomb = tmp_path / "bomb.npz"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.npy", head_of((1 << 23,)) + bytes(1 << 25))
    assert bomb.stat().st_size < 1 << 19
    with pytest.raises(UserError, match=r"claim 33,554,\d+ bytes, the file has"):
        npz.read(bomb)
    twice = tmp_path / "twice.npz"
    with zipfile.ZipFile(twice, "w") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file.writestr("a.npy", head_of((1,)) + bytes(4))
        file.writestr("a.npy", head_of((1,)) + bytes(4))
    with pytest.raises(UserError, match="members of one name"):
        npz.read(twice)
    one = tmp_path / "one.npz"
    np.savez(one, a=np.zeros(100_000, np.float32))
    data = one.read_bytes()
    place = data.rindex(b"PK\x01\x02") + 20  # the sizes in the directory
    one.write_bytes(data[:place] + struct.pack("<I", 1 << 30) + data[place + 4 :])
    with pytest.raises(UserError, match="larger than the file"):
        npz.read(one)
    with pytest.raises(UserError, match="no such file"):
        npz.read(tmp_path / "none.npz")
    with pytest.raises(UserError, match=r"not an \.npz file"):
        npz.read(tmp_path)
