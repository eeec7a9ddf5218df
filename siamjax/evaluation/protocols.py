"""How a tracker is led through a sequence.

A tracker is anything with `init(frame, box)` and `update(frame)`: frames are BGR uint8, boxes left,
top, width, height in pixels, 0-based, covering x .. x + width. `update` returns an object with
`box` and, if it has one, `score`, or the four numbers alone. `init` may return the box it really
started from; it is what the first frame reports, else the true box.

Half a pixel: SiamRPN++ reads the centre of its first box as x + (w - 1) / 2 but reports centre -
size / 2, and the published figures were made by starting it from (x + 0.5, y + 0.5, w, h), which
makes the two agree. `FromHalfPixel` does that for siamjax's tracker; other trackers get the true
box.
"""

import time
from typing import Any, Protocol

import cv2
import numpy as np

from siamjax.benchmarks.results import REGION, Run
from siamjax.benchmarks.sequence import Sequence


class Tracker(Protocol):
    """What every protocol asks of a tracker."""

    def init(self, frame: np.ndarray, box) -> Any: ...

    def update(self, frame: np.ndarray) -> Any: ...


class FromHalfPixel:
    """A SiamRPN++ tracker started the way the published results were: see this module's text.

    Args:
        tracker: with `init` and `update` of the SiamRPN++ convention.
    """

    def __init__(self, tracker: Tracker):
        self.tracker = tracker
        self._warm: set[tuple[int, ...]] = set()

    def init(self, frame, box):
        x, y, w, h = (float(value) for value in box)
        start = (x + 0.5, y + 0.5, w, h)
        self.tracker.init(frame, start)
        return start

    def update(self, frame):
        return self.tracker.update(frame)

    def warm_up(self, frame, box) -> None:
        """Compiles what frames of this size need, so that it does not count as tracking time."""
        if frame.shape not in self._warm:
            self.init(frame, box)
            self.update(frame)
            self._warm.add(frame.shape)


def prepare(tracker: Tracker, frame: np.ndarray, box) -> None:
    """Brings a tracker into the state every run starts from: compiled, random numbers reset.

    A run then does not depend on the runs before it, so an interrupted evaluation goes on to the
    same files.
    """
    warm_up = getattr(tracker, "warm_up", None)
    if warm_up is not None:
        warm_up(frame, box)
    cv2.setRNGSeed(0)


def read_prediction(prediction) -> tuple[np.ndarray, float]:
    """The box (4,) or polygon (8,) and the score (NaN where there is none) of what `update`
    returned."""
    box = getattr(prediction, "box", prediction)
    score = getattr(prediction, "score", None)
    return np.asarray(box, np.float64).reshape(-1), np.nan if score is None else float(score)


def one_pass(tracker: Tracker, sequence: Sequence) -> Run:
    """OPE: starts in the first frame with the true box and is never corrected.

    Returns:
        A run whose first region is the box the tracker started from.
    """
    count = len(sequence)
    regions = np.full((count, 4), np.nan)
    scores = np.full(count, np.nan)
    seconds, reading = np.zeros(count), np.zeros(count)
    start = sequence.boxes[0]
    prepare(tracker, sequence.frames[0], start)
    for i in range(count):
        t0 = time.perf_counter()
        frame = sequence.frames[i]
        t1 = time.perf_counter()
        if i == 0:
            used = tracker.init(frame, tuple(start))
            box = start if used is None else read_prediction(used)[0]
            score = np.nan
        else:
            box, score = read_prediction(tracker.update(frame))
        seconds[i], reading[i] = time.perf_counter() - t1, t1 - t0
        regions[i], scores[i] = box, score
    return Run(regions, np.full(count, REGION, np.int8), scores, seconds, reading)
