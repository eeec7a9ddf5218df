"""One run of the tracker over a video: what was asked for, what came out, and who watches."""

import array
import asyncio
import bisect
import contextlib
import math
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from siamjax import media, viz
from siamjax.errors import UserError
from siamjax.files import write_whole
from siamjax.integrations.serving.orders import Order
from siamjax.integrations.serving.pictures import jpeg
from siamjax.integrations.serving.videos import Entry
from siamjax.media.journal import Past, State
from siamjax.media.tracks import Row
from siamjax.tracking.follow import Step, Targets, follow

ENDED = ("done", "stopped", "failed")
_WIDTH = len(Row._fields) + len(State._fields)  # numbers that are kept of a target in a frame
_EVERY = 0.04  # s between pictures for pages


class Run:
    """One run over a video; it has its address until the server ends.

    Attributes:
        key: random, its part of addresses.
        entry: the video.
        order: what was asked for.
        state: "waiting" for a place, "running", and in the end "done", "stopped" or "failed".
        message: why it was stopped by the server, or failed; a box that was not reached.
        picture: number and JPEG of the newest frame that pages show; None: there is none.
        stopping: whether it shall end at the next frame.
        left: time (`time.monotonic`) since which no page watches it.
        kept: frames that were taken from an earlier run.

    Args:
        folder: of the results of all runs.
        earlier: a run over the same video that has ended. Its frames before the first one in which
            other boxes are given are taken as they are, and tracking continues behind them.
    """

    def __init__(self, entry: Entry, order: Order, folder: Path, earlier: "Run | None" = None):
        self.key = secrets.token_urlsafe(12)
        self.entry, self.order = entry, order
        self.state, self.message = "waiting", ""
        self.picture: tuple[int, bytes] | None = None
        self.stopping = False
        self.left = time.monotonic()
        self.kept = 0
        self._folder = folder / self.key
        self._folder.mkdir()
        self._numbers = array.array("q")  # of the frames
        self._table = array.array("d")  # rows and states, `_WIDTH` numbers each
        self._size = entry.size  # of the movie's frames
        self._earlier: Path | None = None  # movie
        self._watchers: set[asyncio.Event] = set()
        self._begin = self._end = 0.0
        if earlier is not None:
            self._take(earlier)

    def _take(self, earlier: "Run") -> None:
        end = self.order.differs(earlier.order)
        numbers = earlier._numbers
        self.kept = len(numbers) if end is None else bisect.bisect_left(numbers, end)
        self._numbers = numbers[: self.kept]
        table = np.array(earlier._table).reshape(-1, _WIDTH)
        last = self._numbers[-1] if self.kept else -1
        self._table.frombytes(table[table[:, 0] <= last].tobytes())
        self._earlier, self._size = earlier.movie, earlier._size

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

    @property
    def frames(self) -> int:
        """Number of frames that were tracked, `kept` ones too."""
        return len(self._numbers)

    def describe(self) -> dict[str, Any]:
        """For the page; fps is the speed of the run, `seconds_left` None where it is not known."""
        frames, count, first = self.frames, self.entry.video.count, self.order.first
        total = None if count is None else max(count - first, frames)
        passed = frames - self.kept - 1
        fps = passed / (self._end - self._begin) if passed > 0 and self._end > self._begin else 0.0
        left = None if total is None or not fps or self.ended else (total - frames) / fps
        return {
            "id": self.key,
            "video": self.entry.key,
            "name": self.entry.video.name,
            "state": self.state,
            "message": self.message,
            "first": first,
            "last": self._numbers[-1] if frames else None,
            "frames": frames,
            "count": total,
            "fps": round(fps, 1),
            "seconds_left": left if left is None else round(left, 1),
            **self.order.describe(),
        }

    @property
    def count(self) -> int:
        """Number of rows."""
        return len(self._table) // _WIDTH

    def rows(self, start: int = 0, most: int | None = None) -> list[Row]:
        """Rows from number `start` on, `most` of them at most."""
        end = self.count if most is None else start + most
        found = self._table[start * _WIDTH : end * _WIDTH]
        return [_row(found[i : i + _WIDTH]) for i in range(0, len(found), _WIDTH)]

    def last_picture(self) -> tuple[int, bytes] | None:
        """`picture`, of a run that has ended too."""
        path = self._folder / "last.jpg"
        if self.picture is None and self.ended and path.exists():
            return self._numbers[-1], path.read_bytes()
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
        self.state = "running"
        self.changed()

    def end(self, state: str, message: str = "") -> None:
        """Nothing more will come."""
        self.picture = None
        self.state, self.message = state, self.message or message
        self.changed()

    def work(self, targets: Targets, most: int, changed: Callable[[], object]) -> bool:
        """Tracks, in a thread of its own; whether it was stopped.

        Args:
            targets: without targets.
            most: frames of a video.
            changed: called after each frame.

        Raises:
            UserError: a broken frame, more frames than `most`, a full disk. Rows until then stand.
        """
        past, shown, drawn = self._past(), None, 0.0
        frames = self._frames(set(past.rows), most)
        writer = media.VideoWriter(self.movie, self.entry.video.fps)
        # the movie is finished with what there is, whatever ends it
        with contextlib.closing(writer), contextlib.closing(frames):
            if self._earlier is not None and self.kept:
                writer.copy(self._earlier, self.kept, self._size)
            try:
                for step in follow(frames, targets, self.order.starts, past):
                    if step.number not in past.rows:
                        shown = self._add(step, writer)
                        if self._watchers and time.monotonic() - drawn > _EVERY:
                            self.picture = step.number, jpeg(shown)
                            drawn = time.monotonic()
                        changed()
                    if self.stopping:
                        break
            finally:
                if shown is not None:
                    write_whole(self._folder / "last.jpg", jpeg(shown))
        self._say_unreached()
        return self.stopping

    def _past(self) -> Past:
        """What is kept of the earlier run, as `siamjax.tracking.follow.follow` takes it."""
        rows: dict[int, list[Row]] = {number: [] for number in self._numbers}
        for row in self.rows():
            rows[row.frame].append(row)
        table = np.array(self._table).reshape(-1, _WIDTH)
        last = table[table[:, 0] == max(rows, default=-1)]
        states = {int(r[1]): _state(*r[len(Row._fields) :].tolist()) for r in last}
        return Past({}, rows, states, "")

    def _frames(self, known: set[int], most: int):
        """The frames that are tracked, with their numbers; those of `known` mostly as None."""
        first, needed = self.order.first, {start.frame for start in self.order.starts}
        skipped = {*range(first), *(known - needed)}
        with contextlib.closing(self.entry.video.numbered(skipped)) as frames:
            for number, frame in frames:
                if number == most:
                    raise UserError(f"frame {most}: no further ones are taken (--max_frames)")
                if number >= first:
                    yield number, frame

    def _add(self, step: Step, writer: media.VideoWriter) -> np.ndarray:
        """Keeps what a frame gave; the picture of it for pages, which draw the boxes."""
        self._end = time.monotonic()
        self._begin = self._begin or self._end
        assert step.frame is not None
        if not self._numbers:
            self._size = step.frame.shape[1], step.frame.shape[0]
        shown = step.frame
        if self.order.heatmap and step.prediction:
            heatmap = step.prediction.heatmap
            shown = viz.draw_heatmap(shown, heatmap.score, heatmap.extent)
        writer.write(self._annotated(shown, step.rows))
        # None, a presence that there is not, becomes NaN
        found = [(*row, *state) for row, state in zip(step.rows, step.states, strict=True)]
        self._table.frombytes(np.array(found, np.float64).tobytes())
        self._numbers.append(step.number)
        return shown

    def _annotated(self, frame: np.ndarray, rows: list[Row]) -> np.ndarray:
        names = [self.name_of(row.target) for row in rows]
        names = [name if name.isascii() else str(row.target) for name, row in zip(names, rows)]
        captions = [f"{name} {row.score:.2f}".strip() for name, row in zip(names, rows)]
        colours = [viz.PALETTE[row.target % len(viz.PALETTE)] for row in rows]
        return viz.draw_boxes(frame, [row.box for row in rows], captions, colours)

    def name_of(self, target: int) -> str:
        """What a target is called; empty: nothing."""
        return self.order.names[target] if target < len(self.order.names) else ""

    def _say_unreached(self) -> None:
        last = self._numbers[-1] if self._numbers else -1
        late = [start for start in self.order.starts if start.frame > last]
        if late and not self.stopping:
            frames = ", ".join(str(start.frame) for start in late[:3])
            self.message = f"frame {frames} with a drawn box was not there; {last} was the last one"


def _row(numbers: array.array) -> Row:
    frame, target, x, y, w, h, score, second, lost, presence, *_ = numbers
    judged = None if math.isnan(presence) else presence
    return Row(int(frame), int(target), x, y, w, h, score, second, bool(lost), judged)


def _state(cx: float, cy: float, w: float, h: float, lost: float, evidence: float) -> State:
    return State(cx, cy, w, h, bool(lost), evidence)
