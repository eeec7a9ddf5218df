"""`siamjax track` with any tracker."""

import csv
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from siamjax import cli
from siamjax.errors import UserError

TRACKERS = '''\
class Moves:
    """3 px to the right in each frame; a score from the second one on."""

    def init(self, frame, box):
        self.box, self.at = box, 0

    def update(self, frame):
        self.at += 1
        x, y, w, h = self.box
        self.box = x + 3, y, w, h
        return self.box


class Fails(Moves):
    def update(self, frame):
        return super().update(frame) if self.at < 2 else None


class NoStart(Moves):
    def init(self, frame, box):
        raise ValueError("too small")
'''


@pytest.fixture
def clip(tmp_path, monkeypatch):
    """A folder of six frames; the user's file of trackers lies in the current folder."""
    (tmp_path / "those.py").write_text(TRACKERS)
    (tmp_path / "clip").mkdir()
    for i in range(6):
        frame = np.full((60, 90, 3), 40, np.uint8)
        frame[20:40, 10 + 3 * i : 30 + 3 * i] = (30, 200, 90)
        frame[20:25, 10 + 3 * i : 15 + 3 * i] = 0
        cv2.imwrite(str(tmp_path / "clip" / f"{i}.png"), frame)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "clip"
    sys.modules.pop("those", None)


def rows():
    with open("out.csv") as file:
        return list(csv.DictReader(file))


def track(*flags):
    return cli.dispatch(["track", "clip", "--box=10,20,20,20", "--csv=out.csv", *flags])


def test_an_own_tracker_follows_several_targets(clip):
    assert track("--tracker=those:Moves", "--add=2:5,6,7,8") is None
    found = [(int(r["frame"]), float(r["x"]), float(r["y"]), float(r["score"])) for r in rows()]
    first = [(i, 10.0 + 3 * i, 20.0, 1.0) for i in range(6)]
    second = [(i, 5.0 + 3 * (i - 2), 6.0, 1.0) for i in range(2, 6)]
    assert sorted(found) == sorted(first + second)


def test_a_built_in_tracker(clip):
    assert track("--tracker=template_matching") is None
    assert [float(row["x"]) for row in rows()] == [10.0 + 3 * i for i in range(6)]


def test_a_tracker_that_fails_keeps_what_was_found_before(clip, capsys):
    assert track("--tracker=those:Fails") == 1
    assert [float(row["x"]) for row in rows()] == [10.0, 13.0, 16.0]
    assert (
        "Fails failed 3 frames after its start: the answer None is no box of four finite numbers"
        " x, y, w, h; what was found before is kept" in capsys.readouterr().err
    )
    with pytest.raises(UserError, match=r"NoStart failed at its start: ValueError: too small \("):
        track("--tracker=those:NoStart")


def test_a_checkpoint_and_constants(clip, checkpoint):
    assert track(f"--checkpoint={checkpoint}", "--set=lr=0.2", "--frames=3") is None
    before = rows()
    assert track(f"--tracker={checkpoint}[lr=0.2]", "--frames=3") is None
    assert rows() == before


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--tracker=static", "--set=lr=0.2"], "--set lr: has no effect on static"),
        (["--tracker=static", "--tracker=mil"], "--tracker: give one tracker"),
        (["--tracker=static", "--checkpoint=x.npz"], "--tracker: give one tracker"),
        (["--tracker=static", "--resume"], "--resume: only for siamjax's own tracker"),
        (["--tracker=static", "--heatmap"], "--heatmap: only for siamjax's own tracker"),
        (["--tracker=lr=0.2"], "constants are given by --set lr=0.2"),
        (["--tracker=statik"], "did you mean static"),
    ],
)
def test_what_does_not_go_together(clip, flags, message):
    with pytest.raises(UserError, match=message):
        track(*flags)
    assert sorted(p.name for p in Path().iterdir() if p.name != "__pycache__") == [
        "clip",
        "those.py",
    ]
