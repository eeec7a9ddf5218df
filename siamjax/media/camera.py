"""Cameras of this machine, by OpenCV."""

import functools
import logging
import re
from collections.abc import Generator

import cv2
import numpy as np

from siamjax.errors import UserError
from siamjax.media.decoder import Timed
from siamjax.media.source import DEFAULT_FPS

_log = logging.getLogger(__name__)


class Camera:
    """An open camera.

    Attributes:
        fps: frames per second; 25 where it does not say.
        announced: None, a camera has no end.

    Args:
        source: its number, or its device (/dev/video0).
        shown: what messages call it.
        resolution: the width and height that it is asked for, px; None: its own choice.

    Raises:
        UserError: it cannot be opened.
    """

    announced = None

    def __init__(self, source: int | str, shown: str, resolution: tuple[int, int] | None = None):
        backend = cv2.CAP_ANY if isinstance(source, int) else cv2.CAP_V4L2
        self._capture = cv2.VideoCapture(source, backend)
        if not self._capture.isOpened():
            raise UserError(f"{shown} cannot be opened; is it there and free?")
        if resolution is not None:
            names = cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT
            for name, value in zip(names, resolution):
                self._capture.set(name, value)
            got = tuple(int(self._capture.get(name)) for name in names)
            if got != resolution:
                _log.warning("%s: gives %dx%d px, not %dx%d", shown, *got, *resolution)
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = rate if 0 < rate < 1000 else DEFAULT_FPS

    def frames(self) -> Generator[Timed, None, None]:
        """All frames that it gives; then it is closed."""
        try:
            while True:
                good, frame = self._capture.read()
                if not good:
                    return
                yield 0.0, functools.partial(same, frame)
        finally:
            self._capture.release()

    def close(self) -> None:
        """For a camera whose frames are not wanted."""
        self._capture.release()


def parse_resolution(text: str) -> tuple[int, int]:
    """Width and height, px, of a text "1280x720".

    Raises:
        UserError: not such a text.
    """
    match = re.fullmatch(r"([1-9]\d*)[xX*]([1-9]\d*)", text)
    if match is None:
        raise UserError(f"--resolution={text}: give width x height in px, 1280x720")
    return int(match[1]), int(match[2])


def same(frame: np.ndarray) -> np.ndarray:
    """(H, W, 3) BGR: a frame that is there already, where one is fetched."""
    return frame
