"""Fits the map of presence of a checkpoint: from what an answer looks like to the probability that
its box holds the target.

The tracker follows labelled clips that it was not trained on, and each frame gives the four signs
of `siamjax.tracking.presence` and whether the overlap was at least 0.5. The pieces of the signs are
smoothed over the frames as the tracker smooths their sum, so that the map is fitted to what it will
say, calibrated and judged as that. Weights are those of the largest likelihood among the monotone
maps, with a small ridge; each clip counts the same, so that no long clip decides. How sure a map
may be depends on how hard the videos are; where other ones than the clips are meant, their share of
held frames takes the place of the clips' own (a shift of priors, Saerens et al. 2002). Reliability
diagram and calibration error follow Guo et al. 2017 (`siamjax.measures.calibration`). No network is
trained.
"""

import argparse
import dataclasses
import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import scipy.optimize
from tqdm import tqdm

from siamjax import api
from siamjax.datasets.sequence import Sequence as Clip
from siamjax.errors import UserError
from siamjax.evaluation.protocols import start_box
from siamjax.evaluation.specs import Spec
from siamjax.files import write_whole
from siamjax.measures import calibration, robustness
from siamjax.models import weights
from siamjax.npz import read
from siamjax.studies import kept, presence_page
from siamjax.studies.given import checkpoint, targets
from siamjax.studies.views import View, starts, views
from siamjax.tracking import decode, presence
from siamjax.tracking.presence import Signs
from siamjax.tracking.session import Tracker

