"""How a tracker is led through a sequence.

A tracker is anything with `init(frame, box)` and `update(frame)`: frames are BGR uint8, boxes left,
top, width, height in pixels, 0-based, covering x .. x + width. `update` returns an object with
`box` and, if it has one, `score`, or the four numbers alone. `init` may return the box it really
started from; it is what the first frame reports, else the true box.

Half a pixel: SiamRPN++ reads the centre of its first box as x + (w - 1) / 2 but reports centre -
size / 2, and the published figures were made by starting it from (x + 0.5, y + 0.5, w, h), which
makes the two agree. A tracker whose attribute `half_pixel_start` is true, as siamjax's own, is
started there; other trackers get the true box.
"""

import ctypes
import dataclasses
import os
import time
from collections.abc import Callable
from typing import Any, Protocol

import cv2
import numpy as np

from siamjax.datasets.results import (
    FAILURE,
    REGION,
    START,
    UNKNOWN,
    Run,
    multistart_anchors,
    multistart_frames,
)
from siamjax.datasets.sequence import Sequence
from siamjax.errors import UserError
from siamjax.geometry import polygons
from siamjax.measures import vot


class Tracker(Protocol):
    """What every protocol asks of a tracker."""

    def init(self, frame: np.ndarray, box) -> Any:
        """Starts at a box x, y, w, h, px of the frame (H, W, 3) BGR; may return where it starts."""

    def update(self, frame: np.ndarray) -> Any:
        """The next frame (H, W, 3) BGR -> a box, or an object with `box` and `score`."""


def published_start(box) -> tuple[float, float, float, float]:
    """Where SiamRPN++ is started for a first box x, y, w, h, px: half a pixel to the lower right
    (see this module's text)."""
    x, y, w, h = (float(value) for value in box)
    return x + 0.5, y + 0.5, w, h


def seed_random_numbers(job: int) -> None:
    """Resets the random numbers that OpenCV's trackers draw; each repetition has its own.

    So a run does not depend on the runs before it, and an interrupted evaluation resumes to the
    same files.
    """
    cv2.setRNGSeed(job)
    # OpenCV's MIL draws its features by the C library's rand()
    ctypes.CDLL(None if os.name == "posix" else "ucrtbase").srand(job)


def read_prediction(prediction) -> tuple[np.ndarray, float]:
    """The box (4,) or polygon (8,) and the score (NaN where there is none) of what `update`
    returned."""
    box = getattr(prediction, "box", prediction)
    score = getattr(prediction, "score", None)
    return np.asarray(box, np.float64).reshape(-1), np.nan if score is None else float(score)


class _Clocked:
    """Leads a tracker over frames; measures reading and tracking separately."""

    def __init__(self, tracker: Tracker, sequence: Sequence, width: int = 4):
        count = len(sequence)
        self.tracker, self.sequence = tracker, sequence
        self.regions = np.full((count, width), np.nan)
        self.codes = np.full(count, UNKNOWN, np.int8)
        self.scores = np.full(count, np.nan)
        self.seconds, self.reading = np.zeros(count), np.zeros(count)

    def _frame(self, i: int) -> np.ndarray:
        before = time.perf_counter()
        frame = self.sequence.frames[i]
        self.reading[i] = time.perf_counter() - before
        return frame

    def start(self, i: int, box) -> np.ndarray:
        """Initialises in frame i; the box the tracker started from."""
        frame = self._frame(i)
        first = tuple(float(value) for value in box)
        if getattr(self.tracker, "half_pixel_start", False):
            first = published_start(first)
        before = time.perf_counter()
        used = self.tracker.init(frame, first)
        self.seconds[i] = time.perf_counter() - before
        self.codes[i] = START
        return np.asarray(first) if used is None else read_prediction(used)[0]

    def step(self, i: int) -> np.ndarray:
        """Tracks into frame i and notes region and score."""
        frame = self._frame(i)
        before = time.perf_counter()
        region, self.scores[i] = read_prediction(self.tracker.update(frame))
        self.seconds[i] = time.perf_counter() - before
        self.regions[i] = region
        self.codes[i] = REGION
        return region

    def run(self) -> Run:
        return Run(self.regions, self.codes, self.scores, self.seconds, self.reading)


def one_pass(tracker: Tracker, sequence: Sequence, job: int = 1) -> Run:
    """OPE: starts in the first frame with the true box and is never corrected.

    Returns:
        A run whose first region is the box the tracker started from.
    """
    seed_random_numbers(job)
    clocked = _Clocked(tracker, sequence)
    clocked.regions[0] = clocked.start(0, sequence.boxes[0])
    clocked.codes[0] = REGION
    for i in range(1, len(sequence)):
        clocked.step(i)
    return clocked.run()


def long_term(tracker: Tracker, sequence: Sequence, job: int = 1) -> Run:
    """VOT-LT: one start, never corrected, a score with every box.

    A tracker without scores counts as sure of every box (1.0).
    """
    run = one_pass(tracker, sequence, job)
    run.codes[0] = START
    run.regions[0] = np.nan
    scores = np.where(np.isnan(run.scores), 1.0, run.scores)
    scores[0] = np.nan
    return dataclasses.replace(run, scores=scores)


