"""Targets that leave and come back: whether the long-term mode finds them again, and what decides
better, the score or the presence.

Each clip is cut in two. Between the halves stand frames of another clip, in which the target is
not; the second half is mirrored, so that the target comes back at another place. The same weights
follow it in the short-term mode, and in the long-term mode (SiamRPN++, section 4.4) by the score
and, where a map was fitted (`siamjax.studies.presence`), by the presence. No network is trained.
"""

import argparse
import dataclasses
import functools
import json
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Sequence as AbstractSequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from siamjax import api
from siamjax.datasets.sequence import Sequence as Clip
from siamjax.errors import UserError
from siamjax.evaluation import tables
from siamjax.evaluation.protocols import start_box
from siamjax.evaluation.specs import Spec
from siamjax.files import write_whole
from siamjax.measures import robustness
from siamjax.studies import kept
from siamjax.studies.given import checkpoint, targets
from siamjax.studies.views import Frames
from siamjax.tracking.session import Tracker

HALF, AWAY = 30, 15  # frames of each half at most, and of the time between
SOON = 20  # frames after the return in which a target counts as found again
COLUMNS = {
    "back": "found again within 20 frames",
    "held_after": "held after the return",
    "held_before": "held before",
    "called_away": "called lost while away",
    "called_held": "called lost while held",
}


@dataclasses.dataclass(frozen=True)
class Plan:
    """The checkpoint, the clips to cut, and how many of them."""

    spec: Spec
    clips: list[Clip]


class Joined(AbstractSequence):
    """The frames of a joined clip, all of one size."""

    def __init__(self, parts: Sequence[tuple[Any, int]], size: tuple[int, int]):
        """Parts are frames that can be indexed, and how many of them; size is width, height."""
        self._places = [(frames, i) for frames, count in parts for i in range(count)]
        self._size = size

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index):
        frames, i = self._places[index]
        frame = frames[i]
        if frame.shape[1::-1] != self._size:
            frame = cv2.resize(frame, self._size, interpolation=cv2.INTER_AREA)
        return frame


def plan(args: argparse.Namespace) -> Plan:
    """The checkpoint and the clips that the flags name.

    Raises:
        UserError: no such tracker, one that is not siamjax's, fewer than two clips.
    """
    spec = checkpoint(args.tracker)
    clips = targets("--data", args.data)
    if len(clips) < 2:
        raise UserError("--data: give at least two clips: frames of another stand between")
    return Plan(spec, clips)


def joined(clip: Clip, other: Clip) -> tuple[Clip, int]:
    """A clip with frames of another between its halves, and the frame in which the target is back.

    The target is absent, NaN, in between.
    """
    half = min(len(clip) // 2, HALF)
    away = min(len(other), AWAY)
    width, height = clip.size
    first = clip.boxes[:half]
    second = robustness.mirrored(clip.boxes[half : 2 * half], float(width))
    back = Frames(clip.frames[half : 2 * half], True, False)
    parts = [(clip.frames, half), (other.frames, away), (back, half)]
    boxes = np.concatenate([first, np.full((away, 4), np.nan), second])
    frames = Joined(parts, (width, height))
    return Clip(f"{clip.name}_returns", frames, boxes), half + away


def run(workdir: str | Path, plan: Plan) -> dict[str, Any]:
    """Follows all joined clips in all modes and writes the figures.

    What is done is skipped, so a second call resumes where the first one stopped. Writes to
    `workdir`: runs/, `returns.json`, `table.md`.

    Returns:
        What returns.json holds.

    Raises:
        UserError: no clip is long enough.
    """
    workdir = Path(workdir)
    pairs = zip(plan.clips, [*plan.clips[1:], plan.clips[0]], strict=True)
    clips = [joined(clip, other) for clip, other in pairs if len(clip) >= 2 * SOON]
    if not clips:
        raise UserError(f"--data: no clip of {2 * SOON} frames or more")
    found: dict[str, Any] = {}
    for name, make in _modes(plan.spec):
        made = functools.cache(make)
        rows = {}
        for clip, back in tqdm(clips, name, unit="clip"):
            path = workdir / "runs" / name.replace(" ", "_") / f"{clip.name}.npz"
            key = f"{plan.spec.identity} {len(clip)}"
            saved = kept.arrays(path, key, ("boxes", "lost"), functools.partial(_run, made, clip))
            rows[clip.name] = figures(clip.boxes, saved["boxes"], saved["lost"], back)
        means = {column: tables.mean(row[column] for row in rows.values()) for column in COLUMNS}
        found[name] = {"mean": means, "clips": rows}
    result = {"finished": True, "tracker": plan.spec.identity, "modes": found}
    write_whole(workdir / "returns.json", json.dumps(result, indent=1) + "\n")
    write_whole(workdir / "table.md", table(found, len(clips)))
    return result


def _modes(spec: Spec) -> Iterator[tuple[str, Callable[[], Tracker]]]:
    """Name and maker of the trackers that are compared."""
    config, variables = api.load_variables(spec.checkpoint, spec.constants)
    modes = [("short-term", False, False), ("long-term by score", True, False)]
    if config.tracker.get("presence"):
        modes.append(("long-term by presence", True, True))
    for name, long_term, judged in modes:
        own = config.copy_and_resolve_references().unlock()
        own.tracker.long_term = long_term
        if long_term and not judged:
            own.tracker.presence = ()
        yield name, functools.partial(Tracker, own, variables, warm_up=False)


def _run(make: Callable[[], Tracker], clip: Clip) -> dict[str, np.ndarray]:
    """Boxes (N, 4) and whether the target was called lost (N,)."""
    tracker = make()
    tracker.init(clip.frames[0], start_box(tracker, clip.boxes[0]))
    answers = [tracker.update(clip.frames[i]) for i in range(1, len(clip))]
    return {
        "boxes": np.array([clip.boxes[0], *(answer.box for answer in answers)]),
        "lost": np.array([False, *(answer.lost for answer in answers)]),
    }


def figures(
    truth: np.ndarray, boxes: np.ndarray, lost: np.ndarray, back: int
) -> dict[str, float | None]:
    """Of one joined clip; None where there is no such frame.

    Args:
        truth, boxes: (N, 4) left, top, width, height, px; NaN while the target is away.
        lost: (N,) frames in which it was called lost.
        back: the frame in which it is back.

    Returns:
        "back": 1 where the overlap reaches 0.5 within `SOON` frames of the return, else 0;
        "held_before", "held_after": shares of frames with an overlap of at least 0.5;
        "called_away", "called_held": shares of frames called lost while the target is away, and
        while it is held.
    """
    overlap = robustness.overlaps(truth, boxes)
    held, known = overlap >= robustness.HELD, np.isfinite(overlap)
    before, after = np.arange(len(truth)) < back, np.arange(len(truth)) >= back
    away = before & ~known
    away[0] = False

    def share(values: np.ndarray, which: np.ndarray) -> float | None:
        return float(values[which].mean()) if which.any() else None

    return {
        "back": float(held[back : back + SOON].any()),
        "held_after": share(held, after & known),
        "held_before": share(held, before & known),
        "called_away": share(lost, away),
        "called_held": share(lost, held),
    }


def table(modes: dict[str, Any], count: int) -> str:
    """Markdown: a row per mode."""
    rows = [[f"{count} clips", *COLUMNS.values()]]
    for name, mode in modes.items():
        values = (mode["mean"][column] for column in COLUMNS)
        rows.append([name, *("-" if value is None else f"{value:.2f}" for value in values)])
    return tables.markdown(rows)
