"""What every source of frames is: a `Video`, whatever stands behind it."""

import abc
import contextlib
from collections.abc import Container, Generator, Iterable, Iterator
from typing import Any

import numpy as np

from siamjax.media.selection import Grab, Selection

DEFAULT_FPS = 25.0


class Video(Iterable[np.ndarray], abc.ABC):
    """Frames (H, W, 3) uint8, BGR, in order; iterate it (again for another pass).

    Attributes:
        name: short name, for titles and default output names.
        fps: frames per second of those that are given: the source's over the stride.
        count: about how many frames will be given, None where that is not known. A container's
            count is an estimate.
        live: whether the frames come as time passes: a camera or a stream. Then the newest frame
            is given, and `dropped` counts those that came while nobody asked.
        dropped: frames of a live source that were left out, in the last or current pass.
        stored: width and height of a frame in px before it is turned as its metadata say; None:
            not known.
    """

    live = False
    stored: tuple[int, int] | None = None

    def __init__(
        self,
        name: str,
        selection: Selection,
        fps: float = DEFAULT_FPS,
        total: int | None = None,
    ):
        self.name, self.selection = name, selection.checked()
        self.fps = fps / selection.stride
        self.count = None if total is None else len(selection.numbers(total, fps))
        self.dropped = 0

    def __iter__(self) -> Iterator[np.ndarray]:
        with contextlib.closing(self.numbered()) as frames:
            for _, frame in frames:
                yield frame

    def numbered(self, skip: Container[int] = ()) -> Generator[tuple[int, Any], None, None]:
        """The frames with their numbers in the source, from 0.

        Args:
            skip: as `Selection.of` takes it.

        Raises:
            UserError: the source ends before the first frame that is wanted.
        """
        with contextlib.closing(self._grabs()) as grabs:
            yield from self.selection.of(grabs, skip)

    @abc.abstractmethod
    def _grabs(self) -> Generator[Grab, None, None]:
        """All frames of the source, in order."""