VIEWS = (View(False, False, 0), View(True, True, 2))
RIDGE = 1e-3  # on the squares of the weights, against the mean loss of a frame
FOLDS = 5  # parts of the clips, each judged by a map fitted on the others


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is to be fitted.

    Attributes:
        spec: the checkpoint's tracker.
        clips: to fit on.
        unseen: to judge once; may be empty.
        held: share of the frames that hold their target where the map is for, 0..1; 0: that of the
            clips.
    """

    spec: Spec
    clips: list[Clip]
    unseen: list[Clip]
    held: float


@dataclasses.dataclass(frozen=True)
class Track:
    """The frames of one run after its first; of several runs, one after the other.

    Attributes:
        pieces: (P, N) of `smoothed`, P the map's count of weights.
        score: (N,) 0..1.
        overlap: (N,) with the true box; NaN where there is none.
    """

    pieces: np.ndarray
    score: np.ndarray
    overlap: np.ndarray


def plan(args: argparse.Namespace) -> Plan:
    """The checkpoint and the clips that the flags name.

    Raises:
        UserError: no such tracker, one that is not siamjax's, no such folder, a share outside 0..1.
    """
    if not 0 <= args.held < 1:
        raise UserError(f"--held={args.held}: give a share of the frames, below 1")
    spec = checkpoint(args.tracker)
    unseen = targets("--test", args.test) if args.test else []
    return Plan(spec, targets("--data", args.data), unseen, args.held)


def run(workdir: str | Path, plan: Plan) -> dict[str, Any]:
    """Follows the clips, fits, judges, writes the weights with the map.

    What is done is skipped, so a second call resumes where the first one stopped. Writes to
    `workdir`: tracks/, `weights.npz`, `presence.json`, `table.md`, `reliability.png`.

    Returns:
        What presence.json holds.

    Raises:
        UserError: too few clips, or none in which the box left the target.
    """
    workdir = Path(workdir)
    make = functools.cache(lambda: cast(Tracker, plan.spec.make()))
    own, unseen = (
        _tracks(workdir / "tracks", plan.spec, make, clips) for clips in (plan.clips, plan.unseen)
    )
    if len(own) < FOLDS or not any((each.overlap < robustness.HELD).any() for each in own):
        raise UserError(
            f"--data: {len(own)} clips, at least {FOLDS} are needed, and frames in which the box"
            " leaves its target; give more clips, or harder ones"
        )
    fitted = fit(own, plan.held)
    parts = {"clips, by maps fitted on others": (own, crossed(own, plan.held))}
    if unseen:
        parts["test clips"] = (unseen, [_judged(fitted, each) for each in unseen])
    judged = {name: _figures(*part) for name, part in parts.items()}
    result = {
        "finished": True,
        "tracker": plan.spec.identity,
        "presence": list(fitted),
        "clips": len(own),
        "held": plan.held,
        "judged": judged,
    }
    saved, variables = api.load_variables(plan.spec.checkpoint, plan.spec.constants)
    with saved.unlocked():
        saved.tracker.presence = fitted
    path = Path(str(plan.spec.checkpoint))
    metadata = weights.load_with_metadata(path)[2] if path.is_file() else {}
    weights.save(workdir / "weights.npz", saved, variables, metadata, half=_is_half(path))
    write_whole(workdir / "presence.json", json.dumps(result, indent=1) + "\n")
    write_whole(workdir / "table.md", presence_page.table(judged))
    drawn = {name: _frames(*part) for name, part in parts.items()}
    presence_page.draw(workdir / "reliability.png", drawn)
    return result


def _is_half(path: Path) -> bool:
    """Whether a weights file stores half precision."""
    return path.is_file() and any(array.dtype == np.float16 for array in read(path).values())


def _tracks(
    folder: Path, spec: Spec, make: Callable[[], Tracker], clips: Sequence[Clip]
) -> list[Track]:
    """Of all clips, from files where they stand already; both views of a clip are one track."""
    found = []
    names = [field.name for field in dataclasses.fields(Track)]
    clips = [clip for clip in clips if starts(clip)]  # others are too short
    for clip in tqdm(clips, "tracks", unit="clip", disable=not clips):
        path = folder / f"{clip.name}.npz"
        key = f"{spec.identity} {len(clip)} memory {presence.MEMORY}"
        saved = kept.arrays(path, key, names, functools.partial(_track, make, clip))
        found.append(Track(*(saved[name] for name in names)))
    return found


def _track(make: Callable[[], Tracker], clip: Clip) -> dict[str, np.ndarray]:
    """The arrays of a `Track`, of both views."""
    each = [vars(follow(make(), view)) for _, view in views(clip, VIEWS)]
    return {name: np.concatenate([track[name] for track in each], -1) for name in each[0]}


def follow(tracker: Tracker, clip: Clip) -> Track:
    """Follows a clip from its first box and notes what each frame looks like.

    Args:
        tracker: of siamjax; it forgets its target.
        clip: with a true box in its first frame.
    """
    tracker.init(clip.frames[0], start_box(tracker, clip.boxes[0]))
    rows, scores, boxes = [], [], [clip.boxes[0]]
    for i in range(1, len(clip)):
        search = tracker.search(clip.frames[i])
        values, response = tracker.answer(search)
        candidate = decode.unpack(np.asarray(values))
        lost = tracker.motion is not None and bool(tracker.motion.lost)
        rows.append(presence.signs(candidate, search.target.astype(np.float64), lost))
        scores.append(float(candidate.score))
        boxes.append(np.asarray(tracker.advance(search, values, response).box))
    overlap = robustness.overlaps(clip.boxes, np.array(boxes, np.float64))[1:]
    return Track(smoothed(np.array(rows, np.float64).T), np.array(scores), overlap)


def smoothed(signs: np.ndarray) -> np.ndarray:
    """The pieces (P, N) of the signs (4, N) of a run's frames after its first, each the running
    mean of `presence.remember` that begins at 0."""
    now = np.stack(presence.pieces(Signs(*signs)))
    mean = np.zeros(len(now))
    return np.stack([mean := presence.remember(mean, each) for each in now.T], 1)


def evidence(weights: Sequence[float] | np.ndarray, pieces: np.ndarray) -> np.ndarray:
    """The tracker's evidence (N,) in frames with the pieces (P, N) of `smoothed`.

    The constant's piece tells how much of the mean comes from the frames; the rest is the start's.
    """
    return np.asarray(weights) @ pieces + presence.START * (1 - pieces[0])


def fit(tracks: Sequence[Track], held: float = 0) -> tuple[float, ...]:
    """The weights of `siamjax.tracking.presence` that explain best which frames hold the target.

    Args:
        tracks: each counts the same.
        held: as `Plan.held`.
    """
    features, good, share = [], [], []
    for track in tracks:
        known = np.isfinite(track.overlap)
        if known.any():
            features.append(track.pieces[:, known])
            good.append(track.overlap[known] >= robustness.HELD)
            share.append(np.full(known.sum(), 1 / known.sum()))
    x = np.concatenate(features, 1)
    y, weight = map(np.concatenate, (good, share))
    weight = weight / weight.sum()
    own = weight[y].sum()
    if held and 0 < own < 1:
        weight = weight * np.where(y, held / own, (1 - held) / (1 - own))

    def loss(weights):
        logit = evidence(weights, x)
        penalty = RIDGE * (weights[1:] ** 2).sum()
        value = (weight * np.logaddexp(0, np.where(y, -logit, logit))).sum() + penalty
        wrong = weight * (1 / (1 + np.exp(-np.clip(logit, -50, 50))) - y)
        slope = x @ wrong
        slope[1:] += 2 * RIDGE * weights[1:]
        return value, slope

    start = np.zeros(presence.COUNT)
    found = scipy.optimize.minimize(
        loss, start, jac=True, bounds=presence.limits(), method="L-BFGS-B"
    )
    return tuple(round(float(value), 4) + 0.0 for value in found.x)


def crossed(tracks: Sequence[Track], held: float = 0) -> list[np.ndarray]:
    """Presence in the frames of each track by a map fitted without its part of the clips."""
    others = ([track for i, track in enumerate(tracks) if i % FOLDS != k] for k in range(FOLDS))
    maps = [fit(each, held) for each in others]
    return [_judged(maps[i % FOLDS], track) for i, track in enumerate(tracks)]


def _judged(fitted: tuple[float, ...], track: Track) -> np.ndarray:
    return presence.probability(evidence(fitted, track.pieces))


Judged = dict[str, calibration.Frames]  # "score" and "presence"


def _frames(tracks: Sequence[Track], presences: Sequence[np.ndarray]) -> Judged:
    """All frames with a true box, for both judgements; no clip gives more than a quarter of them:
    of longer ones, frames evenly spaced."""
    counts = [int(np.isfinite(track.overlap).sum()) for track in tracks]
    most = max(sum(counts) // 4, 1)
    parts: dict[str, list[np.ndarray]] = {"overlap": [], "score": [], "presence": []}
    for track, found, count in zip(tracks, presences, counts, strict=True):
        places = np.flatnonzero(np.isfinite(track.overlap))
        if count > most and len(tracks) >= 4:
            places = places[np.linspace(0, count - 1, most).astype(int)]
        for name, values in zip(parts, (track.overlap, track.score, found), strict=True):
            parts[name].append(values[places])
    overlap, *judgements = map(np.concatenate, parts.values())
    lost, good = overlap < robustness.LOST, overlap >= robustness.HELD
    return {
        name: calibration.Frames(values, lost, good)
        for name, values in zip(("score", "presence"), judgements, strict=True)
    }


def _figures(tracks: Sequence[Track], presences: Sequence[np.ndarray]) -> dict[str, Any]:
    """Of score and presence."""
    judged = _frames(tracks, presences)
    frames = judged["score"]
    found: dict[str, Any] = {
        "clips": len(tracks),
        "frames": len(frames.lost),
        "lost": int(frames.lost.sum()),
        "held": int(frames.good.sum()),
    }
    for name, each in judged.items():
        detected = calibration.detection(each.scores, each.lost)
        found[name] = {
            "auroc": calibration.auroc(each.scores, each.lost),
            "calibration_error": calibration.calibration_error(*calibration.reliability(each)),
            "found_at_5": float(detected[5]),
            "below_half": _shares(each),
        }
    return found


def _shares(frames: calibration.Frames) -> list[float]:
    """Shares of lost frames, and of those that are not, that a limit of 0.5 calls lost."""
    called = frames.scores < 0.5
    return [float(called[which].mean()) for which in (frames.lost, ~frames.lost) if which.any()]
