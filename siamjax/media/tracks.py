"""Tracks of a video: following targets, and where they were frame by frame."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Row(NamedTuple):
    """One target in one frame: frame and target count from 0; x, y, w, h in px from 0."""

    frame: int
    target: int
    x: float
    y: float
    w: float
    h: float
    score: float
    second_peak: float
    lost: bool

    @property
    def box(self) -> list[float]:
        """x, y, w, h in px, 0-based."""
        return [self.x, self.y, self.w, self.h]


def follow(
    frames: Iterable[np.ndarray], trackers: Sequence[Any], boxes: Sequence[Sequence[float]]
) -> Iterator[tuple[np.ndarray, list[Row], Any]]:
    """Follows a target with each tracker.

    Args:
        trackers: with `init` and `update` as of `siamjax.load`.
        boxes: first box of each target, x, y, w, h in px, 0-based.

    Yields:
        Each frame, a row per target, and the first target's prediction (None in the first frame).
    """
    found: list[Any] = [None]
    answers: list[Any]
    for number, frame in enumerate(frames):
        if number == 0:
            for tracker, box in zip(trackers, boxes):
                tracker.init(frame, box)
            answers = [(*box, 1.0, 0.0, False) for box in boxes]
        else:
            found = [tracker.update(frame) for tracker in trackers]
            answers = [(*p.box, p.score, p.second_peak, p.lost) for p in found]
        yield frame, [Row(number, k, *answer) for k, answer in enumerate(answers)], found[0]


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
