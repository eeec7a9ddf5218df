"""Targets of several live streams, answered together on one device."""

import collections
import statistics
import threading
import time
from concurrent.futures import Future
from typing import NamedTuple

from siamjax.errors import UserError
from siamjax.tracking.frames import as_bgr
from siamjax.tracking.multi import Shared
from siamjax.tracking.session import Prediction, Search, Tracker

_REMEMBERED = 1000  # frames whose latency is known


class Latency(NamedTuple):
    """From the call of `update` to its return, over the last 1000 frames of a stream.

    Attributes:
        frames: how many.
        median, percentile_99: seconds; of a hundred frames one takes longer than the latter.
    """

    frames: int
    median: float
    percentile_99: float


class Streams:
    """Follows a target in each of several streams, which a thread each reads.

        streams = siamjax.Streams(siamjax.load())

        def follow(video, box):  # in a thread of its own
            frames = iter(video)
            with streams.add(next(frames), box) as stream:
                for frame in frames:
                    print(stream.update(frame).box, stream.latency())

    Windows that come while the device is busy, or within `wait` seconds, go through the network in
    one pass. A stream's track is that of a tracker of its own within the float rounding of a batch.

    Args:
        tracker: of `siamjax.load`; its weights are shared, its own target is left alone.
        wait: seconds that a window waits for those of the other streams; 0: it waits for none.

    Raises:
        UserError: another kind of tracker.
    """

    def __init__(self, tracker, wait: float = 0.002):
        self._shared, self._wait = Shared(tracker, "Streams"), wait
        self._compiling = threading.Lock()
        self._changed = threading.Condition()
        self._open, self._closed = 0, False
        self._asked: list[tuple[Search, Future]] = []
        self.passes: collections.deque[int] = collections.deque(maxlen=_REMEMBERED)
        self._thread = threading.Thread(target=self._answer, daemon=True)
        self._thread.start()

    def add(self, frame, box) -> "Stream":
        """Starts a target of a further stream; what that needs is compiled here.

        Args:
            frame, box: as `Tracker.init` takes them.

        Raises:
            UserError: as `Tracker.init`, or `close` was called.
        """
        target = self._shared.tracker.sibling()
        target.init(frame, box)
        with self._compiling:
            self._shared.prepare(self._open + 1)
            with self._changed:
                self._check_open()
                self._open += 1
                self._changed.notify_all()
        return Stream(self, target)

    def close(self) -> None:
        """Answers what was asked, and nothing more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def ask(self, search: Search) -> tuple:
        """What `Tracker.advance` takes behind a search; waits for it.

        Raises:
            UserError: `close` was called, or what the network's pass raised.
        """
        answer: Future = Future()
        with self._changed:
            self._check_open()
            self._asked.append((search, answer))
            self._changed.notify_all()
        return answer.result()

    def leave(self) -> None:
        """Waits for a stream less."""
        with self._changed:
            self._open -= 1
            self._changed.notify_all()

    def _check_open(self) -> None:
        if self._closed:
            raise UserError("these streams were closed: make new ones")

    def _answer(self) -> None:
        """What the thread does until `close`."""
        while taken := self._taken():
            searches, waiting = zip(*taken)
            try:
                found = self._shared.answers(searches)
            except Exception as error:  # raised again where it was asked
                for answer in waiting:
                    answer.set_exception(error)
                continue
            self.passes.append(len(found))
            for answer, value in zip(waiting, found, strict=True):
                answer.set_result(value)

    def _taken(self) -> list[tuple[Search, Future]]:
        """The searches of the next pass; none: there will be no more."""

        def complete():
            return len(self._asked) >= self._open or self._closed

        with self._changed:
            self._changed.wait_for(lambda: self._asked or self._closed)
            self._changed.wait_for(complete, self._wait)
            taken, self._asked = self._asked, []
            return taken


class Stream:
    """One stream's target, made by `Streams.add`; for one thread at a time."""

    def __init__(self, streams: Streams, target: Tracker):
        self._streams, self._target = streams, target
        self._spent: collections.deque[float] = collections.deque(maxlen=_REMEMBERED)
        self._left = False

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def update(self, frame) -> Prediction:
        """Finds the target in the stream's next frame; the crop is made in the calling thread.

        Raises:
            UserError: as `Tracker.update`, or the streams were closed.
        """
        began = time.perf_counter()
        search = self._target.search(as_bgr(frame, self._target.rgb))
        prediction = self._target.advance(search, *self._streams.ask(search))
        self._spent.append(time.perf_counter() - began)
        return prediction

    def latency(self) -> Latency:
        """How long the last frames took; zeros before the first."""
        spent = sorted(self._spent)
        if not spent:
            return Latency(0, 0.0, 0.0)
        late = spent[min(len(spent) - 1, int(0.99 * len(spent)))]
        return Latency(len(spent), statistics.median(spent), late)

    def close(self) -> None:
        """The others wait for this stream no longer."""
        if not self._left:
            self._left = True
            self._streams.leave()