def supervised(tracker: Tracker, sequence: Sequence, job: int = 1) -> Run:
    """VOT's restart protocol: after a frame without overlap the tracker starts again five later.

    The start is marked 1, the failure 2, frames in between 0. Overlap is the raster overlap inside
    the image. Frames without ground truth are no failure, and nothing starts in them.
    """
    seed_random_numbers(job)
    clocked = _Clocked(tracker, sequence)
    truth = polygons.pixel_corners(sequence.groundtruth)
    boxes = polygons.box_of_region(truth)
    known = np.isfinite(truth).all(1)
    next_start = 0
    tracking = False
    for i in range(len(sequence)):
        if tracking:
            region = clocked.step(i)
            overlap = polygons.raster_overlap(truth[i : i + 1], region[None], sequence.size)[0]
            if known[i] and not overlap > 0:
                clocked.codes[i] = FAILURE
                clocked.regions[i] = np.nan
                next_start, tracking = i + vot.SKIPPING, False
        elif i >= next_start and known[i]:
            clocked.start(i, boxes[i])
            tracking = True
    return clocked.run()


def multi_start(tracker: Tracker, sequence: Sequence, job: int = 0) -> Run:
    """One run from an anchor towards an end of the sequence, never corrected (VOT2020 on).

    Args:
        job: the anchor's frame.

    Returns:
        A run in the order of its frames; the start is marked 1.
    """
    order = multistart_frames(sequence, job)
    part = dataclasses.replace(
        sequence,
        frames=_Reordered(sequence.frames, order),
        groundtruth=sequence.groundtruth[order],
        absent=None,
        tags={},
        anchors=None,
    )
    seed_random_numbers(1)
    clocked = _Clocked(tracker, part)
    clocked.start(0, part.boxes[0])
    for i in range(1, len(part)):
        clocked.step(i)
    return clocked.run()


class _Reordered:
    def __init__(self, frames, order: list[int]):
        self._frames, self._order = frames, order

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, i: int):
        return self._frames[self._order[i]]


class RealTime:
    """A tracker that has to keep up with the camera: frames that come while it works are missed.

    Frame i comes at i / fps. In a missed frame the last box stands. The first frames after a start
    are granted, since preparing is slow (VOT's real-time experiment grants three). Works inside any
    protocol.

    Args:
        tracker: with `init` and `update`.
        fps: frames per second of the camera.
        grace: frames that `init` may take without missing any.
        clock: gives the time in seconds; another one simulates a speed.
    """

    def __init__(
        self,
        tracker: Tracker,
        fps: float,
        grace: int = 3,
        clock: Callable[[], float] = time.perf_counter,
    ):
        if not fps > 0:
            raise UserError(f"--realtime={fps:g}: give frames per second above 0")
        self.tracker, self.interval, self.grace, self.clock = tracker, 1 / fps, grace, clock
        self.half_pixel_start = getattr(tracker, "half_pixel_start", False)

    def init(self, frame, box):
        """As the tracker's; its time counts, less the grace. Frame (H, W, 3), box in px."""
        before = self.clock()
        used = self.tracker.init(frame, box)
        self._last: Any = tuple(box) if used is None else used
        # the time at which the tracker is free again, on the camera's clock
        self._free = max(self.clock() - before - self.grace * self.interval, 0.0)
        self._frame = 0
        return used

    def update(self, frame):
        """As the tracker's, or its last answer while it is busy. Frame (H, W, 3)."""
        self._frame += 1
        now = self._frame * self.interval
        if self._free <= now + 1e-9:  # sums of frame times are not exact
            before = self.clock()
            self._last = self.tracker.update(frame)
            self._free = now + self.clock() - before
        return self._last


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A protocol with its result files and measures.

    Attributes:
        run: tracker, sequence, job -> run.
        jobs: sequence, repetitions -> the runs of a sequence: repetitions or anchors.
        results, measures: names in `siamjax.datasets.results.FORMATS` and of the scorers; ""
            keeps the benchmark's own.
        text: what tables call it.
    """

    run: Callable[[Tracker, Sequence, int], Run]
    jobs: Callable[[Sequence, int], list[int]]
    results: str
    measures: str
    text: str


def _repetitions(sequence: Sequence, repetitions: int) -> list[int]:
    return list(range(1, repetitions + 1))


def _anchors(sequence: Sequence, repetitions: int) -> list[int]:
    return [frame for frame, _ in multistart_anchors(sequence)]


EXPERIMENTS = {
    "ope": Experiment(one_pass, _repetitions, "flat", "ope", "one-pass"),
    "supervised": Experiment(supervised, _repetitions, "vot", "vot", "restart after failures"),
    "longterm": Experiment(long_term, _repetitions, "longterm", "longterm", "long-term"),
    "multistart": Experiment(multi_start, _anchors, "multistart", "multistart", "multi-start"),
}
