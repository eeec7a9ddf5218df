"""`siamjax study shift`: from nothing to table and pictures, and what it computes on the way."""

import json

import cv2
import numpy as np
import pytest

from siamjax.cli import dispatch
from siamjax.config import load_config
from siamjax.errors import UserError
from siamjax.studies import shift
from siamjax.studies.shift import Placements


@pytest.fixture
def study(experiment, tmp_path):
    """run(arguments) of `siamjax study shift` with a micro network; workdir is `study`."""

    def run(*arguments):
        flags = ["--videos=2", "--workers=0", "--clips=1", "--seeds=1"]
        flags.append(f"--workdir={tmp_path / 'study'}")
        return dispatch(["study", "shift", f"--config={experiment}", *flags, *arguments])

    return run


@pytest.mark.slow
def test_study_from_nothing_and_again(study, tmp_path, capsys, monkeypatch):
    padded = shift.variants
    monkeypatch.setattr(shift, "variants", lambda setting: padded(setting)[:1])
    out = tmp_path / "study" / "shift"
    assert study("--shifts=40") is None
    assert (out / "table.md").read_text() in capsys.readouterr().out
    found = json.loads((out / "study.json").read_text())
    assert list(found["rows"]) == ["40 px"]
    assert found["about"]["pairs"] == 4
    for row in found["rows"].values():
        assert {"auc", "eao", "found_border"} <= row.keys()
        assert all(figure["mean"] >= 0 for figure in row.values())
    trained = [json.loads(p.read_text()) for p in out.parent.glob("runs/*/config.json")]
    assert sorted(config["data"]["search"]["shift"] for config in trained) == [40]
    picture = cv2.imread(str(out / "heatmaps.png"))
    assert picture.shape[0] > 300
    assert picture.std() > 10

    kept = [*out.parent.glob("runs/*/metrics.jsonl"), *out.parent.glob("runs/*/measured/*")]
    before = [(path.stat().st_mtime_ns, path.stat().st_ino) for path in kept]
    assert len(before) == 1 + 3
    (out / "study.json").unlink()
    assert study("--shifts=40") is None
    assert json.loads((out / "study.json").read_text()) == found
    assert [(path.stat().st_mtime_ns, path.stat().st_ino) for path in kept] == before


def test_bad_arguments_write_nothing(study, experiment, tmp_path):
    for flag, message in (
        ("--shifts=0,x", "give whole px"),
        ("--shifts=0,0", "give each shift once"),
        ("--shifts=0,97", r"97 is not within 0\.\.96 px"),
        ("--clips=0", "--clips=0: must be at least 1"),
        ("--shard=2/2", "--shard=2/2: give I/N"),
        ("--dataset=nothing", "no such data set"),
        ("--config.data.search.shft=3", "did you mean --config.data.search.shift"),
    ):
        with pytest.raises(UserError, match=message):
            study(flag)
    experiment.write_text(experiment.read_text().replace('"synthetic"', '"other"'))
    with pytest.raises(UserError, match="elsewhere"):
        study()
    assert not (tmp_path / "study").exists()


def test_targets_are_where_they_are_said_to_be(experiment):
    config = load_config(str(experiment))
    still, moved = (
        list(shift.placed_targets(config, Placements(2, 3, 4, reach))) for reach in (0.0, 96.0)
    )
    offsets = np.concatenate([offset for _, _, offset, _ in moved])
    assert np.abs(offsets).max() <= 96
    assert np.abs(offsets).max(0).min() > 48
    for (_, (image, *_), zero, _), (_, searches, offset, size) in zip(still, moved):
        assert not zero.any()
        half = (size / 2).astype(int).clip(12, 28)
        target = image[127 - half[1] : 128 + half[1], 127 - half[0] : 128 + half[0]]
        for search, place in zip(searches, offset):
            scores = cv2.matchTemplate(search, target, cv2.TM_CCOEFF_NORMED)
            found = np.array(cv2.minMaxLoc(scores)[3]) + half - 127
            np.testing.assert_allclose(found, place, atol=1)


def test_summary_by_hand():
    response = np.full((25, 25), 0.2)
    response[8:17, 8:17] = 0.8  # cells within 32 px of the middle
    offset = np.array([[0, 0], [30, -8], [80, 0], [0, -90], [70, 70.0]])
    best = np.array([[0, 8], [0, 0], [80, 8], [0, 0], [72, 64.0]])
    answer = {
        "response": response,
        "offset": offset,
        "size": np.full((5, 2), 40.0),
        "best": best,
    }
    found = shift.summary(answer, 8)
    assert found["border_response"] == pytest.approx(0.25)
    assert found["found_middle"] == pytest.approx(1 / 2)
    assert found["found_border"] == pytest.approx(2 / 3)
