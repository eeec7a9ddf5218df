"""Which frames of a video are wanted: from where on, how many, and every how many."""

import math
import re
from collections.abc import Callable, Container, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from siamjax.errors import UserError


class Grab(NamedTuple):
    """A frame that has come, not yet converted to an array.

    Attributes:
        number: in the source, from 0.
        seconds: since the source's first frame.
        fetch: gives the frame (H, W, 3) BGR uint8; None where it cannot be decoded.
    """

    number: int
    seconds: float
    fetch: Callable[[], np.ndarray | None]


class Selection(NamedTuple):
    """The frames that are wanted.

    Attributes:
        start: number of the first frame, or a text: "120" or, in seconds, "4.5s".
        frames: how many at most; None: all.
        stride: every so many frames; 1: each.
    """

    start: int | str = 0
    frames: int | None = None
    stride: int = 1

    def checked(self) -> "Selection":
        """The same.

        Raises:
            UserError: a value that means nothing.
        """
        self.first()
        for name, value in (("frames", self.frames), ("stride", self.stride)):
            if value is not None and value < 1:
                raise UserError(f"--{name}={value}: must be at least 1")
        return self

    def first(self) -> tuple[int, float]:
        """The least number of a frame, and its least time in seconds, that `start` asks for.

        Raises:
            UserError: neither a frame's number nor seconds.
        """
        number = re.fullmatch(r"\d+", str(self.start))
        seconds = re.fullmatch(r"(\d+\.?\d*|\.\d+)s", str(self.start))
        if number:
            return int(number[0]), 0.0
        if seconds:
            return 0, float(seconds[1])
        raise UserError(f"--start={self.start}: give a frame's number (120) or seconds (4.5s)")

    def numbers(self, total: int, fps: float) -> range:
        """The wanted ones of `total` frames at `fps` frames per second."""
        number, seconds = self.first()
        first = max(number, math.ceil(seconds * fps - 1e-3))
        return range(first, max(first, total), self.stride)[: self.frames]

    def of(self, grabs: Iterable[Grab], skip: Container[int] = ()) -> Iterator[tuple[int, Any]]:
        """The wanted frames among all of a source, with their numbers.

        Args:
            skip: numbers of frames that are known to be good and whose pixels are not needed: None
                stands for them.

        Raises:
            UserError: the source ends before the first of them.
        """
        number, seconds = self.first()
        wanted, given, last = None, 0, -1
        for last, time, fetch in grabs:
            if wanted is None and last >= number and time > seconds - 1e-3:
                wanted = last
            if wanted is None or last < wanted:
                continue
            frame = None if last in skip else fetch()
            if frame is None and last not in skip:
                continue
            yield last, frame
            wanted, given = last + self.stride, given + 1
            if given == self.frames:
                return
        if wanted is None and (number or seconds):
            raise UserError(f"--start={self.start}: the video ends before, after {last + 1} frames")
