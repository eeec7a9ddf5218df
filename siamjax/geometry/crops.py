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

LARGEST_SIDE = 1 << 20  # px, of a window; what follows from it fits 32 bits

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

    A window much larger than the image is not built: the pixels that OpenCV would take from it are
    computed from the image, with the same bits, so that no window costs much more than image and
    crop together.

    Args:
        image: BGR.
        centre: x, y of the window's centre, px; may lie outside.
        model_size: side of the result, px.
        side: side of the window, whole px, at least 1; one over `LARGEST_SIDE` counts as that.
        average: 3 values, colour of what lies outside the image; truncated to whole grey levels.
    """
    height, width = image.shape[:2]
    side = min(max(int(side), 1), LARGEST_SIDE)
    x, y = (int(v) for v in window_origin(np.asarray(centre, np.float64), side))
    left, top = min(max(-x, 0), side), min(max(-y, 0), side)
    right, bottom = min(max(x + side - width, 0), side), min(max(y + side - height, 0), side)
    fill = np.asarray(average).astype(np.uint8)
    if left + right >= side or top + bottom >= side:
        return _plain(fill, model_size)
    if side * side > 3 * width * height + (4 * model_size) ** 2:
        return _sparse(image, x, y, model_size, side, fill)
    patch = image[y + top : y + side, x + left : x + side]
    if left or top or right or bottom:
        border = (top, bottom, left, right)
        patch = cv2.copyMakeBorder(patch, *border, cv2.BORDER_CONSTANT, value=fill.tolist())
    if side == model_size:
        return np.ascontiguousarray(patch)
    return cv2.resize(patch, (model_size, model_size), interpolation=cv2.INTER_LINEAR)


def _plain(fill, size):
    """A crop of one colour, filled line by line."""
    line = np.tile(fill, size)
    return np.broadcast_to(line, (size, line.size)).copy().reshape(size, size, 3)


def _sparse(image, x, y, model_size, side, fill):
    """OpenCV's arithmetic for the window at (x, y), where its pixels touch the image."""
    height, width = image.shape[:2]
    into_x, columns, x_weights = _touching(model_size, side, x, width)
    into_y, rows, y_weights = _touching(model_size, side, y, height)
    crop = _plain(fill, model_size)
    if not (len(into_x) and len(into_y)):
        return crop
    # as bytes of a line, so that NumPy's inner loops are long
    channels = np.arange(3)
    inside = (3 * columns.clip(0, width - 1)[..., None] + channels).reshape(-1)
    found = image[rows.clip(0, height - 1).reshape(-1)].reshape(rows.size, -1).take(inside, 1)
    found[(rows.reshape(-1) < 0) | (rows.reshape(-1) >= height)] = np.tile(fill, columns.size)
    outside = np.flatnonzero((columns.reshape(-1) < 0) | (columns.reshape(-1) >= width))
    for column in outside:
        found[:, 3 * column : 3 * column + 3] = fill
    found = found.reshape(rows.size, 2, -1).astype(np.int32)
    left, right = np.repeat(x_weights, 3, 1)
    lines = found[:, 0] * left
    lines += found[:, 1] * right
    lines >>= 4
    lines = lines.reshape(2, len(into_y), -1)
    lines *= y_weights[:, :, None]
    lines >>= 16
    values = (lines[0] + lines[1] + 2) >> 2
    place = (slice(into_y[0], into_y[-1] + 1), slice(into_x[0], into_x[-1] + 1))
    crop[place] = values.reshape(len(into_y), len(into_x), 3)
    return crop


def _touching(size, side, origin, length):
    """Along an axis: the pixels of a crop that touch the image, and for each of them two pixels of
    the image (2, n) and their weights (2, n) of 11 bits."""
    position = ((2 * np.arange(size) + 1) * side - size) / (2 * size)
    position = position.astype(np.float32)
    first = np.floor(position)
    fraction = position - first
    weights = np.rint(np.stack([1 - fraction, fraction]) * 2048).astype(np.int32)
    taps = np.stack([first, first + 1]).clip(0, side - 1).astype(np.int64) + origin
    chosen = np.flatnonzero((taps[1] >= 0) & (taps[0] < length))
    return chosen, taps[:, chosen], weights[:, chosen]
