"""Convolutions of NHWC images, each in the formulation that its backend runs fastest."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import flax.linen as nn
import jax
import jax.numpy as jnp

from siamjax.models import backend
from siamjax.models.norm import BatchNorm
from siamjax.models.winograd import winograd_conv2d

# Channels from which Winograd's 3x3 convolution is the fastest on CPU (benchmarks/forward.py).
WIDE = 64


@dataclass(frozen=True)
class Numerics:
    """What every layer of a network shares.

    Attributes:
        dtype: of the computation; parameters and statistics are float32 whatever it is.
        bn_axis_name: device axis that batch statistics are averaged over; None: per device.
        folded: batch normalisations are part of the convolutions (`siamjax.models.folding`).
    """

    dtype: jnp.dtype = jnp.float32
    bn_axis_name: str | None = None
    folded: bool = False

    def exact(self) -> "Numerics":
        """The same in float32, for layers whose rounding the rest of the network magnifies."""
        return replace(self, dtype=jnp.float32)


def conv2d(x, kernel, stride: int = 1, padding: int = 0, dilation: int = 1):
    """Convolution (in the neural network's sense: correlation) with zero padding.

    On CPU a 1x1 kernel is a matrix product, a wide 3x3 one goes through Winograd's transform or, at
    stride 2, is a product with patches: XLA's own convolution is slower there, its weight gradient
    most of all. Elsewhere it is `lax.conv`.

    Args:
        x: (B, H, W, C).
        kernel: (kh, kw, C, D).
        stride, padding, dilation: px, the same for both directions.

    Returns:
        (B, H', W', D), H' = (H + 2 * padding - dilation * (kh - 1) - 1) // stride + 1.
    """
    if backend.name() == "cpu":
        size, channels, features = kernel.shape[1:]
        if (size, stride, padding) == (1, 1, 0):
            return _pointwise_on_cpu(x, kernel[0, 0])
        # The transform's sums need more digits than bfloat16 has.
        wide = min(channels, features) >= WIDE and x.dtype == jnp.float32
        if (size, stride) == (3, 1) and wide:
            return winograd_conv2d(x, kernel, padding, dilation)
        if (size, stride) == (3, 2) and wide:
            patches = jnp.concatenate(shifts(x, kernel.shape, stride, padding, dilation), -1)
            return patches @ kernel.reshape(-1, features)
    return lax_conv(x, kernel, stride, padding, dilation)


@jax.custom_vjp
def _pointwise_on_cpu(x, kernel):
    """A product whose gradient turns the narrower of its two factors: a product on CPU copies a
    factor that has to be turned, and computes what led to it once more on the way."""
    return x @ kernel


def _pointwise_forward(x, kernel):
    return x @ kernel, (x, kernel)


def _pointwise_backward(residuals, gradient):
    x, kernel = residuals
    inputs, outputs = x.reshape(-1, x.shape[-1]), gradient.reshape(-1, gradient.shape[-1])
    if x.shape[-1] <= gradient.shape[-1]:
        kernel_gradient = inputs.T @ outputs
    else:
        kernel_gradient = (outputs.T @ inputs).T
    return gradient @ kernel.T, kernel_gradient


_pointwise_on_cpu.defvjp(_pointwise_forward, _pointwise_backward)


def lax_conv(x, kernel, stride=1, padding=0, dilation=1, groups=1):
    """`conv2d` by XLA's convolution; `groups` as torch has it, kernel (kh, kw, C / groups, D);
    lengths in px."""
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=((padding, padding), (padding, padding)),
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


def depthwise_conv2d(x, kernel, stride: int = 1, padding: int = 0, dilation: int = 1):
    """One kernel per channel, the same for all images: x (B, H, W, C), kernel (kh, kw, 1, C);
    lengths in px."""
    if backend.name() == "cpu":
        return _depthwise_on_cpu(x, kernel, stride, padding, dilation)
    if backend.name() == "gpu":
        # cuDNN's grouped convolutions made a training step with MobileNetV2 twelve times slower
        return depthwise_by_shifts(x, kernel, stride, padding, dilation)
    return lax_conv(x, kernel, stride, padding, dilation, groups=x.shape[-1])


def depthwise_by_shifts(x, kernel, stride=1, padding=0, dilation=1):
    """`depthwise_conv2d` as a sum over the kernel's taps, which XLA fuses into one loop; x
    (B, H, W, C), kernel (kh, kw, 1, C), lengths in px."""
    patches = shifts(x, kernel.shape, stride, padding, dilation)
    taps = kernel.reshape(-1, 1, 1, 1, x.shape[-1])
    return sum(patch * tap for patch, tap in zip(patches, taps))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _depthwise_on_cpu(x, kernel, stride, padding, dilation):
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


def shifts(x, kernel_shape, stride, padding, dilation, fill=0.0):
    """The kh * kw shifted copies of x (B, H, W, C) that the kernel's taps see, row by row;
    lengths in px."""
    around = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    x = jnp.pad(x, around, constant_values=fill)
    height, width = kernel_shape[:2]
    rows = (x.shape[1] - dilation * (height - 1) - 1) // stride + 1
    columns = (x.shape[2] - dilation * (width - 1) - 1) // stride + 1
    return [
        x[
            :,
            dilation * i : dilation * i + stride * (rows - 1) + 1 : stride,
            dilation * j : dilation * j + stride * (columns - 1) + 1 : stride,
        ]
        for i in range(height)
        for j in range(width)
    ]


def max_pool(x, padding: int = 0):
    """3x3 maximum at stride 2, (B, H, W, C).

    On CPU as a maximum of nine shifted copies: XLA's window reduction has a slow gradient there.
    """
    if backend.name() != "cpu":
        return nn.max_pool(x, (3, 3), (2, 2), ((padding, padding), (padding, padding)))
    patches = shifts(x, (3, 3), 2, padding, 1, fill=-jnp.inf)
    return functools.reduce(jnp.maximum, patches)


def torch_uniform(key, shape, dtype=jnp.float32):
    """PyTorch's default for convolutions: uniform within +-1 / sqrt(fan in)."""
    fan_in = shape[0] * shape[1] * shape[2]
    return jax.random.uniform(key, shape, dtype, -1.0, 1.0) / jnp.sqrt(fan_in)


def fan_out_normal(key, shape, dtype=jnp.float32):
    """ResNet's: normal with variance 2 / (kh * kw * out)."""
    return jax.random.normal(key, shape, dtype) * jnp.sqrt(2.0 / (shape[0] * shape[1] * shape[3]))


class Conv(nn.Module):
    """A square convolution; parameters `kernel` (k, k, C or 1, D) and, if wanted, `bias` (D,).

    Attributes:
        features: output channels D.
        size: side k of the kernel, px.
        depthwise: one kernel per channel; `features` must equal the input's channels.
    """

    features: int
    size: int = 1
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    bias: bool = False
    depthwise: bool = False
    dtype: jnp.dtype = jnp.float32
    kernel_init: Callable = torch_uniform

    @nn.compact
    def __call__(self, x):
        inputs = 1 if self.depthwise else x.shape[-1]
        shape = (self.size, self.size, inputs, self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        apply = depthwise_conv2d if self.depthwise else conv2d
        y = apply(
            x.astype(self.dtype),
            kernel.astype(self.dtype),
            self.stride,
            self.padding,
            self.dilation,
        )
        if self.bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,))
            y = y + bias.astype(self.dtype)[None, None, None]
        return y


def conv_bn(numerics: Numerics, conv: dict, x, train: bool, names: Sequence[str], dtype=None):
    """A convolution and its batch normalisation, as two children of the module that calls this.

    Args:
        conv: arguments of `Conv`.
        names: of the convolution and of the normalisation.
        dtype: of the output; None: that of the computation.
    """
    dtype = numerics.dtype if dtype is None else dtype
    conv = dict(conv, dtype=numerics.dtype, name=names[0])
    if numerics.folded:
        return Conv(**conv | {"bias": True})(x).astype(dtype)
    y = Conv(**conv)(x)
    return BatchNorm(dtype, numerics.bn_axis_name, name=names[1])(y, train)


class ConvBN(nn.Module):
    """Convolution (child `conv`), batch normalisation (child `bn`), and a ReLU if wanted."""

    features: int
    size: int = 1
    relu: bool = False
    numerics: Numerics = Numerics()

    @nn.compact
    def __call__(self, x, train: bool = False):
        conv = {"features": self.features, "size": self.size}
        y = conv_bn(self.numerics, conv, x, train, ("conv", "bn"))
        return nn.relu(y) if self.relu else y
