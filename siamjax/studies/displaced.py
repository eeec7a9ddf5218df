"""Whether the network finds a target that is not where it was: search windows whose centre lies
64 px of the search crop off the true one, in eight directions."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from siamjax.datasets.sequence import Sequence
from siamjax.evaluation.protocols import start_box
from siamjax.files import write_whole
from siamjax.geometry.boxes import cxcywh_to_xywh, iou, xywh_to_xyxy
from siamjax.measures.robustness import HELD
from siamjax.studies.views import followable
from siamjax.tracking import decode
from siamjax.tracking.session import Tracker
from siamjax.tracking.tracker import begin

DISTANCE = 64.0  # px of the search crop
DIRECTIONS = 8
EVERY, EVERY_QUICK = 5, 10  # frames


def share_found(tracker: Tracker, sequence: Sequence, every: int) -> tuple[int, int]:
    """How many displaced searches find the target, and how many there were.

    The template is that of the first frame; a window has the true size. Found: the overlap of the
    answer's box, before any smoothing, with the true one is at least 0.5. The tracker's own
    constants choose among the candidates.

    Args:
        tracker: of siamjax; its own target is left alone.
        every: each n-th frame is searched.
    """
    known = followable(sequence.boxes)
    searched = [i for i in range(every, len(known), every) if known[i]]
    if not searched:
        return 0, 0
    tracker = tracker.sibling()
    tracker.init(sequence.frames[0], start_box(tracker, sequence.boxes[0]))
    hits = sum(_hits(tracker, sequence.frames[i], sequence.boxes[i]) for i in searched)
    return hits, DIRECTIONS * len(searched)


def _hits(tracker: Tracker, frame: np.ndarray, truth: np.ndarray) -> int:
    """Of the directions in one frame; the tracker's box is moved."""
    tracker.motion = there = begin(truth, exact=True)
    scale = tracker.search(frame).window.scale
    hits = 0
    for angle in 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS:
        away = DISTANCE / scale * np.array([np.cos(angle), np.sin(angle)])
        tracker.motion = there._replace(centre=there.centre + away)
        search = tracker.search(frame)
        values, _ = tracker.answer(search)
        best = decode.unpack(np.asarray(values))
        middle = search.window.centre + best.offset / search.window.scale
        box = cxcywh_to_xywh(np.r_[middle, best.size / search.window.scale])
        hits += bool(iou(xywh_to_xyxy(box), xywh_to_xyxy(truth)) >= HELD)
    return hits


def kept(path: Path, key: str, count: Callable[[], tuple[int, int]]) -> float | None:
    """The share of `count`, which gives found and searches, from a file where it stands already.

    Args:
        path: JSON.
        key: what the count depends on; the file of another, or a damaged one, is written anew.

    Returns:
        None where there were no searches.
    """
    saved: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError, TypeError, RecursionError):
        saved = dict(json.loads(path.read_text()))
    counts = saved.get("found"), saved.get("searches")
    if saved.get("key") != key or not all(type(n) is int and 0 <= n < 1 << 53 for n in counts):
        found, searches = count()
        saved = {"key": key, "found": found, "searches": searches}
        write_whole(path, json.dumps(saved) + "\n")
    return saved["found"] / saved["searches"] if saved["searches"] else None
