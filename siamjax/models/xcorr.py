"""Cross-correlation of template and search features: each target is its own kernel.

Every function here works on one pair; the network applies it to a batch through `jax.vmap`.
"""

import jax

from siamjax.models import backend
from siamjax.models.conv import conv2d, depthwise_by_shifts, depthwise_conv2d, lax_conv


def depthwise_correlation(search, kernel):
    """Correlates each channel of the search features with the same channel of the kernel, unpadded.

    Depth-wise cross-correlation of SiamRPN++, section 3.3.

    Args:
        search: (H, W, C) features of the search crop.
        kernel: (h, w, C) features of the template, h <= H, w <= W.

    Returns:
        (H - h + 1, W - w + 1, C) similarity per channel.
    """
    # Shifted products on TPUs too, where depthwise layers are XLA's grouped convolution: here each
    # image of a batch has a kernel of its own.
    convolve = depthwise_conv2d if backend.name() == "cpu" else depthwise_by_shifts
    return convolve(search[None], kernel[:, :, None])[0]


def correlate_by_grouped_conv(search, kernel):
    """`depthwise_correlation` as the convolution with one group per channel: the oracle.

    It is what other frameworks run, and slow in XLA on CPU, its gradient most of all
    (benchmarks/xcorr.py). Shapes as there: (H, W, C) and (h, w, C).
    """
    return lax_conv(search[None], kernel[:, :, None], groups=search.shape[-1])[0]


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


batched_depthwise_correlation = jax.vmap(depthwise_correlation)
batched_upchannel_correlation = jax.vmap(upchannel_correlation)
