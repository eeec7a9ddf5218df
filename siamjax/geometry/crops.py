"""Crop windows of SiamRPN++: their size, place and pixels.

A window is a square of whole source pixels, resized to the side that the network takes. There are
two ways to its pixels with one definition: `subwindow` on the host (OpenCV) and
`siamjax.geometry.device_crops` inside `jax.jit`. Their results are equal bit for bit, so a tracker
sees the same with either.
"""

import cv2
import numpy as np
from jaxtyping import Float, Real, UInt8

from siamjax.geometry.arrays import AnyArray, Values, namespace

Size = Real[AnyArray, "*#b"] | float | int


def context_size(w: Size, h: Size, context: float = 0.5) -> Size:
    """Side of the square around a box: sqrt((w + p) (h + p)), p = context (w + h).

    Args:
        w, h: size of the box, px; numbers or arrays.
        context: margin as a fraction of w + h; .5 in all published models.

    Returns:
        Side in px, not rounded.
    """
    margin = context * (w + h)
    return ((w + margin) * (h + margin)) ** 0.5


def window_origin(
    centre: Float[AnyArray, "*b 2"], side: Real[AnyArray, ""] | float | int
) -> Float[AnyArray, "*b 2"]:
    """First pixel of a window: floor(centre - (side + 1) / 2 + 0.5), per coordinate, as floats.

    Args:
        centre: x and y of the window's centre, px.
        side: side in whole px.
    """
    return namespace(centre).floor(centre - (side + 1) / 2 + 0.5)


def colour_mean(image: UInt8[np.ndarray, "h w c"]) -> UInt8[np.ndarray, " c"]:
    """Mean colour of an image, truncated; fills what a window has outside the image."""
    return image.mean(axis=(0, 1)).astype(np.uint8)


def subwindow(
    image: UInt8[np.ndarray, "h w 3"], centre: Values, model_size: int, side: int, average: Values
) -> UInt8[np.ndarray, "{model_size} {model_size} 3"]:
    """Cuts a square window and resizes it with OpenCV; exactly what the published tracker sees.

    Args:
        image: BGR.
        centre: x, y of the window's centre, px; may lie outside.
        model_size: side of the result, px.
        side: side of the window, whole px, at least 1.
        average: 3 values, colour of what lies outside the image; truncated to whole grey levels.
    """
    height, width = image.shape[:2]
    x, y = (int(v) for v in window_origin(np.asarray(centre, np.float64), side))
    left, top = min(max(-x, 0), side), min(max(-y, 0), side)
    right, bottom = min(max(x + side - width, 0), side), min(max(y + side - height, 0), side)
    fill = np.asarray(average).astype(np.uint8)
    if left + right >= side or top + bottom >= side:
        return np.broadcast_to(fill, (model_size, model_size, 3)).copy()
    patch = image[y + top : y + side, x + left : x + side]
    if left or top or right or bottom:
        border = (top, bottom, left, right)
        patch = cv2.copyMakeBorder(patch, *border, cv2.BORDER_CONSTANT, value=fill.tolist())
    if side == model_size:
        return np.ascontiguousarray(patch)
    return cv2.resize(patch, (model_size, model_size), interpolation=cv2.INTER_LINEAR)
