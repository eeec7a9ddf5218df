"""Tracks of a video: where its targets were, frame by frame."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class Row(NamedTuple):
    """One target in one frame: frame and target count from 0; x, y, w, h in px from 0. presence is
    None where the box was given, and where the weights have no map of it."""

    frame: int
    target: int
    x: float
    y: float
    w: float
    h: float
    score: float
    second_peak: float
    lost: bool
    presence: float | None = None

    @property
    def box(self) -> list[float]:
        """x, y, w, h in px, 0-based."""
        return [self.x, self.y, self.w, self.h]


class Tracks(NamedTuple):
    """The tracks of a video.

    Attributes:
        rows: by frame, then target.
        boxes: first box of each target, x, y, w, h in px, 0-based.
        video: its name.
        fps: frames per second.
        checkpoint: name or path of the tracker's weights.
        names: of the targets; empty: none was given one.
        media: the video file; None: images, or no file.
    """

    rows: Sequence[Row]
    boxes: Sequence[Sequence[float]]
    video: str
    fps: float
    checkpoint: str
    names: Sequence[str] = ()
    media: Path | None = None
