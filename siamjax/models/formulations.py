"""The operations on NHWC images, each in the formulation that its platform runs fastest.

`TABLE` holds them all; `FORMULATIONS` is what layers choose from by name. Lengths are in px.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float

from siamjax.models.convolutions import (
    ChannelKernel,
    Convolved,
    Filtered,
    Images,
    Kernel,
    conv_as_patches,
    depthwise_by_shifts,
    depthwise_on_cpu,
    dilated_on_gpu,
    grouped_conv2d,
    lax_conv,
    product,
    shifts,
)
from siamjax.models.winograd import winograd_conv2d

# Channels from which Winograd's 3x3 convolution is the fastest on CPU (benchmarks/forward.py).
WIDE = 64
# Name of a convolution's result, for policies of rematerialisation (`jax.checkpoint`).
PRODUCT = "product"


def _winograd(x, kernel, padding, dilation):  # its checkpoint takes them by position alone
    return winograd_conv2d(x, kernel, padding, dilation)


def _correlate_as_patches(x, kernel):
    return conv_as_patches(x, kernel, 1, 0, 1)


def _pool_by_shifts(x, padding):
    return functools.reduce(jnp.maximum, shifts(x, (3, 3), 2, padding, 1, fill=-jnp.inf))


def _pool_by_window(x, padding):
    return nn.max_pool(x, (3, 3), (2, 2), ((padding, padding), (padding, padding)))


def _mean_over_devices(value, axis):
    """Every device holds as many values, so means of means are exact."""
    return value if axis is None else jax.lax.pmean(value, axis)


def _moments_in_two_passes(x, axis):
    x, axes = x.astype(jnp.float32), tuple(range(x.ndim - 1))
    mean = _mean_over_devices(x.mean(axes), axis)
    return mean, _mean_over_devices(jnp.square(x - along(mean, x)).mean(axes), axis)


def moments_in_one_pass(
    x: Float[Array, "*b c"], axis: str | None = None
) -> tuple[Float[Array, " c"], Float[Array, " c"]]:
    """`moments` for devices whose time goes into reading x: its values are counted from the first
    one, so that the difference of mean square and squared mean loses no digits to the mean."""
    axes = tuple(range(x.ndim - 1))
    first = x[(0,) * len(axes)].astype(jnp.float32)
    away = x.astype(jnp.float32) - along(first, x)
    offset, square = away.mean(axes), jnp.square(away).mean(axes)
    var = jnp.maximum(square - jnp.square(offset), 0)
    mean = _mean_over_devices(first + offset, axis)
    return mean, _mean_over_devices(var + jnp.square(first + offset - mean), axis)


def along(channels: Float[Array, " c"], x: Float[Array, "*b c"]) -> Float[Array, "*_ c"]:
    """(C,) with as many axes as x (..., C)."""
    return jnp.expand_dims(channels, range(x.ndim - 1))


# Operation: its formulation by platform. XLA's own convolution is slower on CPU, its gradient by
# the kernel most of all, and so is the gradient of its window reduction.
TABLE = {
    "pointwise": {"cpu": product, "default": lax_conv},
    # so that what stands around it may become part of it (XLA's fusions of products on GPUs)
    "pointwise by product": {"default": product},
    "wide 3x3": {"cpu": _winograd, "default": lax_conv},
    "wide 3x3, dilated": {
        "cpu": _winograd,
        "cuda": dilated_on_gpu,
        "rocm": dilated_on_gpu,
        "default": lax_conv,
    },
    "dilated": {"cuda": dilated_on_gpu, "rocm": dilated_on_gpu, "default": lax_conv},
    "wide 3x3, stride 2": {"cpu": conv_as_patches, "default": lax_conv},
    "depthwise": {
        "cpu": depthwise_on_cpu,
        # cuDNN's grouped convolutions made a training step with MobileNetV2 twelve times slower
        "cuda": depthwise_by_shifts,
        "rocm": depthwise_by_shifts,
        "default": grouped_conv2d,
    },
    # shifts on TPUs too: here each image of a batch has a kernel of its own
    "correlation": {"cpu": depthwise_on_cpu, "default": depthwise_by_shifts},
    # each target has its own full kernel, which makes groups of XLA's convolution
    "full correlation": {"cpu": _correlate_as_patches, "default": lax_conv},
    "max pool": {"cpu": _pool_by_shifts, "default": _pool_by_window},
    "moments": {"cpu": _moments_in_two_passes, "default": moments_in_one_pass},
}


def apply(operation: str, *arrays: Array, **static):
    """An operation of `TABLE`, differentiable.

    Its formulation is chosen when the program is lowered, for several platforms at once if asked,
    not when it is traced; the gradient is the formulation's own.

    Args:
        static: arguments that are no arrays.
    """
    formulations = tuple(TABLE[operation].items())
    return _operation(formulations, tuple(sorted(static.items())))(*arrays)


# JAX keeps what it traced by function, so equal calls have to give the same function.
@functools.cache
def _operation(formulations, static):
    # one function where platforms share a formulation: it is traced once for all of them
    shared = {f: functools.partial(f, **dict(static)) for _, f in formulations}
    backwards = {f: _pullback(function) for f, function in shared.items()}
    pullbacks = {name: backwards[f] for name, f in formulations}
    formulations = {name: shared[f] for name, f in formulations}

    @jax.custom_vjp
    def run(*arrays):
        return jax.lax.platform_dependent(*arrays, **formulations)

    def backward(arrays, gradient):
        return jax.lax.platform_dependent(arrays, gradient, **pullbacks)

    run.defvjp(lambda *arrays: (run(*arrays), arrays), backward)
    return run


def _pullback(formulation):
    return lambda arrays, gradient: jax.vjp(formulation, *arrays)[1](gradient)


def conv2d(
    x: Images,
    kernel: Kernel,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    pointwise: str = "pointwise",
) -> Convolved:
    """Convolution (in the neural network's sense: correlation) with zero padding.

    Args:
        stride, padding, dilation: the same for both directions.
        pointwise: the operation of `TABLE` for 1x1 kernels.

    Returns:
        (B, H', W', D), H' = (H + 2 * padding - dilation * (kh - 1) - 1) // stride + 1.
    """
    size, channels, features = kernel.shape[1:]
    # The transform's sums need more digits than bfloat16 has.
    wide = size == 3 and min(channels, features) >= WIDE and x.dtype == jnp.float32
    if (size, stride, padding) == (1, 1, 0):
        y = apply(pointwise, x, kernel)
    elif stride == 1 and (wide or dilation > 1):
        names = ["wide 3x3"] * wide + ["dilated"] * (dilation > 1)
        y = apply(", ".join(names), x, kernel, padding=padding, dilation=dilation)
    elif wide and stride == 2:
        static = dict(stride=stride, padding=padding, dilation=dilation)
        y = apply("wide 3x3, stride 2", x, kernel, **static)
    else:
        y = lax_conv(x, kernel, stride, padding, dilation)
    return checkpoint_name(y, PRODUCT)


def depthwise_conv2d(
    x: Images, kernel: ChannelKernel, stride: int = 1, padding: int = 0, dilation: int = 1
) -> Filtered:
    """One kernel (kh, kw, 1, C) per channel, the same for all images."""
    return apply("depthwise", x, kernel, stride=stride, padding=padding, dilation=dilation)


def correlation(x: Images, kernel: ChannelKernel) -> Filtered:
    """`depthwise_conv2d` without padding, for kernels that differ between the images of a batch."""
    return apply("correlation", x, kernel)


def full_correlation(x: Images, kernel: Kernel) -> Convolved:
    """`conv2d` without padding, for kernels that differ between the images of a batch."""
    return apply("full correlation", x, kernel)


def max_pool(x: Images, padding: int = 0) -> Filtered:
    """3x3 maximum at stride 2."""
    return apply("max pool", x, padding=padding)


def moments(
    x: Float[Array, "*b c"], axis: str | None
) -> tuple[Float[Array, " c"], Float[Array, " c"]]:
    """Mean and biased variance of each channel, float32, over all devices of an axis."""
    return apply("moments", x, axis=axis)


class Operations(NamedTuple):
    """What layers call, in one formulation each.

    Attributes:
        conv2d, depthwise_conv2d: (x, kernel, stride, padding, dilation) -> images.
        correlation: (x, kernel) -> images, per channel as `depthwise_conv2d`.
        full_correlation: the same over all channels, as `conv2d`.
        max_pool: (x, padding) -> images.
    """

    conv2d: Callable
    depthwise_conv2d: Callable
    correlation: Callable
    full_correlation: Callable
    max_pool: Callable


_PLATFORM = Operations(conv2d, depthwise_conv2d, correlation, full_correlation, max_pool)
# "platform": each platform's own; "products": the same with 1x1 convolutions as products on all;
# "plain": what other programs can read, on any.
FORMULATIONS = {
    "platform": _PLATFORM,
    "products": _PLATFORM._replace(
        conv2d=functools.partial(conv2d, pointwise="pointwise by product")
    ),
    "plain": Operations(lax_conv, grouped_conv2d, grouped_conv2d, lax_conv, _pool_by_window),
}
