import dataclasses
import json

import numpy as np
import pytest

from siamjax import compile_cache, constants
from siamjax.datasets import registry
from siamjax.datasets.results import Store
from siamjax.errors import UserError
from siamjax.evaluation import protocols, runner, search, trackers
from siamjax.evaluation.lockstep import Lockstep, _rounded_up
from siamjax.locks import Lock
from siamjax.measures import ope
from siamjax.tracking import Tracker
from siamjax.tracking.tracker import Motion

GRID = search.Grid(penalty_k=(0.05, 0.3), window_influence=(0.3, 0.5), lr=(0.2, 0.5))


def session(config, variables, **constants):
    config = config.copy_and_resolve_references()
    with config.unlocked():
        config.tracker.update(constants)
    return Tracker(config, variables)


@pytest.fixture(scope="module")
def tracks(tiny, clips):
    lockstep = Lockstep(*tiny)
    return lockstep, [lockstep.track(s, GRID.settings()) for s in clips.sequences]


def test_every_setting_follows_its_own_single_run(tiny, clips, tracks):
    _, found = tracks
    for k in (0, 3, 6):
        constants = dict(zip(search.NAMES, GRID.settings()[k].tolist(), strict=True))
        tracker = session(*tiny, **constants)
        for sequence, boxes in zip(clips.sequences, found, strict=True):
            run = protocols.one_pass(tracker, sequence)
            np.testing.assert_allclose(boxes[k], run.regions, atol=1e-2)


def test_long_term_settings_follow_their_own_single_runs(tiny, clips):
    """A setting that gets lost in a frame is not searched in the large region of the same frame."""
    config = tiny.config.copy_and_resolve_references().unlock()
    limits = {"confidence_low": 0.6, "confidence_high": 0.62, "lost_instance": 415}
    config.tracker.update(long_term=True, **limits)
    sequence = clips.sequences[0]
    boxes = Lockstep(config, tiny.variables).track(sequence, GRID.settings()[[0, 6]])
    lost = set()
    for setting, found in zip(GRID.settings()[[0, 6]].tolist(), boxes, strict=True):
        tracker = session(config, tiny.variables, **dict(zip(search.NAMES, setting)))
        tracker.init(sequence.frames[0], found[0])
        for i in range(1, len(sequence)):
            prediction = tracker.update(sequence.frames[i])
            np.testing.assert_allclose(found[i], prediction.box, atol=1e-2)
            lost.add(prediction.lost)
    assert lost == {False, True}


def test_settings_with_the_same_window_share_the_network(tracks):
    lockstep, _ = tracks
    frames = 9 + 7
    assert lockstep.windows_asked == frames * 8
    assert lockstep.windows_answered < lockstep.windows_asked


def test_snapped_windows_are_shared_by_more_settings_and_stay_close(tiny, clips, tracks):
    exact, found = tracks
    snapped = Lockstep(*tiny, snap=True)
    coarse = [snapped.track(s, GRID.settings()) for s in clips.sequences]
    assert snapped.windows_asked == exact.windows_asked
    assert snapped.windows_answered < exact.windows_answered
    settings = snapped.constants.settings()
    for centre in ((40.2, 31.7), (41.0, 31.0)):
        window = snapped._window(settings, motion_at(centre))
        assert window.scale == 255 / window.side
        np.testing.assert_array_equal(window.centre % max(1, round(window.side / 32)), 0)
    for a, b in zip(coarse, found, strict=True):
        np.testing.assert_array_equal(a[:, 0], b[:, 0])
        assert np.isfinite(a).all()


def motion_at(centre):
    return Motion(np.array(centre), np.array([20.0, 14.0]), np.bool_(False), np.float64(2))


