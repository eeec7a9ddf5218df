"""The learning curve of a run, from its kept checkpoints."""

import json
import shutil

import jax
import numpy as np
import pytest

from siamjax import cli, models
from siamjax.errors import UserError
from siamjax.evaluation import curve
from siamjax.training import loop


@pytest.fixture(scope="module")
def run(tiny, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run")
    loop.train(tiny(keep=10), workdir)
    return workdir


def test_curve_has_the_untrained_network_and_every_checkpoint(run, tmp_path, capsys):
    command = ["curve", f"--workdir={run}", "--dataset=synthetic", "--limit=1"]
    command += [f"--out={tmp_path}", "--baselines=static", "--lines=known=0.5"]
    cli.dispatch(command)
    found = json.loads((tmp_path / "curve.json").read_text())
    assert found["measure"] == "success_auc"
    assert [(p["step"], p["pairs"]) for p in found["points"]] == [(0, 0), (4, 8), (8, 16)]
    means = [point["mean"] for point in found["points"]]
    assert [point["mean"] for point in found["points"]] == [
        pytest.approx(sum(p["per_sequence"].values())) for p in found["points"]
    ]
    assert len(set(means)) > 1  # each from weights of its own
    assert list(found["baselines"]) == ["static"]
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out.startswith((tmp_path / "curve.md").read_text())

    results = tmp_path / "results"
    before = {path: path.stat().st_mtime_ns for path in results.rglob("*.txt")}
    cli.dispatch(command)  # again: nothing is tracked anew
    assert {path: path.stat().st_mtime_ns for path in results.rglob("*.txt")} == before


def test_what_cannot_track_is_named_and_the_others_are_drawn(run, tmp_path, capsys, monkeypatch):
    """Before: an untrained network whose output is not finite ended the command, "the weights are
    damaged", and no trained checkpoint was reached; so did a damaged checkpoint."""

    def overflowing(*arguments):
        variables = models.init_variables(arguments[1], 0)
        return jax.tree.map(lambda leaf: np.full(leaf.shape, 1e30, np.float32), variables)

    monkeypatch.setattr(curve, "initial_variables", overflowing)
    broken = shutil.copytree(run, tmp_path / "run")
    meta = broken / "checkpoints" / "4" / "meta" / "metadata"
    meta.write_text(meta.read_text().replace('"step": 4', '"step": 5'))
    out = tmp_path / "out"
    flags = ["--dataset=synthetic", "--limit=1", f"--out={out}", f"--workdir={broken}"]
    untrained = (
        "step 0 (untrained) is left out: the network's output is not finite with the initial"
        " weights\n"
    )
    assert cli.dispatch(["curve", *flags]) == 1
    assert untrained + "step 4 is left out: " in capsys.readouterr().err
    found = json.loads((out / "curve.json").read_text())
    assert [point["step"] for point in found["points"]] == [8]
    assert list(found["left_out"]) == ["step 0 (untrained)", "step 4"]

    shutil.rmtree(broken / "checkpoints" / "4")
    assert cli.dispatch(["curve", *flags]) is None
    assert capsys.readouterr().err.endswith(untrained)
    assert json.loads((out / "curve.json").read_text())["points"] == found["points"]

    shutil.move(broken / "checkpoints" / "8", broken / "checkpoints" / "9")  # another's step
    with pytest.raises(UserError, match="none of the checkpoints"):
        cli.dispatch(["curve", *flags])


def test_table_is_right_by_hand():
    points = [
        {"step": 0, "pairs": 0, "mean": 0.25, "per_sequence": {"a": 0.5, "b": 0.0}},
        {"step": 10, "pairs": 1600, "mean": 0.5, "per_sequence": {"a": 0.6, "b": 0.4}},
    ]
    assert curve.markdown({"points": points}).splitlines() == [
        "| pairs | mean | a | b |",
        "| ---: | ---: | ---: | ---: |",
        "| 0 | 0.250 | 0.500 | 0.000 |",
        "| 1,600 | 0.500 | 0.600 | 0.400 |",
    ]


def test_a_folder_without_checkpoints_and_a_bad_line_are_named(tmp_path):
    with pytest.raises(UserError, match="no checkpoints"):
        curve.checkpoints(tmp_path)
    assert curve.parse_lines("a=0.5,b=1") == {"a": 0.5, "b": 1.0}
    with pytest.raises(UserError, match="NAME=VALUE"):
        curve.parse_lines("a")
