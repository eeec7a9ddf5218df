"""The square context crop around a target that training stores and reads (SiamFC's, at 511 px)."""

import math

import cv2
import numpy as np


def context_side(width: float, height: float, context: float = 0.5) -> float:
    """Side of a box with its context, px: sqrt((w + p)(h + p)), p = context * (w + h)."""
    pad = context * (width + height)
    return math.sqrt((width + pad) * (height + pad))


def context_crop(
    image: np.ndarray,
    box_xyxy,
    size: int = 511,
    exemplar: int = 127,
    context: float = 0.5,
    border=None,
    edges: bool = False,
) -> np.ndarray:
    """Cuts the square around a box that a training pair can be drawn from.

    The square is `size / exemplar` times the context square of the box; its corners fall on the
    centres of the crop's corner pixels, interpolation is bilinear, and what lies outside the image
    has its mean colour.

    Args:
        image: (H, W, 3) uint8.
        box_xyxy: left, top, right, bottom in px of the image, right > left, bottom > top.
        size: side of the crop, px.
        exemplar: side, px, that the context square of the box has in the crop.
        context: context on each side as a fraction of width + height of the box.
        border: colour outside of the image; None: the image's mean (pass it when one image has many
            boxes).
        edges: the box's coordinates count from the image's left and top edge, where those of a
            pixel's centre end in .5; False: from the centre of the first pixel, as the published
            training takes them.

    Returns:
        (size, size, 3) uint8; the target's centre is at (size - 1) / 2.
    """
    x1, y1, x2, y2 = (float(v) for v in box_xyxy)
    side = context_side(x2 - x1, y2 - y1, context) * size / exemplar
    scale = (size - 1) / side
    first = 0.5 if edges else 0.0  # centre of the first pixel
    left, top = (x1 + x2 - side) / 2 - first, (y1 + y2 - side) / 2 - first
    matrix = np.array([[scale, 0, -scale * left], [0, scale, -scale * top]])
    return cv2.warpAffine(
        image,
        matrix,
        (size, size),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=mean_colour(image) if border is None else border,
    )


def mean_colour(image: np.ndarray) -> tuple[float, float, float]:
    """Mean of each channel, the colour outside of the image."""
    return cv2.mean(image)[:3]


def target_in_crop(
    width: float, height: float, size: int = 511, exemplar: int = 127, context: float = 0.5
) -> np.ndarray:
    """The target's box in its context crop.

    Args:
        width, height: of the target in px of the source image, > 0.
        size, exemplar, context: as in `context_crop`.

    Returns:
        (4,) float64 cx, cy, w, h in px of the crop.
    """
    scale = exemplar / context_side(width, height, context)
    return np.array([size // 2, size // 2, width * scale, height * scale])
