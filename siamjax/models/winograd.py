"""3x3 convolution by Winograd's minimal filtering F(2x2, 3x3): 16 products where there were 36.

Lavin and Gray, "Fast algorithms for convolutional neural networks" (arXiv 1509.09308), section 4.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


@functools.partial(
    jax.checkpoint, static_argnums=(2, 3)
)  # the transformed tiles are four times the input: remade in the backward pass
def winograd_conv2d(
    x: Float[Array, "b h w c"], kernel: Float[Array, "3 3 c d"], padding: int, dilation: int
) -> Float[Array, "b _ _ d"]:
    """A 3x3 convolution of stride 1, as sixteen matrix products on 2x2 tiles of the output.

    Args:
        padding: zeros around the image, px.
        dilation: distance of the kernel's taps, px.

    Returns:
        (B, H', W', D), H' = H + 2 * padding - 2 * dilation, rounded twice as coarsely as a sum.
    """
    batch, height, width, channels = x.shape
    rows, columns = (size + 2 * padding - 2 * dilation for size in (height, width))
    # A dilated convolution is a dense one on each of the dilation ** 2 subgrids of the pixels.
    tile_rows, tile_columns = (-(-size // (2 * dilation)) for size in (rows, columns))
    grid_rows, grid_columns = 2 * tile_rows + 2, 2 * tile_columns + 2
    below = grid_rows * dilation - height - padding
    right = grid_columns * dilation - width - padding
    x = jnp.pad(x, ((0, 0), (padding, below), (padding, right), (0, 0)))
    x = x.reshape(batch, grid_rows, dilation, grid_columns, dilation, channels)

    inputs = [
        column
        for row in _transform_input(_patches(x, 1))
        for column in _transform_input(_patches(row, 3))
    ]
    kernels = [
        column
        for row in _transform_kernel([kernel[0], kernel[1], kernel[2]])
        for column in _transform_kernel([row[0], row[1], row[2]])
    ]
    # One product after the other: each transformed kernel is used while it is in the cache.
    products = [
        tile.reshape(-1, channels) @ transformed for tile, transformed in zip(inputs, kernels)
    ]
    half = [_transform_output(products[4 * i : 4 * i + 4]) for i in range(4)]
    left, right = (_transform_output(list(column)) for column in zip(*half))
    y = jnp.stack([jnp.stack([a, b]) for a, b in zip(left, right)])
    y = y.reshape(2, 2, batch, tile_rows, dilation, tile_columns, dilation, -1)
    y = y.transpose(2, 3, 0, 4, 5, 1, 6, 7)
    y = y.reshape(batch, 2 * tile_rows * dilation, 2 * tile_columns * dilation, -1)
    return y[:, :rows, :columns]


def _patches(array, axis):
    """The four rows (or columns) of each 4x4 patch; patches overlap by two.

    Pairs first, then the first or second of each: the gradient of slices with a stride would add up
    four arrays that are zero in every other place.
    """
    shape = array.shape
    pairs = array.reshape(*shape[:axis], shape[axis] // 2, 2, *shape[axis + 1 :])
    even, odd = (jax.lax.index_in_dim(pairs, i, axis + 1, keepdims=False) for i in range(2))
    tiles = shape[axis] // 2 - 1
    return [
        jax.lax.slice_in_dim(part, first, first + tiles, axis=axis)
        for first in range(2)
        for part in (even, odd)
    ]


def _transform_input(d):
    return [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]]


def _transform_kernel(g):
    return [g[0], (g[0] + g[1] + g[2]) * 0.5, (g[0] - g[1] + g[2]) * 0.5, g[2]]


def _transform_output(m):
    return [m[0] + m[1] + m[2], m[1] - m[2] - m[3]]
