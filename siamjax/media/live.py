"""Cameras and live streams: a thread takes every frame that comes, the newest one is given."""

import contextlib
import functools
import logging
import os
import threading
import time
from collections.abc import Callable, Container, Generator
from typing import Any

from siamjax import files
from siamjax.errors import UserError
from siamjax.media.camera import Camera, same
from siamjax.media.decoder import Decoder
from siamjax.media.selection import Grab, Selection
from siamjax.media.source import Video
from siamjax.media.writer import VideoWriter

_log = logging.getLogger(__name__)

WAIT = 10.0  # s, for a connection and for each frame
_PAUSE = 0.5  # s, between attempts to connect again
_FRESH = 1.0  # s, for which a connection that nobody reads holds no old frames


class Live(Video):
    """A camera or a stream.

    It is opened when the object is made, and the first pass uses that connection, unless it waited
    long enough to hold old frames. Frames are numbered as they come. After a break it is opened
    once more; the second break is the end, and so is the first one where that fails.

    Args:
        name: for default output names.
        shown: what messages call it.
        connect: opens it.
        record: a file to which every frame is written as it comes, dropped ones too: numbers of
            frames are those of the recording. What a kill or a full disk leaves of it plays. None:
            no recording.

    Raises:
        UserError: it cannot be opened, no frame comes, or the recording cannot be written.
    """

    live = True

    def __init__(
        self,
        name: str,
        shown: str,
        connect: Callable[[], Decoder | Camera],
        selection: Selection,
        record: str | os.PathLike | None = None,
    ):
        self._shown, self._connect, self._record = shown, connect, record
        self._opened: Decoder | Camera | None = connect()
        self._rate, self._announced = self._opened.fps, self._opened.announced
        self._since = time.monotonic()
        super().__init__(name, selection, self._rate)
        self._writer()  # tells at once where it cannot be
        for left in files.partial(record) if record is not None else ():
            _log.warning("%s: what a run recorded that was killed; give it another name", left)

    def numbered(self, skip: Container[int] = ()) -> Generator[tuple[int, Any], None, None]:
        """As of any video; frames that come while nobody asks are left out.

        Raises:
            UserError: no frame comes, or the recording cannot be written.
        """
        self.dropped, wanted = 0, None
        with contextlib.closing(super().numbered(skip)) as frames:
            for number, frame in frames:
                if wanted is not None:
                    self.dropped += number - wanted
                wanted = number + self.selection.stride
                yield number, frame

    def _grabs(self) -> Generator[Grab, None, None]:
        with contextlib.ExitStack() as stack:
            writer = self._writer()
            if writer is not None:
                stack.callback(writer.close)
            arrivals = _Arrivals(self._connected, writer)
            stack.callback(arrivals.stop)
            last = -1
            while (grab := arrivals.after(last)) is not None:
                last = grab.number
                yield grab

    def _connected(self, stopped: threading.Event) -> Generator[Grab, None, None]:
        """Every frame that comes, over both connections; times are those of the arrival."""
        opened, self._opened = self._opened, None
        if opened is not None and time.monotonic() - self._since > _FRESH:
            opened.close()
            opened = None
        source = opened or self._connect()
        number, began = 0, time.monotonic()
        for connection in range(2):
            with contextlib.closing(source.frames()) as frames:
                for _, fetch in frames:
                    yield Grab(number, time.monotonic() - began, fetch)
                    number += 1
            whole = self._announced and number > self._announced - self._rate
            if connection or whole or stopped.is_set():
                break
            _log.warning("%s: broke off after %d frames; connecting again", self._shown, number)
            again = self._again(stopped)
            if again is None:
                break
            source = again
        if not number:
            raise UserError(f"{self._shown}: no frame came")
        if not stopped.is_set():
            _log.warning("%s: ended after %d frames", self._shown, number)

    def _again(self, stopped: threading.Event) -> Decoder | Camera | None:
        """Opened again; None: that was not possible within `WAIT` seconds."""
        end = time.monotonic() + WAIT
        while not stopped.is_set():
            try:
                return self._connect()
            except UserError:
                if time.monotonic() > end:
                    return None
            stopped.wait(_PAUSE)
        return None

    def _writer(self) -> VideoWriter | None:
        return None if self._record is None else VideoWriter(self._record, self._rate, True)


class _Arrivals:
    """The newest of the frames that a thread takes.

    Args:
        frames: gives them, and ends some time after the event is set.
        writer: gets each of them; may be closed after `stop`.
    """

    def __init__(
        self,
        frames: Callable[[threading.Event], Generator[Grab, None, None]],
        writer: VideoWriter | None,
    ):
        self._changed = threading.Condition()
        self._stopped = threading.Event()
        self._newest: Grab | None = None
        self._ended = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._take, args=(frames, writer), daemon=True)
        self._thread.start()

    def after(self, number: int) -> Grab | None:
        """Waits for a frame behind that number, and gives the newest; None: the frames ended.

        Raises:
            UserError: what went wrong in the thread.
        """
        with self._changed:
            while self._newest is None or self._newest.number <= number:
                if self._error is not None:
                    raise self._error
                if self._ended:
                    return None
                self._changed.wait(0.5)
            return self._newest

    def stop(self) -> None:
        """Takes no more frames; a call of OpenCV that waits for one ends by its own limit."""
        with self._changed:
            self._stopped.set()
        self._thread.join(0.5)

    def _take(self, frames, writer):
        try:
            with contextlib.closing(frames(self._stopped)) as taken:
                for number, seconds, fetch in taken:
                    frame = fetch()
                    with self._changed:
                        if self._stopped.is_set():
                            return
                        if frame is None:
                            continue
                        if writer is not None:
                            writer.write(frame)
                        self._newest = Grab(number, seconds, functools.partial(same, frame))
                        self._changed.notify_all()
        except Exception as error:
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()
