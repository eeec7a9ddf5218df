"""The operations on NHWC images, each in the formulation that its platform runs fastest.

`TABLE` holds them all; `FORMULATIONS` is what layers choose from by name. Lengths are in px.
"""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float

from siamjax.models.winograd import winograd_conv2d

Images = Float[Array, "b h w c"]
Kernel = Float[Array, "kh kw _ d"]
ChannelKernel = Float[Array, "kh kw 1 c"]  # for one channel each
Convolved = Float[Array, "b _ _ d"]
Filtered = Float[Array, "b _ _ c"]  # the same channels

# Channels from which Winograd's 3x3 convolution is the fastest on CPU (benchmarks/forward.py).
WIDE = 64
# Name of a convolution's result, for policies of rematerialisation (`jax.checkpoint`).
PRODUCT = "product"


def lax_conv(
    x: Images, kernel: Kernel, stride: int = 1, padding: int = 0, dilation: int = 1, groups: int = 1
) -> Convolved:
    """`conv2d` by XLA's convolution; `groups` as torch has it, kernel (kh, kw, C / groups, D)."""
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=((padding, padding), (padding, padding)),
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


def shifts(
    x: Images,
    kernel_shape: Sequence[int],
    stride: int,
    padding: int,
    dilation: int,
    fill: float = 0.0,
) -> list[Filtered]:
    """The kh * kw shifted copies of x that the taps of a kernel (kh, kw, ...) see, row by row."""
    around = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    x = jnp.pad(x, around, constant_values=fill)
    height, width = kernel_shape[:2]
    rows = (x.shape[1] - dilation * (height - 1) - 1) // stride + 1
    columns = (x.shape[2] - dilation * (width - 1) - 1) // stride + 1
    tall, wide = stride * (rows - 1) + 1, stride * (columns - 1) + 1
    return [
        x[:, i : i + tall : stride, j : j + wide : stride]
        for i in range(0, dilation * height, dilation)
        for j in range(0, dilation * width, dilation)
    ]


@jax.custom_vjp
def _product(x, kernel):
    """x @ kernel[0, 0], whose gradient turns the narrower of its two factors: a product on CPU
    copies a factor that has to be turned, and computes what led to it once more on the way."""
    return x @ kernel[0, 0]


def _product_backward(residuals, gradient):
    x, kernel = residuals
    inputs, outputs = x.reshape(-1, x.shape[-1]), gradient.reshape(-1, gradient.shape[-1])
    if x.shape[-1] <= gradient.shape[-1]:
        kernel_gradient = inputs.T @ outputs
    else:
        kernel_gradient = (outputs.T @ inputs).T
    return gradient @ kernel[0, 0].T, kernel_gradient[None, None]


_product.defvjp(lambda *arrays: (_product(*arrays), arrays), _product_backward)


def _winograd(x, kernel, padding, dilation):
    return winograd_conv2d(x, kernel, padding, dilation)


def _conv_as_patches(x, kernel, stride, padding, dilation):
    patches = jnp.concatenate(shifts(x, kernel.shape, stride, padding, dilation), -1)
    return patches @ kernel.reshape(-1, kernel.shape[-1])


def grouped_conv2d(
    x: Images, kernel: ChannelKernel, stride: int = 1, padding: int = 0, dilation: int = 1
) -> Filtered:
    """`depthwise_conv2d` by XLA's convolution."""
    return lax_conv(x, kernel, stride, padding, dilation, groups=x.shape[-1])


def depthwise_by_shifts(
    x: Images, kernel: ChannelKernel, stride: int = 1, padding: int = 0, dilation: int = 1
) -> Filtered:
    """`depthwise_conv2d` as a sum over the kernel's taps, which XLA fuses into one loop."""
    patches = shifts(x, kernel.shape, stride, padding, dilation)
    taps = kernel.reshape(-1, 1, 1, 1, x.shape[-1])
    return sum(patch * tap for patch, tap in zip(patches, taps))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _depthwise_on_cpu(x, kernel, stride=1, padding=0, dilation=1):
    """`depthwise_by_shifts`, whose own gradient reads the features once per tap, with that of
    `_depthwise_backward`, which reads them once."""
    return depthwise_by_shifts(x, kernel, stride, padding, dilation)


