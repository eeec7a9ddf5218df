"""Runs of the tracker over videos: a place to run in, what came out, and who watches."""

import asyncio
import concurrent.futures
import contextlib
import json
import logging
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from siamjax import media, viz
from siamjax.errors import UserError
from siamjax.files import write_whole
from siamjax.geometry.boxes import check_box
from siamjax.integrations.serving.limits import Disk, Limits, Refusal
from siamjax.integrations.serving.memory import give_back
from siamjax.integrations.serving.pictures import jpeg
from siamjax.integrations.serving.videos import Entry
from siamjax.media.tracks import Row, follow

ENDED = ("done", "stopped", "failed")
_KEPT = "what was tracked until then is kept"
_log = logging.getLogger(__name__)


class Order(NamedTuple):
    """What a run is asked for.

    Attributes:
        box: of the target in the first frame: x, y, w, h in px from 0.
        heatmap: whether the score map is laid over the pictures.
    """

    box: tuple[float, ...]
    heatmap: bool = False


def read_order(text: str | bytes, size: tuple[int, int]) -> Order:
    """The order in a request's JSON, {"box": [x, y, w, h], "heatmap": bool}.

    Args:
        size: width and height of a frame, px.

    Raises:
        UserError: not that, or a box that `siamjax.geometry.boxes.check_box` refuses.
    """
    try:
        order = json.loads(text)
        box = tuple(float(side) for side in order["box"])
        heatmap = bool(order.get("heatmap"))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        raise UserError('send {"box": [x, y, w, h]}') from None
    check_box(box, size)
    return Order(box, heatmap)


class Run:
    """One run over a video; it has its address until the server ends.

    Attributes:
        key: random, its part of addresses.
        entry: the video.
        order: what was asked for.
        state: "waiting" for a place, "running", and in the end "done", "stopped" or "failed".
        message: why it was stopped by the server, or failed; else empty.
        picture: number and JPEG of the newest frame that was drawn for a page; None: there is none.
        stopping: whether it shall end at the next frame.
        left: time (`time.monotonic`) since which no page watches it.
    """

    def __init__(self, entry: Entry, order: Order, folder: Path):
        self.key = secrets.token_urlsafe(12)
        self.entry, self.order = entry, order
        self.state, self.message = "waiting", ""
        self.picture: tuple[int, bytes] | None = None
        self.stopping = False
        self.left = time.monotonic()
        self._folder = folder / self.key
        self._folder.mkdir()
        self._rows: list[Row] | np.ndarray = []
        self._watchers: set[asyncio.Event] = set()
        self._begin = self._end = 0.0

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.state in ENDED

    @property
    def movie(self) -> Path:
        """The annotated video; there when the run has ended."""
        return self._folder / "result.webm"

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(file.stat().st_size for file in self._folder.iterdir())

    def describe(self) -> dict[str, Any]:
        """For the page; fps is the speed of the run."""
        frames, last = len(self._rows), self._end or time.monotonic()
        fps = frames / (last - self._begin) if frames else 0.0
        return {
            "id": self.key,
            "video": self.entry.key,
            "name": self.entry.video.name,
            "state": self.state,
            "message": self.message,
            "frames": frames,
            "count": self.entry.video.count,
            "fps": round(fps, 1),
            "box": self.order.box,
            "heatmap": self.order.heatmap,
        }

    def rows(self, start: int = 0, most: int | None = None) -> list[Row]:
        """Rows from number `start` on, `most` of them at most."""
        end = len(self._rows) if most is None else start + most
        found = self._rows[start:end]
        if isinstance(found, list):
            return found
        return [Row(int(r[0]), int(r[1]), *map(float, r[2:8]), bool(r[8])) for r in found]

    def last_picture(self) -> tuple[int, bytes] | None:
        """`picture`, of a run that has ended too."""
        path = self._folder / "last.jpg"
        if self.picture is None and self.ended and path.exists():
            return len(self._rows) - 1, path.read_bytes()
        return self.picture

    @contextlib.contextmanager
    def watched(self) -> Iterator[asyncio.Event]:
        """While a page watches: an event that is set when something is new."""
        event = asyncio.Event()
        self._watchers.add(event)
        try:
            yield event
        finally:
            self._watchers.discard(event)
            self.left = time.monotonic()

    def unwatched(self) -> float:
        """Seconds for which no page has watched it."""
        return 0.0 if self._watchers else time.monotonic() - self.left

    def changed(self) -> None:
        """Tells those that watch; on the event loop's thread."""
        for event in self._watchers:
            event.set()

    def begin(self) -> None:
        """It has a place."""
        self.state, self._begin = "running", time.monotonic()
        self.changed()

    def end(self, state: str, message: str = "") -> None:
        """Nothing more will come."""
        self._end = time.monotonic()
        self._rows = np.array(self._rows, np.float64).reshape(-1, len(Row._fields))
        self.picture = None
        self.state, self.message = state, self.message or message
        self.changed()

    def work(self, tracker: Any, most: int, changed: Callable[[], object]) -> bool:
        """Tracks, in a thread of its own; whether it was stopped.

        Args:
            tracker: with `init` and `update`.
            most: frames.
            changed: called after each frame.

        Raises:
            UserError: a broken frame, more frames than `most`, a full disk. Rows until then stand.
        """
        assert isinstance(self._rows, list)
        video, shown, number = self.entry.video, None, 0
        writer = media.VideoWriter(self.movie, video.fps)
        with contextlib.closing(writer):  # finished with what there is, whatever ends it
            try:
                for frame, (row,), prediction in follow(video, [tracker], [self.order.box]):
                    if row.frame == most:
                        raise UserError(f"frame {most}: no further ones are taken (--max_frames)")
                    number, shown = row.frame, self._draw(frame, row, prediction)
                    self._rows.append(row)
                    writer.write(shown)
                    if self._watchers:
                        self.picture = number, jpeg(shown)
                    changed()
                    if self.stopping:
                        break
            finally:
                if shown is not None:
                    write_whole(self._folder / "last.jpg", jpeg(shown))
        return self.stopping

    def _draw(self, frame, row, prediction) -> np.ndarray:
        if self.order.heatmap and prediction:
            frame = viz.draw_heatmap(frame, prediction.heatmap.score, prediction.heatmap.extent)
        return viz.draw_boxes(frame, [row.box], [f"{row.score:.2f}"])


