"""Tracks that tools store by keyframes: what lies between them is interpolated linearly."""

from collections.abc import Container, Sequence
from typing import NamedTuple

import numpy as np

from siamjax.media.labels.model import MOST_FRAMES, Shape


class Key(NamedTuple):
    """A keyframe.

    Attributes:
        shape: the target there.
        here: whether it is seen in that frame.
        after: whether it is seen in the frames that follow, up to the next key.
    """

    shape: Shape
    here: bool
    after: bool


def filled(
    keys: Sequence[Key], end: int | None, frames: Container[int] | None = None
) -> list[Shape]:
    """A shape for each frame in which the target is seen.

    Args:
        keys: in any order.
        end: the frame behind the video's last, up to which the last key holds; None: not known,
            it does not hold.
        frames: those that were labelled; None: all.

    Raises:
        ValueError: a frame's number is none of a video.
    """
    keys = sorted(keys, key=lambda key: key.shape.frame)
    numbers = [end or 0, *(key.shape.frame for key in keys)]
    if not 0 <= min(numbers) <= max(numbers) < MOST_FRAMES:
        raise ValueError(f"frames {min(numbers)} to {max(numbers)}")
    shapes = []
    for key, following in zip(keys, [*keys[1:], None]):
        first = key.shape.frame
        if key.here:
            shapes.append(key.shape)
        if not key.after:
            continue
        start = np.asarray(key.shape.box, np.float64)
        last, step = end or first, np.zeros(4)
        if following is not None:
            last = following.shape.frame
            step = (np.asarray(following.shape.box) - start) / (last - first or 1)
        for frame in range(first + 1, last):
            if frames is None or frame in frames:
                box = start + step * (frame - first)
                shape = key.shape._replace(
                    frame=frame, box=box.tolist(), polygon=None, keyframe=False
                )
                shapes.append(shape)
    return shapes
