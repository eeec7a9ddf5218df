"""Crop windows of SiamRPN++: their size, place and pixels.

A window is a square of whole source pixels, resized to the side that the network takes. There are
two ways to its pixels with one definition: `subwindow` on the host (OpenCV) and `device_subwindow`
inside `jax.jit`. Their results are equal bit for bit, so a tracker sees the same with either.
"""

import numpy as np

# OpenCV's 8-bit bilinear resize works with weights of 11 bits.
_WEIGHT_ONE = 2048


def context_size(w, h, context=0.5):
    """Side of the square around a box: sqrt((w + p) (h + p)), p = context (w + h).

    Args:
        w, h: size of the box, px; numbers or arrays.
        context: margin as a fraction of w + h; .5 in all published models.

    Returns:
        Side in px, not rounded.
    """
    margin = context * (w + h)
    return ((w + margin) * (h + margin)) ** 0.5


def window_origin(centre, side):
    """First pixel of a window: floor(centre - (side + 1) / 2 + 0.5), per coordinate, as floats.

    Args:
        centre: (..., 2) x and y of the window's centre, px.
        side: side in whole px.
    """
    xp = _namespace(centre)
    return xp.floor(centre - (side + 1) / 2 + 0.5)


def colour_mean(image: np.ndarray) -> np.ndarray:
    """(3,) uint8 mean colour of an image, truncated; fills what a window has outside the image."""
    return image.mean(axis=(0, 1)).astype(np.uint8)


def subwindow(image: np.ndarray, centre, model_size: int, side: int, average) -> np.ndarray:
    """Cuts a square window and resizes it with OpenCV; exactly what the published tracker sees.

    Args:
        image: (H, W, 3) uint8.
        centre: x, y of the window's centre, px; may lie outside.
        model_size: side of the result, px.
        side: side of the window, whole px, at least 1.
        average: (3,) colour of what lies outside the image; truncated to whole grey levels.

    Returns:
        (model_size, model_size, 3) uint8.
    """
    import cv2

    height, width = image.shape[:2]
    x, y = (int(v) for v in window_origin(np.asarray(centre, np.float64), side))
    left, top = min(max(-x, 0), side), min(max(-y, 0), side)
    right, bottom = (min(max(x + side - width, 0), side), min(max(y + side - height, 0), side))
    if left + right >= side or top + bottom >= side:
        return np.broadcast_to(_fill(average), (model_size, model_size, 3)).copy()
    patch = image[y + top : y + side - bottom, x + left : x + side - right]
    if left or top or right or bottom:
        fill = tuple(int(v) for v in _fill(average))
        patch = cv2.copyMakeBorder(patch, top, bottom, left, right, cv2.BORDER_CONSTANT, value=fill)
    if side == model_size:
        return np.ascontiguousarray(patch)
    return cv2.resize(patch, (model_size, model_size), interpolation=cv2.INTER_LINEAR)


