"""Cross-correlation of template and search features: each target is its own kernel.

Every function here works on one pair; the network applies it to a batch through `jax.vmap`.
"""

import jax
import jax.numpy as jnp

from siamjax.models import backend
from siamjax.models.conv import conv2d


def depthwise_correlation(search, kernel):
    """Correlates each channel of the search features with the same channel of the kernel, unpadded.

    Depth-wise cross-correlation of SiamRPN++, section 3.3.

    Args:
        search: (H, W, C) features of the search crop.
        kernel: (h, w, C) features of the template, h <= H, w <= W.

    Returns:
        (H - h + 1, W - w + 1, C) similarity per channel.
    """
    return (
        correlate_by_shifts_custom(search, kernel)
        if backend.name() == "cpu"
        else correlate_by_shifts(search, kernel)
    )


def correlate_by_shifts(search, kernel):
    """`depthwise_correlation` as a sum over the kernel's offsets, which XLA fuses into one loop;
    shapes as there: (H, W, C) and (h, w, C)."""
    height, width, _ = kernel.shape
    rows, columns = search.shape[0] - height + 1, search.shape[1] - width + 1
    return sum(
        search[i : i + rows, j : j + columns] * kernel[i, j]
        for i in range(height)
        for j in range(width)
    )


def correlate_by_grouped_conv(search, kernel):
    """`depthwise_correlation` as the convolution with one group per channel: the oracle.

    It is what other frameworks run, and slow in XLA on CPU, its gradient most of all
    (benchmarks/xcorr.py). Shapes as there: (H, W, C) and (h, w, C).
    """
    return jax.lax.conv_general_dilated(
        search[None],
        kernel[:, :, None, :],
        window_strides=(1, 1),
        padding="VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=search.shape[-1],
    )[0]


def upchannel_correlation(search, kernel):
    """Correlates the search features with a full kernel per output channel (SiamRPN, section 3.2).

    Args:
        search: (H, W, C).
        kernel: (h, w, D * C), channel d * C + c.

    Returns:
        (H - h + 1, W - w + 1, D).
    """
    height, width, _ = kernel.shape
    kernel = kernel.reshape(height, width, -1, search.shape[-1]).swapaxes(2, 3)
    return conv2d(search[None], kernel)[0]


@jax.custom_vjp
def correlate_by_shifts_custom(search, kernel):
    """`correlate_by_shifts` of (H, W, C) and (h, w, C) with the gradient that CPUs do fastest."""
    return correlate_by_shifts(search, kernel)


def _forward(search, kernel):
    return correlate_by_shifts(search, kernel), (search, kernel)


def _backward(residuals, gradient):
    search, kernel = residuals
    height, width, _ = kernel.shape
    padding = ((height - 1, height - 1), (width - 1, width - 1), (0, 0))
    d_search = correlate_by_shifts(jnp.pad(gradient, padding), kernel[::-1, ::-1])
    return d_search, _kernel_gradient(search, gradient, (height, width))


def _kernel_gradient(search, gradient, size):
    """d kernel[i, j] = sum over positions of search[position + (i, j)] * gradient[position].

    One pass over the positions with the small (h, w, C) block as accumulator: on CPU it stays in
    registers and cache, where h * w separate reductions read the features h * w times.
    """
    height, width = size
    channels = search.shape[-1]
    rows, columns, _ = gradient.shape

    def step(total, index):
        i, j = index // columns, index % columns
        patch = jax.lax.dynamic_slice(search, (i, j, 0), (height, width, channels))
        value = jax.lax.dynamic_slice(gradient, (i, j, 0), (1, 1, channels))
        return total + patch * value, None

    zero = jnp.zeros((height, width, channels), gradient.dtype)
    return jax.lax.scan(step, zero, jnp.arange(rows * columns))[0]


correlate_by_shifts_custom.defvjp(_forward, _backward)

batched_depthwise_correlation = jax.vmap(depthwise_correlation)
batched_upchannel_correlation = jax.vmap(upchannel_correlation)