def _depthwise_forward(x, kernel, stride, padding, dilation):
    return _depthwise_on_cpu(x, kernel, stride, padding, dilation), (x, kernel)


def _depthwise_backward(stride, padding, dilation, residuals, gradient):
    x, kernel = residuals
    return (
        _depthwise_input_gradient(x.shape, kernel, gradient, stride, padding, dilation),
        _depthwise_kernel_gradient(x, kernel.shape, gradient, stride, padding, dilation),
    )


_depthwise_on_cpu.defvjp(_depthwise_forward, _depthwise_backward)


def _depthwise_input_gradient(shape, kernel, gradient, stride, padding, dilation):
    """The gradient, spread out by the stride, through the turned kernel."""
    around = [(0, 0, 0)]
    for side, taps, cells in zip(shape[1:3], kernel.shape, gradient.shape[1:3]):
        reach = dilation * (taps - 1)
        low = reach - padding
        around.append((low, side + reach - (cells - 1) * stride - 1 - low, stride - 1))
    spread = jax.lax.pad(gradient, jnp.zeros((), gradient.dtype), [*around, (0, 0, 0)])
    return _depthwise_on_cpu(spread, kernel[::-1, ::-1], 1, 0, dilation)


def _depthwise_kernel_gradient(x, shape, gradient, stride, padding, dilation):
    """One pass over the positions with the kernel-sized sum in registers and cache."""
    height, width, _, channels = shape
    x = jnp.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    images, rows, columns, _ = gradient.shape
    seen = (1, dilation * (height - 1) + 1, dilation * (width - 1) + 1, channels)

    def step(total, index):
        image, i, j = index // (rows * columns), index // columns % rows, index % columns
        patch = jax.lax.dynamic_slice(x, (image, i * stride, j * stride, 0), seen)
        value = jax.lax.dynamic_slice(gradient, (image, i, j, 0), (1, 1, 1, channels))
        product = patch[0, ::dilation, ::dilation] * value[0]
        return total + product.astype(jnp.float32), None

    zero = jnp.zeros((height, width, channels), jnp.float32)
    total, _ = jax.lax.scan(step, zero, jnp.arange(images * rows * columns))
    return total.reshape(shape).astype(x.dtype)


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
    "pointwise": {"cpu": _product, "default": lax_conv},
    "wide 3x3": {"cpu": _winograd, "default": lax_conv},
    "wide 3x3, stride 2": {"cpu": _conv_as_patches, "default": lax_conv},
    "depthwise": {
        "cpu": _depthwise_on_cpu,
        # cuDNN's grouped convolutions made a training step with MobileNetV2 twelve times slower
        "cuda": depthwise_by_shifts,
        "rocm": depthwise_by_shifts,
        "default": grouped_conv2d,
    },
    # shifts on TPUs too: here each image of a batch has a kernel of its own
    "correlation": {"cpu": _depthwise_on_cpu, "default": depthwise_by_shifts},
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
    x: Images, kernel: Kernel, stride: int = 1, padding: int = 0, dilation: int = 1
) -> Convolved:
    """Convolution (in the neural network's sense: correlation) with zero padding.

    Args:
        stride, padding, dilation: the same for both directions.

    Returns:
        (B, H', W', D), H' = (H + 2 * padding - dilation * (kh - 1) - 1) // stride + 1.
    """
    size, channels, features = kernel.shape[1:]
    # The transform's sums need more digits than bfloat16 has.
    wide = size == 3 and min(channels, features) >= WIDE and x.dtype == jnp.float32
    if (size, stride, padding) == (1, 1, 0):
        y = apply("pointwise", x, kernel)
    elif wide and stride == 1:
        y = apply("wide 3x3", x, kernel, padding=padding, dilation=dilation)
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
        max_pool: (x, padding) -> images.
    """

    conv2d: Callable
    depthwise_conv2d: Callable
    correlation: Callable
    max_pool: Callable


# "platform": each platform's own; "plain": what other programs can read, on any.
FORMULATIONS = {
    "platform": Operations(conv2d, depthwise_conv2d, correlation, max_pool),
    "plain": Operations(lax_conv, grouped_conv2d, depthwise_by_shifts, _pool_by_shifts),
}