def device_colour_mean(image, image_size=None):
    """`colour_mean` inside `jax.jit`, in integers alone, for images of any size.

    Args:
        image: (H, W, 3) uint8; zero outside `image_size`.
        image_size: (2,) int32 width and height of the valid upper left part; None: all of it.

    Returns:
        (3,) uint8.
    """
    import jax.numpy as jnp

    width, height = _size(image, image_size)
    rows = jnp.sum(image.astype(jnp.int32), 1)
    # floor(sum / (H W)) without the sum over all pixels, which may exceed 32 bits
    remainder = jnp.sum(rows % width, 0)
    whole = jnp.sum(rows // width, 0) + remainder // width
    return (whole // height).astype(jnp.uint8)


def device_subwindow(image, centre, model_size: int, side, average, image_size=None):
    """`subwindow` inside `jax.jit`, bit for bit, by OpenCV's arithmetic in integers.

    Args:
        image: (H, W, 3) uint8.
        centre: (2,) float32 x, y of the window's centre, px.
        model_size: side of the result, px (static).
        side: () side of the window, whole px, may be traced.
        average: (3,) uint8 colour of what lies outside the image.
        image_size: (2,) int32 width and height of the valid upper left part of a padded image;
            None: all of it.

    Returns:
        (model_size, model_size, 3) uint8.
    """
    import jax.numpy as jnp

    side = jnp.asarray(side, jnp.int32)
    origin = window_origin(jnp.asarray(centre, jnp.float32), side.astype(jnp.float32))
    origin = origin.astype(jnp.int32)
    width, height = _size(image, image_size)
    xs, x_weights = _taps(model_size, side, clamp_weight=True)
    ys, y_weights = _taps(model_size, side, clamp_weight=False)
    xs, ys = xs + origin[0], ys + origin[1]
    inside_x, inside_y = (xs >= 0) & (xs < width), (ys >= 0) & (ys < height)
    # both taps of every row and column in one gather
    rows, columns = ys.reshape(-1), xs.reshape(-1)
    pixels = jnp.asarray(image).at[rows[:, None], columns[None, :]].get(mode="clip")
    inside = inside_y.reshape(-1)[:, None] & inside_x.reshape(-1)[None, :]
    pixels = jnp.where(inside[..., None], pixels, average).astype(jnp.int32)
    pixels = pixels.reshape(2, model_size, 2, model_size, -1)
    lines = jnp.sum(pixels * x_weights[None, None, :, :, None], 2)
    lines = (lines >> 4) * y_weights[:, :, None, None] >> 16
    return ((lines[0] + lines[1] + 2) >> 2).astype(jnp.uint8)


def _taps(size, side, clamp_weight):
    """Source positions (2, size) and integer weights (2, size) of OpenCV's bilinear resize.

    OpenCV rounds the position ((2 i + 1) side - size) / (2 size) to float32 and takes its fraction
    to 11 bits. A float division under XLA may become a product with the reciprocal, one bit off, so
    both roundings are done in integers.
    """
    import jax
    import jax.numpy as jnp

    period = 2 * size
    position = (2 * jnp.arange(size, dtype=jnp.int32) + 1) * side - size
    first, rest = position // period, position % period
    # fractions with the 23 bits that float32 has for positions in 1..2, and the remainders
    table = np.stack(np.divmod(np.arange(period, dtype=np.int64) << 23, period))
    bits, remainder = jnp.asarray(table, jnp.int32)[:, rest]
    # a position in 2**e..2**(e + 1) keeps e bits less
    exponent = 31 - jax.lax.clz(jnp.maximum(first, 1))
    kept = bits >> exponent
    dropped = 2 * ((bits - (kept << exponent)) * period + remainder)
    tie = jnp.left_shift(period, exponent)
    kept += (dropped > tie) | ((dropped == tie) & (kept % 2 == 1))
    one = jnp.left_shift(1, 23 - exponent)
    weights = _round_shift(jnp.stack([one - kept, kept]), 12 - exponent)
    # positions in -1/2..0 and 0..1 have a finer exponent: tables
    weights = jnp.where(first == 0, _small_weights(size, 0)[:, rest], weights)
    weights = jnp.where(first < 0, _small_weights(size, -1)[:, rest], weights)
    if clamp_weight:  # OpenCV does so for columns; for rows it only repeats the border row
        border = (first < 0) | (first >= side - 1)
        weights = jnp.where(border, jnp.array([[_WEIGHT_ONE], [0]]), weights)
        first = jnp.clip(first, 0, side - 1)
    return jnp.clip(jnp.stack([first, first + 1]), 0, side - 1), weights


def _small_weights(size, whole):
    """(2, 2 size) weights for positions whole + rest / (2 size), by OpenCV's float32 arithmetic."""
    import jax.numpy as jnp

    position = (whole + np.arange(2 * size) / (2 * size)).astype(np.float32)
    fraction = position - np.float32(whole)
    weights = np.stack([1 - fraction, fraction]) * np.float32(_WEIGHT_ONE)
    return jnp.asarray(np.rint(weights), jnp.int32)


def _round_shift(value, shift):
    """value / 2**shift, rounded half to even; exact for a negative shift."""
    import jax.numpy as jnp

    value = jnp.left_shift(value, jnp.maximum(-shift, 0))
    shift = jnp.maximum(shift, 0)
    quotient = value >> shift
    twice, one = 2 * (value - (quotient << shift)), jnp.left_shift(1, shift)
    return quotient + ((twice > one) | ((twice == one) & (quotient % 2 == 1)))


def _size(image, image_size):
    if image_size is None:
        return image.shape[1], image.shape[0]
    return image_size[0], image_size[1]


def _fill(average):
    return np.asarray(average).astype(np.uint8)


def _namespace(array):
    if isinstance(array, np.ndarray):
        return np
    import jax.numpy as jnp

    return jnp
