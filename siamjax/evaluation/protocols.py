"""How a tracker is led through a sequence.

A tracker is anything with `init(frame, box)` and `update(frame)`: frames are BGR uint8, boxes left,
top, width, height in pixels, 0-based, covering x .. x + width. `update` returns an object with
`box` and, if it has one, `presence` or `score`, or the four numbers alone; always four finite
numbers, a target that is not seen has a low score. `init` may return the box it really started
from; it is what the first frame reports, else the true box.

Half a pixel: SiamRPN++ reads the centre of its first box as x + (w - 1) / 2 but reports centre -
size / 2, and the published figures were made by starting it from (x + 0.5, y + 0.5, w, h), which
makes the two agree. A tracker whose attribute `half_pixel_start` is true, as siamjax's own, is
started there; other trackers get the true box.
"""

import contextlib
import ctypes
import dataclasses
import os
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import cv2
import numpy as np

from siamjax.datasets.forms.base import FAILURE, REGION, START, UNKNOWN, Run
from siamjax.datasets.forms.multistart import multistart_anchors, multistart_frames
from siamjax.datasets.sequence import Sequence
from siamjax.errors import UserError
from siamjax.geometry import polygons
from siamjax.geometry.boxes import check_box
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


def start_box(tracker, box) -> tuple[float, float, float, float]:
    """Where a tracker is started for a first box x, y, w, h, px: `published_start` where its
    attribute `half_pixel_start` is true, else the box itself."""
    if getattr(tracker, "half_pixel_start", False):
        return published_start(box)
    x, y, w, h = (float(value) for value in box)
    return x, y, w, h


def seed_random_numbers(job: int) -> None:
    """Resets the random numbers that OpenCV's trackers draw; each repetition has its own.

    So a run does not depend on the runs before it, and an interrupted evaluation resumes to the
    same files.
    """
    cv2.setRNGSeed(job)
    # OpenCV's MIL draws its features by the C library's rand()
    ctypes.CDLL(None if os.name == "posix" else "ucrtbase").srand(job)


def read_prediction(prediction) -> tuple[np.ndarray, float]:
    """The box (4,) of what `update` returned, and how sure it is: the presence where it has one,
    else the score, else NaN.

    Raises:
        UserError: not four finite numbers.
    """
    given = getattr(prediction, "box", prediction)
    try:
        box = np.asarray(given, np.float64).reshape(-1)
    except (TypeError, ValueError):
        box = np.empty(0)
    if box.shape != (4,) or not np.isfinite(box).all():
        shown = " ".join(repr(given).split())
        shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
        raise UserError(f"the answer {shown} is no box of four finite numbers x, y, w, h")
    score = getattr(prediction, "presence", None)
    if score is None:
        score = getattr(prediction, "score", None)
    return box, np.nan if score is None else float(score)


class Stopped(Exception):
    """A run that ended in a frame; the cause is what was raised there.

    Attributes:
        frame: of the sequence, from 0.
    """

    def __init__(self, frame: int):
        super().__init__(f"frame {frame}")
        self.frame = frame


@contextlib.contextmanager
def _in_frame(frame: int) -> Iterator[None]:
    """For what a tracker does in a frame; its own `sys.exit` is an error like others."""
    try:
        yield
    except (Exception, SystemExit) as error:
        raise Stopped(frame) from error


class _Clocked:
    """Leads a tracker over frames, in order or in that of `frames`; measures reading and tracking
    separately. What a frame raises comes out as `Stopped`."""

    def __init__(
        self, tracker: Tracker, sequence: Sequence, job: int, frames: list[int] | None = None
    ):
        seed_random_numbers(job)
        self.tracker, self.sequence = tracker, sequence
        self.frames = range(len(sequence)) if frames is None else frames
        count = len(self.frames)
        self.regions = np.full((count, 4), np.nan)
        self.codes = np.full(count, UNKNOWN, np.int8)
        self.scores = np.full(count, np.nan)
        self.seconds, self.reading = np.zeros(count), np.zeros(count)
        self.size = (0, 0)  # width and height of the last frame, px

    def start(self, i: int, box) -> np.ndarray:
        """Initialises in frame i; the box the tracker started from."""
        first = start_box(self.tracker, box)

        def begin(frame):
            name = f"{self.sequence.name}: box"
            check_box(box, frame.shape[1::-1], name, doubts=i == 0)
            return self.tracker.init(frame, first)

        with _in_frame(self.frames[i]):
            used = self._timed(i, begin)
            started = np.asarray(first) if used is None else read_prediction(used)[0]
        self.codes[i] = START
        return started

    def step(self, i: int) -> np.ndarray:
        """Tracks into frame i and notes region and score."""
        with _in_frame(self.frames[i]):
            self.regions[i], self.scores[i] = read_prediction(self._timed(i, self.tracker.update))
        self.codes[i] = REGION
        return self.regions[i]

    def uncorrected(self) -> np.ndarray:
        """Starts in the first frame with the true box, tracks into all others; where it started."""
        first = self.start(0, self.sequence.boxes[self.frames[0]])
        for i in range(1, len(self.frames)):
            self.step(i)
        return first

    def run(self) -> Run:
        return Run(self.regions, self.codes, self.scores, self.seconds, self.reading)

    def _timed(self, i: int, work: Callable[[np.ndarray], Any]) -> Any:
        times = [time.perf_counter()]
        frame = self.sequence.frames[self.frames[i]]
        self.size = (frame.shape[1], frame.shape[0])
        times.append(time.perf_counter())
        answer = work(frame)
        times.append(time.perf_counter())
        self.reading[i], self.seconds[i] = np.diff(times)
        return answer


def one_pass(tracker: Tracker, sequence: Sequence, job: int = 1) -> Run:
    """OPE: starts in the first frame with the true box and is never corrected.

    Returns:
        A run whose first region is the box the tracker started from.
    """
    clocked = _Clocked(tracker, sequence, job)
    clocked.regions[0] = clocked.uncorrected()
    clocked.codes[0] = REGION
    return clocked.run()


def long_term(tracker: Tracker, sequence: Sequence, job: int = 1) -> Run:
    """VOT-LT: one start, never corrected, a score with every box.

    A tracker without scores counts as sure of every box (1.0).
    """
    clocked = _Clocked(tracker, sequence, job)
    clocked.uncorrected()
    clocked.scores[1:][np.isnan(clocked.scores[1:])] = 1.0
    return clocked.run()


def supervised(tracker: Tracker, sequence: Sequence, job: int = 1) -> Run:
    """VOT's restart protocol: after a frame without overlap the tracker starts again five later.

    The start is marked 1, the failure 2, frames in between 0. Overlap is the raster overlap inside
    the image. Frames without ground truth are no failure, and nothing starts in them.
    """
    clocked = _Clocked(tracker, sequence, job)
    truth = polygons.pixel_corners(sequence.groundtruth)
    boxes = polygons.box_of_region(truth)
    known = np.isfinite(truth).all(1)
    next_start, tracking = 0, False
    for i in range(len(sequence)):
        if tracking:
            region = clocked.step(i)
            overlap = polygons.raster_overlap(truth[i : i + 1], region[None], clocked.size)[0]
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
    clocked = _Clocked(tracker, sequence, 1, multistart_frames(sequence, job))
    clocked.uncorrected()
    return clocked.run()


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
