"""`siamjax convert` and `siamjax inspect` as a user calls them."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from siamjax import api
from siamjax.cli import dispatch
from siamjax.config import difference, load_config
from siamjax.errors import UserError
from siamjax.models import build, init_variables, weights
from siamjax.models.import_torch import to_pysot

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
NARROW = ["--config.model.width=0.0625"]


@pytest.mark.parametrize(
    "name, overrides, totals",
    [
        ("resnet50", [], (53_950_624, 45_528_128, 919_040, 7_503_456, 458)),
        ("resnet50_otb", [], (53_950_618, 45_528_128, 919_040, 7_503_450, 456)),
        ("resnet50_lt", [], (60_018_336, 45_528_128, 1_378_048, 13_112_160, 458)),
        ("mobilenetv2", [], (11_150_446, 3_485_204, 161_792, 7_503_450, 450)),
        ("alexnet", [], (6_251_102, 3_749_952, 0, 2_501_150, 75)),
    ],
)
def test_counts_of_the_published_networks(name, overrides, totals, capsys):
    dispatch(["inspect", f"{CONFIGS}/{name}.py", "--json", *overrides])
    keys = ("total", "backbone", "adjust", "head", "tensors")
    assert json.loads(capsys.readouterr().out) == dict(zip(keys, totals))


@pytest.mark.parametrize(
    "name, overrides, part, count",
    [
        ("resnet18", [], "backbone", 12_552_768),
        ("resnet34", [], "backbone", 22_660_928),
        ("alexnet", ["--config.model.correlation=upchannel"], "head", 18_882_980),
        # by hand, of both branches with 10 and 20 outputs: 3x3 layers of template and search with
        # their normalisations, the first 1x1 layer on one map, the second with its biases
        (
            "alexnet",
            ["--config.model.correlation=cross"],
            "head",
            2 * (2 * (9 * 256**2 + 2 * 256) + 256 + 2 * 256) + 30 * 256 + 30,
        ),
        ("resnet50", ["--config.model.levels=(4,)"], "head", 2_501_150),
        ("resnet50", ["--config.model.levels=(3,)"], "backbone", 13_786_176),
    ],
)
def test_counts_of_parts(name, overrides, part, count, capsys):
    dispatch(["inspect", f"{CONFIGS}/{name}.py", "--json", *overrides])
    assert json.loads(capsys.readouterr().out)[part] == count


def test_inspect_prints_multiply_adds(capsys):
    dispatch(["inspect", f"{CONFIGS}/alexnet.py"])
    lines = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines() if line}
    assert lines["backbone"][1] == "3,749,952"
    assert lines["backbone"][4] == "5.704"
    assert lines["head"][4] == "0.744"
    # 287 px, 11x11 taps at stride 2: 139 cells, pooled to 69
    assert lines["backbone/layer1"][1:3] == ["69x69x96", "4"]
    assert lines["backbone/layer5"][1:3] == ["26x26x256", "8"]
    assert lines["head/level5/cls"][1:3] == ["21x21x10", "8"]


def test_inspect_refuses_unknown_levels():
    with pytest.raises(UserError, match="7 given"):
        dispatch(["inspect", f"{CONFIGS}/resnet18.py", "--config.model.levels=(7,)"])


@pytest.mark.parametrize("legacy", [False, True])
def test_convert_pysot_and_back(tmp_path, legacy, capsys):
    torch = pytest.importorskip("torch")
    config = load_config(f"{CONFIGS}/alexnet.py", NARROW)
    tensors = to_pysot(build(config), init_variables(build(config), 1))
    tensors["backbone.features.1.num_batches_tracked"] = np.array(1011)
    source, middle, back = (tmp_path / name for name in ("a.pth", "a.npz", "b.pth"))
    state = {f"module.{k}": torch.from_numpy(np.array(v)) for k, v in tensors.items()}
    torch.save({"epoch": 3, "state_dict": state}, source, _use_new_zipfile_serialization=not legacy)
    dispatch(
        ["convert", "pysot", str(source), str(middle), f"--config={CONFIGS}/alexnet.py", *NARROW]
    )
    loaded, variables, metadata = weights.load_with_metadata(middle)
    weights.check_matches(loaded, variables, middle)
    assert metadata["source"] == "pysot"
    dispatch(["convert", "to-pysot", str(middle), str(back)])
    again = torch.load(back, weights_only=True)
    assert list(again) == list(tensors)
    for name, array in tensors.items():
        assert np.array_equal(again[name].numpy(), array)
        assert again[name].shape == array.shape


@pytest.mark.slow
@pytest.mark.reference
@pytest.mark.parametrize(
    "name, config",
    [("siamrpn_r50_l234_dwxcorr", "resnet50"), ("siamrpn_alex_dwxcorr", "alexnet")],
)
def test_convert_of_whole_networks_and_back(name, config, reference, tmp_path):
    torch = pytest.importorskip("torch")
    source, middle, back = (tmp_path / file for file in ("a.pth", "a.npz", "b.pth"))
    script = reference / "conformance" / "weights.py"
    subprocess.run([sys.executable, script, name, source], check=True)
    dispatch(["convert", "pysot", str(source), str(middle), f"--config={CONFIGS}/{config}.py"])
    dispatch(["convert", "to-pysot", str(middle), str(back)])
    tensors, again = (torch.load(path, weights_only=True) for path in (source, back))
    assert list(again) == list(tensors)
    for key, tensor in tensors.items():
        assert again[key].dtype == tensor.dtype, key
        assert again[key].shape == tensor.shape, key
        assert torch.equal(again[key], tensor), key
    print(
        f"\n{name}: {len(again)} tensors, {sum(t.numel() for t in again.values()):,} numbers equal"
    )


@pytest.mark.parametrize("source", ["pysot", "pysot-backbone", "torchvision", "to-pysot"])
def test_a_missing_file_is_named_before_what_it_would_need(tmp_path, source):
    """Before: PyTorch, or the flag --config, was asked for."""
    with pytest.raises(UserError, match=r"^nothing\.pth: no such file$"):
        dispatch(["convert", source, "nothing.pth", str(tmp_path / "out")])


def test_convert_refuses_what_does_not_fit(tmp_path):
    torch = pytest.importorskip("torch")
    source, out = tmp_path / "a.pth", tmp_path / "out.npz"
    command = ["convert", "pysot", str(source), str(out), f"--config={CONFIGS}/alexnet.py", *NARROW]
    with pytest.raises(UserError, match="no such file"):
        dispatch(command)
    source.write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match="not a PyTorch checkpoint"):
        dispatch(command)
    torch.save({"state_dict": {"a": torch.zeros(2)}}, source)
    with pytest.raises(UserError, match="1 unknown tensors: a"):
        dispatch(command)
    torch.save({"a": 3}, source)
    with pytest.raises(UserError, match="a are no tensors"):
        dispatch(command)
    with pytest.raises(UserError, match="give the network"):
        dispatch(command[:4])
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.reference
def test_convert_mobilenetv2(reference, tmp_path):
    source = reference / "data" / "weights" / "mobilenetv2_imagenet.npz"
    out = tmp_path / "out.npz"
    command = [
        "convert",
        "mobilenetv2",
        str(source),
        str(out),
        f"--config={CONFIGS}/mobilenetv2.py",
    ]
    with pytest.raises(UserError, match=r"width=1\.0 alone"):
        dispatch(command)
    assert not out.exists()
    dispatch([*command, "--config.model.width=1.0"])
    config, variables = weights.load(out)
    assert config.model.width == 1.0
    with np.load(source) as file:
        kernel = file["block16.project.w"]
    ours = variables["params"]["backbone"]["layer7"]["block0"]["project_conv"]["kernel"]
    np.testing.assert_array_equal(ours[0, 0], kernel[:, :, 0, 0].T)


def test_convert_changes_a_field_of_the_stored_config(tmp_path):
    """Before: `siamjax convert siamjax x.npz long.npz --config.tracker.long_term=True` left the
    field out, and said nothing."""
    out = tmp_path / "long.npz"
    convert = ["convert", "siamjax", "bundled", str(out)]
    with pytest.raises(UserError, match="longterm: no such field; did you mean"):
        dispatch([*convert, "--config.tracker.longterm=True"])
    dispatch([*convert, "--config.tracker.long_term=True"])
    stored, made = api.load_variables("bundled")[0], weights.load(out)[0]
    assert difference(stored, made) == ["tracker.long_term: False -> True"]


def test_convert_siamjax_stores_another_config_and_halves(tmp_path):
    config = load_config(f"{CONFIGS}/alexnet.py", [*NARROW, "--config.name=private"])
    source, out = tmp_path / "a.npz", tmp_path / "b.npz"
    weights.save(source, config, init_variables(build(config), 1), {"note": "kept"})
    dispatch(["convert", "siamjax", str(source), str(out), "--half"])
    loaded, _, metadata = weights.load_with_metadata(out)
    assert (loaded.name, metadata) == ("private", {"note": "kept"})
    with np.load(out) as file:
        stored = {array.dtype for name, array in file.items() if name.startswith("params/")}
    assert stored == {np.dtype(np.float16)}
    command = ["convert", "siamjax", str(source), str(out), f"--config={CONFIGS}/alexnet.py"]
    dispatch([*command, *NARROW, "--config.tracker.lr=0.2"])
    loaded, _ = weights.load(out)
    assert (loaded.name, loaded.tracker.lr) == ("siamrpn_alex", 0.2)
    with pytest.raises(UserError, match="another architecture"):
        dispatch(command)
    with pytest.raises(UserError, match="--half"):
        dispatch(["convert", "to-pysot", str(source), str(tmp_path / "c.pth"), "--half"])
