"""A video file, or one behind an http address, decoded by the FFmpeg inside OpenCV."""

import functools
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2

from siamjax.errors import UserError
from siamjax.media.opencv import open_capture, readable
from siamjax.media.selection import Grab, Selection
from siamjax.media.source import DEFAULT_FPS, Video

_log = logging.getLogger(__name__)


class VideoFile(Video):
    """A video with an end, turned as its metadata say.

    The end of the data is the end. The number of frames that a container announces is an estimate,
    in most from the duration of sound and picture; where it is more than a second off, that is
    logged as a warning.

    Args:
        shown: what messages call it.
        name: for default output names.
        connect: opens it.
        again: whether a break is worth another try: of a file that comes over a network.

    Raises:
        UserError: not a video, or one without a readable frame.
    """

    def __init__(
        self,
        shown: str,
        name: str,
        connect: Callable[[], cv2.VideoCapture],
        selection: Selection,
        again: bool = False,
    ):
        self._shown, self._connect, self._again = shown, connect, again
        capture = connect()
        self._rate, self._announced = rate(capture), announced(capture)
        decodable = capture.grab()
        capture.release()
        if not decodable:
            raise UserError(f"{shown}: a video without a readable frame; encode it again")
        super().__init__(name, selection, self._rate, self._announced)

    def _grabs(self) -> Iterator[Grab]:
        count = 0
        for _ in range(2 if self._again else 1):
            # Every frame is decoded, none is sought: seeking is as exact as the container's index.
            for grab in grabs(self._connect(), self._rate):
                if grab.number == count:
                    yield grab
                    count += 1
            if self._announced is None or count > self._announced - self._rate:
                break
        if self._announced is not None and abs(self._announced - count) > self._rate:
            _log.warning(
                "%s: announces about %d frames, %d could be decoded; all of these are used",
                self._shown,
                self._announced,
                count,
            )


def video_file(path: Path, selection: Selection, shown: str = "") -> VideoFile:
    """A file on disk; `shown` is what messages call it, "": its path.

    Raises:
        UserError: not a video, or one without a readable frame.
    """
    shown = shown or readable(os.fspath(path))
    fault = f"{shown}: not a video that OpenCV can read; encode it again"
    connect = functools.partial(open_capture, path, cv2.CAP_FFMPEG, fault)
    return VideoFile(shown, readable(path.stem), connect, selection)


def announced(capture: cv2.VideoCapture) -> int | None:
    """The number of frames that the source announces; None where it does not."""
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    return count if count > 0 else None


def rate(capture: cv2.VideoCapture) -> float:
    """Frames per second; 25 where the source does not say."""
    fps = capture.get(cv2.CAP_PROP_FPS)
    return fps if 0 < fps < 1000 else DEFAULT_FPS


def grabs(capture: cv2.VideoCapture, fps: float) -> Iterator[Grab]:
    """All frames of an open capture, which is released at the end."""

    def fetch():
        good, frame = capture.retrieve()
        return frame if good else None

    number = 0
    try:
        while capture.grab():
            seconds = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if number and not seconds > 0:  # a stream without times
                seconds = number / fps
            yield Grab(number, seconds, fetch)
            number += 1
    finally:
        capture.release()
