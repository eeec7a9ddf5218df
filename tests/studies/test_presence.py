"""`siamjax study presence`: a map that is recovered from made tracks, and the command."""

import json

import cv2
import numpy as np
import pytest

from siamjax import api
from siamjax.cli import dispatch
from siamjax.errors import UserError
from siamjax.models import weights
from siamjax.studies import presence as study
from siamjax.tracking import presence
from siamjax.tracking.presence import Signs


def made(seed, frames=400):
    """A track whose boxes hold the target by a known monotone law of its signs, which remembers,
    and that law."""
    rng = np.random.default_rng(seed)
    signs = np.stack(
        [
            rng.uniform(-2, 9, frames),
            rng.uniform(0, 1, frames),
            rng.exponential(0.2, frames),
            rng.exponential(0.4, frames),
        ]
    )
    truth = (0.0, *[1.2] * 5, *[-1.0] * 5, *[-0.8] * 3, *[0.0] * 2)
    logits, evidence = presence.logit(truth, Signs(*signs)), [presence.START]
    for logit in logits:
        evidence.append(presence.MEMORY * evidence[-1] + (1 - presence.MEMORY) * logit)
    chance = presence.probability(np.array(evidence[1:]))
    held = rng.uniform(size=frames) < chance
    score = 1 / (1 + np.exp(-signs[0]))
    return study.Track(study.smoothed(signs), score, np.where(held, 0.8, 0.05)), chance


def test_the_law_is_recovered():
    tracks, _ = zip(*map(made, range(8)))
    fitted = study.fit(tracks)
    for weight, (low, high) in zip(fitted, presence.limits(), strict=True):
        assert low is None or weight >= low
        assert high is None or weight <= high
    other, chance = made(99, 2000)
    found = study._judged(fitted, other)
    assert np.abs(found - chance).mean() < 0.05
    figures = study._figures([other], [found])
    assert figures["presence"]["calibration_error"] < 0.05
    assert figures["presence"]["auroc"] > figures["score"]["auroc"]
    assert (figures["lost"] + figures["held"], figures["frames"]) == (2000, 2000)


def test_the_share_of_held_frames_can_be_that_of_other_videos():
    tracks, _ = zip(*map(made, range(8)))
    assert study.fit(tracks, np.mean([t.overlap >= 0.5 for t in tracks])) == study.fit(tracks)
    # of the frames that are not held, two in three are taken away: a map for the rest, from all
    rng = np.random.default_rng(5)
    easier = []
    for track in tracks:
        kept = (track.overlap >= 0.5) | (rng.uniform(size=len(track.overlap)) < 1 / 3)
        easier.append(study.Track(track.pieces[:, kept], track.score[kept], track.overlap[kept]))
    held = np.mean([np.mean(track.overlap >= 0.5) for track in easier])
    shifted, plain = study.fit(tracks, held), study.fit(tracks)
    errors = []
    for fitted in (shifted, plain):
        found = [study._judged(fitted, track) for track in easier]
        errors.append(study._figures(easier, found)["presence"]["calibration_error"])
    assert errors[0] < 0.03 < 0.08 < errors[1]


def test_clips_are_judged_by_maps_that_have_not_seen_them():
    tracks, _ = zip(*map(made, range(6)))
    judged = study.crossed(tracks)
    alone = study.fit([tracks[i] for i in (1, 2, 3, 4)])  # without the part of clips 0 and 5
    for i in (0, 5):
        np.testing.assert_array_equal(judged[i], study._judged(alone, tracks[i]))


