"""A video file's frames by index."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from siamjax import media
from siamjax.errors import UserError


def frame_count(path: Path, expected: int) -> int:
    """Number of frames of a video file: what it claims where that is expected, else what can be
    decoded; the claim is an estimate.

    Raises:
        UserError: not a video.
    """
    video = media.read_video(path)
    if video.count == expected:
        return expected
    return sum(1 for _ in video.numbered(skip=range(1 << 62)))  # without their pixels


class DecodedFrames(Sequence):
    """`frames[i]` decodes a video file up to frame i; quick where i grows, else from the beginning.

    Its length is what the file claims, which is an estimate. A slice shares nothing with it.

    Attributes:
        path: of the file.
        rate: frames per second.
        stored: as of `siamjax.media.source.Video`.
    """

    def __init__(self, path: Path, numbers: range | None = None):
        """Args: numbers: of the file's frames that are taken; None: all."""
        self.path = Path(path)
        video = media.read_video(path)
        self.rate, self.stored = video.fps, video.stored
        self._claimed = video.count or 0
        self._numbers = numbers
        self._rest: Iterator[np.ndarray] | None = None
        self._next = 0
        self._last: np.ndarray | None = None

    def __len__(self) -> int:
        return self._claimed if self._numbers is None else len(self._numbers)

    def __getitem__(self, index):
        if isinstance(index, slice):
            numbers = self._numbers
            if numbers is None:  # an estimate does not bound what is asked for
                numbers = range(max(self._claimed, index.stop or 0))
            return DecodedFrames(self.path, numbers[index])
        if self._numbers is not None:
            return self._decode(self._numbers[index])
        return self._decode(index if index >= 0 else index + self._claimed)

    def _decode(self, number: int) -> np.ndarray:
        if self._last is not None and number == self._next - 1:
            return self._last
        if self._rest is None or number < self._next:
            self._rest, self._next = iter(media.read_video(self.path)), 0
        for frame in self._rest or ():
            self._next, self._last = self._next + 1, frame
            if self._next > number:
                return frame
        self._rest = None
        raise UserError(f"{self.path}: frame {number} is behind the last, {self._next - 1}")

    def __getstate__(self):
        """Another process decodes on its own."""
        return self.__dict__ | {"_rest": None, "_next": 0, "_last": None}