class Runs:
    """The runs by key, `jobs` of them at a time, the others in the order in which they came.

    Args:
        tracker: of `siamjax.load`; each run gets a `sibling` of it.
        folder: for their results.
    """

    def __init__(self, tracker: Any, folder: Path, limits: Limits, disk: Disk, jobs: int):
        self._tracker, self._folder, self._limits, self._disk = tracker, folder, limits, disk
        self._runs: dict[str, Run] = {}
        self._tasks: dict[Run, asyncio.Task] = {}
        self._places = asyncio.Semaphore(jobs)
        self._threads = concurrent.futures.ThreadPoolExecutor(jobs, "run")

    def get(self, key: str) -> Run:
        """The run of this key.

        Raises:
            Refusal: there is none.
        """
        if key not in self._runs:
            raise Refusal("no such run; the server that had it has ended", 404)
        return self._runs[key]

    def describe(self) -> list[dict]:
        """All runs, the newest first, for the page."""
        return [run.describe() for run in reversed(self._runs.values())]

    def ahead(self, run: Run) -> int:
        """Runs that have to end before one that waits begins; 0 where it does not wait."""
        waiting = [other for other in self._tasks if other.state == "waiting"]
        return waiting.index(run) + 1 if run in waiting else 0

    def start(self, entry: Entry, order: Order) -> Run:
        """A new run, which waits for its place.

        Raises:
            Refusal: too many wait already, or too much is kept.
        """
        most = self._limits.waiting
        if sum(run.state == "waiting" for run in self._tasks) >= most:
            raise Refusal(f"{most} runs wait already; try again when some have ended", 503)
        self._disk.take(0)
        run = Run(entry, order, self._folder)
        self._runs[run.key] = run
        self._tasks[run] = asyncio.create_task(self._lead(run))
        return run

    def stop(self, run: Run, message: str = "") -> None:
        """Ends a run at its next frame, or before it begins; what it has is kept."""
        if run.ended or run.stopping:
            return
        run.stopping, run.message = True, message
        if run.state == "waiting":
            self._tasks[run].cancel()

    async def tidy(self) -> None:
        """Ends runs that nobody watches and that others wait for, or that wait themselves."""
        most = self._limits.unwatched
        while True:
            await asyncio.sleep(min(1.0, most / 4))
            left = [run for run in self._tasks if run.unwatched() > most]
            for run in left:
                if run.state == "waiting":
                    self.stop(run, f"no page watched it for {most:g} s while it waited")
            if any(run.state == "waiting" and not run.stopping for run in self._tasks):
                for run in left:
                    why = f"no page watched it for {most:g} s while others waited; {_KEPT}"
                    self.stop(run, why)

    async def close(self) -> None:
        """Stops all runs and waits until they have ended."""
        for run in list(self._tasks):
            self.stop(run, "the server has ended")
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._threads.shutdown()

    async def _lead(self, run: Run) -> None:
        loop = asyncio.get_running_loop()

        def changed():
            loop.call_soon_threadsafe(run.changed)

        state, message = "stopped", ""
        try:
            async with self._places:
                run.begin()
                work = run.work, self._tracker.sibling(), self._limits.frames, changed
                try:
                    stopped = await loop.run_in_executor(self._threads, *work)
                finally:
                    self._threads.submit(give_back)
                state = "stopped" if stopped else "done"
        except asyncio.CancelledError:
            pass  # it waited
        except UserError as error:
            state, message = "failed", f"{error}; {_KEPT}"
        except Exception:
            _log.exception("run over %s", run.entry.video.name)
            state, message = "failed", f"the server failed at this, its log says how; {_KEPT}"
        finally:
            run.end(state, message)
            self._disk.add(run.size)
            del self._tasks[run]
