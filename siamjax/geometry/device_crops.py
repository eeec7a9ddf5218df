"""Crop windows inside `jax.jit`: the pixels of `siamjax.geometry.crops`, bit for bit."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, UInt8

from siamjax.geometry.crops import LARGEST_SIDE, window_origin

Array = np.ndarray | jax.Array

# OpenCV's 8-bit bilinear resize works with weights of 11 bits.
_WEIGHT_ONE = 2048
_FAR = 2.0**30  # px, from an image to a window that shows nothing of it


def device_colour_mean(
    image: UInt8[Array, "h w c"], image_size: Int[Array, "2"] | None = None
) -> UInt8[jax.Array, " c"]:
    """`crops.colour_mean` in integers alone, for images of any size.

    Args:
        image: zero outside `image_size`.
        image_size: width and height of the valid upper left part, px; None: all of it.
    """
    width, height = image.shape[1::-1] if image_size is None else image_size
    rows = jnp.sum(image.astype(jnp.int32), 1)
    # floor(sum / (H W)) without the sum over all pixels, which may exceed 32 bits
    remainder = jnp.sum(rows % width, 0)
    whole = jnp.sum(rows // width, 0) + remainder // width
    return (whole // height).astype(jnp.uint8)


def device_subwindow(
    image: UInt8[Array, "h w c"],
    centre: Float[Array, "2"],
    model_size: int,
    side: Int[Array, ""] | int,
    average: UInt8[Array, " c"],
    image_size: Int[Array, "2"] | None = None,
) -> UInt8[jax.Array, "{model_size} {model_size} c"]:
    """`crops.subwindow` by OpenCV's arithmetic in integers.

    Args:
        image: BGR.
        centre: x, y of the window's centre, px; taken as float32.
        model_size: side of the result, px (static).
        side: side of the window, whole px; one over `crops.LARGEST_SIDE` counts as that.
        average: colour of what lies outside the image.
        image_size: width and height of the valid upper left part of a padded image, px; None: all
            of it.
    """
    side = jnp.clip(jnp.asarray(side, jnp.int32), 1, LARGEST_SIDE)
    origin = window_origin(jnp.asarray(centre, jnp.float32), side.astype(jnp.float32))
    origin = jnp.clip(origin, -_FAR, _FAR).astype(jnp.int32)
    width, height = image.shape[1::-1] if image_size is None else image_size
    xs, x_weights = _taps(model_size, side, clamp_weight=True)
    ys, y_weights = _taps(model_size, side, clamp_weight=False)
    xs, ys = xs + origin[0], ys + origin[1]
    inside_x, inside_y = (xs >= 0) & (xs < width), (ys >= 0) & (ys < height)
    # both taps of every row and column in one gather
    rows, columns = ys.reshape(-1, 1), xs.reshape(1, -1)
    pixels = jnp.asarray(image).at[rows, columns].get(mode="clip")
    inside = inside_y.reshape(-1, 1, 1) & inside_x.reshape(1, -1, 1)
    pixels = jnp.where(inside, pixels, jnp.asarray(average)[None, None]).astype(jnp.int32)
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
    period = 2 * size
    position = (2 * jnp.arange(size, dtype=jnp.int32) + 1) * side - size
    first, rest = position // period, position % period
    # fractions with the 23 bits that float32 has for positions in 1..2, and the remainders
    table = np.stack(np.divmod(np.arange(period, dtype=np.int64) << 23, period))
    bits, remainder = jnp.asarray(table, jnp.int32)[:, rest]
    # a position in 2**e..2**(e + 1) keeps e bits less; one below 1 would keep more, which does not
    # reach the 11 bits of a weight
    exponent = 31 - jax.lax.clz(jnp.maximum(first, 1))
    kept = bits >> exponent
    dropped = 2 * ((bits - (kept << exponent)) * period + remainder)
    kept = _half_to_even(kept, dropped, jnp.left_shift(period, exponent))
    one = jnp.left_shift(1, 23 - exponent)
    weights = _round_shift(jnp.stack([one - kept, kept]), (12 - exponent)[None])
    if clamp_weight:  # OpenCV does so for columns; for rows it only repeats the border row
        border = (first < 0) | (first >= side - 1)
        weights = jnp.where(border[None], jnp.array([[_WEIGHT_ONE], [0]], jnp.int32), weights)
    return jnp.clip(jnp.stack([first, first + 1]), 0, side - 1), weights


def _round_shift(value, shift):
    """value / 2**shift, rounded half to even; exact for a negative shift."""
    value = jnp.left_shift(value, jnp.maximum(-shift, 0))
    shift = jnp.maximum(shift, 0)
    quotient = value >> shift
    return _half_to_even(quotient, 2 * (value - (quotient << shift)), jnp.left_shift(1, shift))


def _half_to_even(quotient, twice_remainder, divisor):
    """A quotient that was rounded down, rounded to the nearest."""
    up = (twice_remainder > divisor) | ((twice_remainder == divisor) & (quotient % 2 == 1))
    return quotient + up.astype(jnp.int32)
