"""Cross-correlation of template and search features: each target is its own kernel.

Every function here works on one pair; the network applies it to a batch through `jax.vmap`.
"""

from jaxtyping import Array, Float

from siamjax.models.convolutions import grouped_conv2d
from siamjax.models.formulations import FORMULATIONS, Operations

PLATFORM = FORMULATIONS["platform"]
Features = Float[Array, "_ _ c"]


def depthwise_correlation(
    search: Features, kernel: Features, operations: Operations = PLATFORM
) -> Features:
    """Correlates each channel of the search features with the same channel of the kernel, unpadded.

    Depth-wise cross-correlation of SiamRPN++, section 3.4.

    Args:
        search: (H, W, C) features of the search crop.
        kernel: (h, w, C) features of the template, h <= H, w <= W.

    Returns:
        (H - h + 1, W - w + 1, C) similarity per channel.
    """
    return operations.correlation(search[None], kernel[:, :, None]).squeeze(0)


def correlate_by_grouped_conv(search: Features, kernel: Features) -> Features:
    """`depthwise_correlation` as the convolution with one group per channel: the oracle.

    It is what other frameworks run, and slow in XLA on CPU, its gradient most of all
    (benchmarks/xcorr.py).
    """
    return grouped_conv2d(search[None], kernel[:, :, None]).squeeze(0)


def upchannel_correlation(
    search: Features, kernel: Float[Array, "h w dc"], operations: Operations = PLATFORM
) -> Float[Array, "_ _ d"]:
    """Correlates the search features with a full kernel per output channel (SiamRPN, section 3.2).

    Args:
        search: (H, W, C).
        kernel: (h, w, D * C), channel d * C + c.

    Returns:
        (H - h + 1, W - w + 1, D).
    """
    height, width, _ = kernel.shape
    kernel = kernel.reshape(height, width, -1, search.shape[-1]).swapaxes(2, 3)
    return operations.full_correlation(search[None], kernel).squeeze(0)


def cross_correlation(
    search: Features, kernel: Features, operations: Operations = PLATFORM
) -> Float[Array, "_ _ 1"]:
    """Correlates the search features with the kernel over all channels at once (SiamFC, section 2).

    It is `upchannel_correlation` with one output channel, computed as the sum of
    `depthwise_correlation` over the channels, which is fast wherever that is.

    Args:
        search: (H, W, C).
        kernel: (h, w, C).

    Returns:
        (H - h + 1, W - w + 1, 1).
    """
    return depthwise_correlation(search, kernel, operations).sum(-1, keepdims=True)