def test_search_writes_and_resumes(tiny, clips, tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(compile_cache, "enable", lambda: kept.append(1))
    found = search.search(clips, *tiny, tmp_path, GRID, "weights", progress=False)
    assert kept  # before: its programs were compiled in every call
    scores = np.array(found["scores"])
    assert scores.shape == GRID.shape
    assert [row["score"] for row in found["finalists"]].count(found["best"]["score"]) >= 1
    assert found["best"]["score"] == max(row["score"] for row in found["finalists"])
    assert len(found["finalists"]) == search.FINALISTS
    assert found["sequences"] == [2, 16]
    assert json.loads((tmp_path / "search.json").read_text()) == found
    config, tracker = (tmp_path / "best.txt").read_text().splitlines()
    assert config.startswith("--config.tracker.penalty_k=")
    name, text = tracker.split("=", 1)
    assert name == "--set"
    parsed = constants.parse([text])
    assert parsed == {name: found["best"][name] for name in search.NAMES}
    assert (tmp_path / "heatmap.png").read_bytes().startswith(b"\x89PNG")
    # a second call computes the missing sequence alone and finds the same
    first, second = (tmp_path / "sequences" / f"{s.name}.json" for s in clips.sequences)
    second.unlink()
    stamp = first.stat().st_mtime_ns
    assert search.search(clips, *tiny, tmp_path, GRID, "weights", progress=False) == found
    assert first.stat().st_mtime_ns == stamp
    for grid, identity in ((GRID, "others"), (search.Grid(), "weights")):
        with pytest.raises(UserError, match="another grid or checkpoint"):
            search.search(clips, *tiny, tmp_path, grid, identity, progress=False)
    with pytest.raises(UserError, match="another grid or checkpoint"):
        search.search(clips, *tiny, tmp_path, GRID, "weights", exact=True, progress=False)


def test_a_search_has_one_owner_and_names_damage(tiny, clips, tmp_path):
    """Before: an empty file of scores was a JSONDecodeError."""
    with Lock(tmp_path), pytest.raises(UserError, match=r"in use by process \d+ on .* --out"):
        search.search(clips, *tiny, tmp_path, GRID, progress=False)
    path = tmp_path / "sequences" / f"{clips.sequences[0].name}.json"
    path.parent.mkdir()
    for content in ("", "[]", '{"key": 1}', '{"key": 1, "success_auc": ["a"]}'):
        path.write_text(content)
        with pytest.raises(UserError, match=rf"{path.name}: damaged \(.*\); delete it and run"):
            search.search(clips, *tiny, tmp_path, GRID, progress=False)
    assert not (tmp_path / ".lock").exists()


def test_exact_search(tiny, clips, tmp_path, tracks):
    found = search.search(clips, *tiny, tmp_path, GRID, exact=True, progress=False)
    scores = np.array(found["scores"])
    expected = [
        [ope.summary(ope.of_run(sequence, track))["success_auc"] for track in boxes]
        for sequence, boxes in zip(clips.sequences, tracks[1], strict=True)
    ]
    np.testing.assert_allclose(scores.reshape(-1), np.mean(expected, 0), atol=1e-6)
    assert found["best"]["score"] == scores.max()
    assert found["finalists"] == []


def test_the_default_grid_has_60_settings():
    assert search.Grid().settings().shape == (60, 3)


def test_a_test_benchmark_is_refused(tiny, clips, tmp_path):
    test = dataclasses.replace(clips, dataset=registry.get("OTB100"))
    with pytest.raises(UserError, match="OTB100 is a test benchmark"):
        search.search(test, *tiny, tmp_path, GRID, progress=False)
    assert not list(tmp_path.iterdir())


def test_batches_size():
    assert [_rounded_up(n) for n in (1, 2, 3, 5, 7, 9, 13, 60)] == [
        1,
        2,
        3,
        6,
        8,
        12,
        16,
        64,
    ]


# --- sequences in lockstep


def test_batched_scores_equal_one_by_one(clips, checkpoint, tmp_path):
    one, _ = trackers.run_trackers(clips, tmp_path / "one", checkpoint)
    two, _ = trackers.run_trackers(clips, tmp_path / "two", checkpoint, batch=2)
    for sequence in clips.sequences:
        a, b = (
            Store(tmp_path / name / "results", clips.dataset).read("siamjax", sequence)[0].regions
            for name in ("one", "two")
        )
        np.testing.assert_allclose(a, b, atol=0.02)
    for measure, value in one.trackers["siamjax"].items():
        if "fps" not in measure:
            assert two.trackers["siamjax"][measure] == pytest.approx(value, abs=1e-3)


def test_lockstep_is_refused_where_trackers_start_again(clips, checkpoint, tmp_path):
    changed = runner.with_protocol(clips, "supervised")
    with pytest.raises(UserError, match="cannot run in lockstep"):
        trackers.run_trackers(changed, tmp_path, checkpoint, batch=2)


def test_two_checkpoints_are_not_mixed(clips, checkpoint, tmp_path):
    trackers.run_trackers(clips, tmp_path, checkpoint)
    with pytest.raises(UserError, match="results of another checkpoint"):
        trackers.run_trackers(clips, tmp_path, checkpoint, constants={"lr": 0.1})
