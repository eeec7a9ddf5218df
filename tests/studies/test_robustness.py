"""`siamjax study robustness`: from clips to figures, and again; the views of a clip."""

import dataclasses
import json

import cv2
import numpy as np
import pytest

from siamjax import api
from siamjax.cli import dispatch
from siamjax.datasets import registry
from siamjax.errors import UserError
from siamjax.locks import Lock
from siamjax.studies import displaced, views
from siamjax.studies.views import FULL, QUICK, View

WIDTH, HEIGHT, FRAMES = 96, 72, 20


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """An OTB folder with two targets in 20 frames each, of a patch that moves."""
    root = tmp_path_factory.mktemp("otb") / "OTB100"
    rng = np.random.default_rng(0)
    for number, name in enumerate(("Couple", "Man")):
        (root / name / "img").mkdir(parents=True)
        patch = rng.integers(0, 256, (20, 24, 3), np.uint8)
        ground = cv2.resize(rng.integers(60, 90, (6, 8, 3), np.uint8), (WIDTH, HEIGHT))
        rows = []
        for i in range(FRAMES):
            frame, x, y = ground.copy(), 10 + 3 * i, 20 + number
            frame[y : y + 20, x : x + 24] = patch
            cv2.imwrite(str(root / name / "img" / f"{i + 1:04d}.jpg"), frame)
            rows.append(f"{x + 1},{y + 1},24,20\n")
        (root / name / "groundtruth_rect.txt").write_text("".join(rows))
    return root


@pytest.fixture
def clip(data):
    return registry.load("OTB100", data).sequences[0]


def study(data, out, *arguments):
    flags = [f"--workdir={out}", f"--data={data}", "--workers=0"]
    return dispatch(["study", "robustness", *flags, *arguments])


def test_study_from_nothing_and_again(data, checkpoint, tmp_path, capsys):
    out = tmp_path / "study"
    own = f"--tracker=mine={checkpoint}"
    assert study(data, out, own, "--against=static") is None
    found = json.loads((out / "robustness.json").read_text())
    assert (out / "table.md").read_text() in capsys.readouterr().out
    mine, static = found["trackers"]["mine"], found["trackers"]["static"]
    assert list(mine["targets"]) == ["Couple", "Man"]
    # the patch moves by its width in eight frames: no overlap from then on
    assert static["mean"]["losses"] > 0
    assert 0 < static["mean"]["first_auc"] < 1
    assert static["mean"]["shift"] == pytest.approx(0, abs=1e-9)
    assert static["mean"]["displaced"] is None
    assert 0 <= mine["mean"]["displaced"] <= 1
    assert set(found["difference"]) == {"success_auc", "lost", "losses"}
    gain = mine["mean"]["success_auc"] - static["mean"]["success_auc"]
    assert found["difference"]["success_auc"]["gain"] == pytest.approx(gain)
    assert cv2.imread(str(out / "robustness.png")).std() > 10

    kept = [*out.glob("results/*/*.txt"), *out.glob("displaced/mine/*.json")]
    assert len(kept) == 2 * 2 * len(QUICK) + 2
    before = [path.stat().st_mtime_ns for path in kept]
    assert study(data, out, own, "--against=static") is None
    assert json.loads((out / "robustness.json").read_text()) == found
    assert [path.stat().st_mtime_ns for path in kept] == before


def test_one_owner_and_damaged_counts(data, checkpoint, tmp_path):
    with Lock(tmp_path), pytest.raises(UserError, match=r"in use by process \d+ on .* --workdir"):
        study(data, tmp_path, "--tracker=static")
    path = tmp_path / "a.json"
    for content in ("", "[1", "[]", '{"key": "k"}'):
        path.write_text(content)
        assert displaced.kept(path, "k", lambda: (3, 4)) == 0.75
        assert json.loads(path.read_text()) == {"key": "k", "found": 3, "searches": 4}


def test_all_views(data, tmp_path):
    assert study(data, tmp_path, "--tracker=static", "--full") is None
    found = json.loads((tmp_path / "robustness.json").read_text())
    # 20 frames leave ten from the frames 0, 4 and 8 on
    assert len(list(tmp_path.glob("results/static/*.txt"))) == 2 * 3 * 4
    assert (found["full"], len(found["views"])) == (True, 20)