def test_no_clip_is_more_than_a_quarter_of_the_frames():
    tracks = [made(0, 3000)[0], *(made(seed, 250)[0] for seed in range(1, 5))]
    frames = study._frames(tracks, [track.score for track in tracks])["score"]
    assert len(frames.scores) == 4000 // 4 + 4 * 250
    assert study._frames(tracks[:2], [t.score for t in tracks[:2]])["score"].scores.size == 3250


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Five own videos of a square that moves, for one of them too far."""
    root = tmp_path_factory.mktemp("own")
    rng = np.random.default_rng(0)
    for number in range(5):
        (root / f"v{number}").mkdir()
        patch = rng.integers(0, 256, (20, 24, 3), np.uint8)
        rows = []
        for i in range(12):
            frame = np.full((72, 96, 3), 90, np.uint8)
            x, y = (10 + 3 * i, 20) if number else (5 + 55 * (i % 2), 5 + 40 * (i % 2))
            frame[y : y + 20, x : x + 24] = patch
            cv2.imwrite(str(root / f"v{number}" / f"{i + 1:04d}.png"), frame)
            rows.append(f"{x},{y},24,20\n")
        (root / f"v{number}" / "groundtruth.txt").write_text("".join(rows))
    return root


def test_command_fits_and_keeps_the_map(data, checkpoint, tmp_path, capsys):
    flags = [f"--workdir={tmp_path}", f"--tracker={checkpoint}", f"--data=folder={data}"]
    assert dispatch(["study", "presence", *flags]) is None
    found = json.loads((tmp_path / "presence.json").read_text())
    assert (tmp_path / "table.md").read_text() in capsys.readouterr().out
    config, variables, _ = weights.load_with_metadata(tmp_path / "weights.npz")
    assert list(config.tracker.presence) == found["presence"]
    assert len(found["presence"]) == presence.COUNT
    old = weights.load(checkpoint)
    np.testing.assert_array_equal(
        variables["params"]["head"]["level2"]["cls"]["out"]["bias"],
        old[1]["params"]["head"]["level2"]["cls"]["out"]["bias"],
    )
    assert cv2.imread(str(tmp_path / "reliability.png")).std() > 10
    tracks = sorted(tmp_path.glob("tracks/*.npz"))
    assert len(tracks) == 5
    before = [path.stat().st_mtime_ns for path in tracks]
    assert dispatch(["study", "presence", *flags]) is None
    assert json.loads((tmp_path / "presence.json").read_text()) == found
    assert [path.stat().st_mtime_ns for path in tracks] == before
    # what was noted is what the tracker of the new file answers
    tracked = api.load(tmp_path / "weights.npz")
    clip = study.targets("--data", f"folder={data}")[1]
    track = study.follow(tracked, clip)
    expected = study._judged(config.tracker.presence, track)
    tracked.init(clip.frames[0], np.array(clip.boxes[0]) + [0.5, 0.5, 0, 0])
    answers = [tracked.update(clip.frames[i]) for i in range(1, len(clip))]
    np.testing.assert_allclose([each.presence for each in answers], expected, atol=1e-6)
    np.testing.assert_allclose([each.score for each in answers], track.score, atol=1e-9)


def test_bad_arguments(data, checkpoint, tmp_path):
    for flags, message in (
        (["--tracker=static", f"--data=folder={data}"], "give a checkpoint of siamjax"),
        ([f"--tracker={checkpoint}"], "--data: give folders"),
        ([f"--tracker={checkpoint}", f"--data=folder={data}", "--held=1.2"], "--held=1.2: give"),
        ([f"--tracker={checkpoint}", f"--data=folder={data}", "--test=none"], "--test=none: no"),
    ):
        with pytest.raises(UserError, match=message):
            dispatch(["study", "presence", f"--workdir={tmp_path / 'o'}", *flags])
    assert not (tmp_path / "o").exists()


def test_too_few_clips(data, checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(study, "_tracks", lambda *_: [made(0)[0]] * 3)
    flags = [f"--tracker={checkpoint}", f"--data=folder={data}"]
    with pytest.raises(UserError, match="--data: 3 clips, at least 5 are needed"):
        dispatch(["study", "presence", f"--workdir={tmp_path}", *flags])
