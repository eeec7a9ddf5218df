"""Convolution layers of NHWC images, and what all layers of a network share."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from siamjax.models.formulations import FORMULATIONS, Operations
from siamjax.models.norm import BatchNorm


@dataclass(frozen=True)
class Numerics:
    """What every layer of a network shares.

    Attributes:
        dtype: of the computation; parameters and statistics are float32 whatever it is.
        bn_axis_name: device axis that batch statistics are averaged over; None: per device.
        folded: batch normalisations are part of the convolutions (`siamjax.models.folding`).
        formulation: of the operations, a name of `siamjax.models.formulations.FORMULATIONS`.
    """

    dtype: DTypeLike = jnp.float32
    bn_axis_name: str | None = None
    folded: bool = False
    formulation: str = "platform"

    @property
    def operations(self) -> Operations:
        """Convolutions, correlation and pooling in the formulation asked for."""
        return FORMULATIONS[self.formulation]

    def exact(self) -> "Numerics":
        """The same in float32, for layers whose rounding the rest of the network magnifies."""
        return replace(self, dtype=jnp.float32)


def torch_uniform(key, shape, dtype=jnp.float32, fan_in: int | None = None):
    """PyTorch's default for convolutions: uniform within +-1 / sqrt(fan in).

    Args:
        fan_in: of the kernel that a bias belongs to; None: that of a kernel of this shape.
    """
    bound = 1 / math.sqrt(math.prod(shape[:3]) if fan_in is None else fan_in)
    return jax.random.uniform(key, shape, dtype, -bound, bound)


def fan_out_normal(key, shape, dtype=jnp.float32):
    """ResNet's: normal with variance 2 / (kh * kw * out)."""
    return jax.random.normal(key, shape, dtype) * math.sqrt(2 / (shape[0] * shape[1] * shape[3]))


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
    numerics: Numerics = Numerics()
    kernel_init: Callable = torch_uniform

    @nn.compact
    def __call__(self, x):
        dtype, operations = self.numerics.dtype, self.numerics.operations
        inputs = 1 if self.depthwise else x.shape[-1]
        shape = (self.size, self.size, inputs, self.features)
        kernel = jnp.asarray(self.param("kernel", self.kernel_init, shape), dtype)
        apply = operations.depthwise_conv2d if self.depthwise else operations.conv2d
        y = apply(jnp.asarray(x, dtype), kernel, self.stride, self.padding, self.dilation)
        if self.bias:
            shared = (self.features,), jnp.float32, math.prod(shape[:3])
            bias = self.param("bias", torch_uniform, *shared)
            y = y + jnp.asarray(bias, dtype)[None, None, None]
        return y


def conv_bn(numerics: Numerics, x, train: bool, name: str, dtype: DTypeLike | None = None, **conv):
    """A convolution and its batch normalisation, as two children of the module that calls this.

    Args:
        name: of the convolution; the normalisation has "bn" where it has "conv".
        dtype: of the output; None: that of the computation.
        conv: further arguments of `Conv`.
    """
    dtype = numerics.dtype if dtype is None else dtype
    conv = dict(conv, numerics=numerics, name=name)
    if numerics.folded:
        return Conv(**conv | {"bias": True})(x).astype(dtype)
    y = Conv(**conv)(x)
    return BatchNorm(dtype, numerics.bn_axis_name, name=name.replace("conv", "bn"))(y, train)


class ConvBN(nn.Module):
    """Convolution (child `conv`), batch normalisation (child `bn`), and a ReLU if wanted."""

    features: int
    size: int = 1
    relu: bool = False
    numerics: Numerics = Numerics()

    @nn.compact
    def __call__(self, x, train: bool = False):
        y = conv_bn(self.numerics, x, train, "conv", features=self.features, size=self.size)
        return nn.relu(y) if self.relu else y