@pytest.mark.slow
def test_in_lockstep(data, checkpoint, tmp_path):
    own = f"--tracker=mine={checkpoint}"
    alone, together = (tmp_path / name for name in ("alone", "together"))
    assert study(data, alone, own) is None
    assert study(data, together, own, "--batch=4") is None
    first, second = (
        json.loads((out / "robustness.json").read_text())["trackers"]["mine"]["mean"]
        for out in (alone, together)
    )
    assert first["success_auc"] == pytest.approx(second["success_auc"], abs=0.02)
    assert first["displaced"] == second["displaced"]


def test_bad_arguments_write_nothing(data, tmp_path):
    out = tmp_path / "study"
    for place, flag, message in (
        ("", "--full", "--data: give folders"),
        (tmp_path / "none", "--full", "none: no such folder"),
        (f"{data},{data}", "--full", "two clips are called Couple"),
        (data, "--batch=-1", "--batch and --workers: give 0 or more"),
        (data, "--config=demo", "--config=demo: the study robustness trains nothing"),
        (data, "--config.seed=1", "--config.seed=1: the study robustness trains nothing"),
        (data, "--against=bundled", "two trackers are called bundled"),
    ):
        with pytest.raises(UserError, match=message):
            study(place, out, flag)
    assert not out.exists()


def test_views_show_the_same_target(clip):
    def patch(sequence, i):
        x, y, w, h = sequence.boxes[i].astype(int)
        return sequence.frames[i][y : y + h, x : x + w].astype(float)

    found = dict(views.views(clip, FULL))
    assert len(found) == 12
    plain = found[View(False, False, 0)]
    assert [clip.name for clip in found.values()][:2] == ["Couple_plain_0", "Couple_mirrored_0"]
    np.testing.assert_array_equal(plain.frames[4], clip.frames[4])
    np.testing.assert_array_equal(plain.boxes, clip.boxes)
    flipped = found[View(True, False, 0)]
    np.testing.assert_array_equal(patch(flipped, 4)[:, ::-1], patch(plain, 4))
    later = found[View(False, True, 1)]
    assert len(later) == len(clip) - 4
    same, next_one = (
        np.abs(later.frames[1].astype(float) - plain.frames[i]).mean() for i in (5, 6)
    )
    assert 0 < same < next_one / 2


def test_starts_wait_for_a_true_box(clip):
    truth = clip.groundtruth.copy()
    truth[3:7] = np.nan
    changed = dataclasses.replace(clip, groundtruth=truth)
    assert views.starts(changed) == [0, 7, 8]


class Knowing:
    """Finds the target wherever its window lies, up to so many px of the search crop."""

    def __init__(self, tracker, box, reach):
        self._tracker, self._box, self._reach = tracker, box, reach

    def __getattr__(self, name):
        return getattr(self._tracker, name)

    def sibling(self):
        return Knowing(self._tracker.sibling(), self._box, self._reach)

    @property
    def motion(self):
        return self._tracker.motion

    @motion.setter
    def motion(self, motion):
        self._tracker.motion = motion

    def answer(self, search):
        x, y, w, h = self._box
        offset = (np.array([x + w / 2, y + h / 2]) - search.window.centre) * search.window.scale
        assert np.hypot(*offset) == pytest.approx(64)
        if offset[0] > self._reach:
            offset = offset * 0
        return np.r_[offset, np.array([w, h]) * search.window.scale, 1, 1, 0, 0], None


def test_displaced_search_by_hand(clip, checkpoint):
    still = dataclasses.replace(clip, groundtruth=np.tile(clip.boxes[:1], (FRAMES, 1)))
    tracker = api.load(checkpoint)
    assert displaced.share_found(Knowing(tracker, clip.boxes[0], 100), still, 5) == (24, 24)
    # three of the eight windows lie so far to the left that it gives up
    assert displaced.share_found(Knowing(tracker, clip.boxes[0], 30), still, 5) == (15, 24)
