"""Convolution layers of NHWC images, and what all layers of a network share."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jax.typing import DTypeLike

from siamjax.errors import UserError
from siamjax.models.formulations import FORMULATIONS, PRODUCT, Operations
from siamjax.models.initialise import parameter
from siamjax.models.norm import BatchNorm


@dataclass(frozen=True)
class Numerics:
    """What every layer of a network shares.

    Attributes:
        dtype: of the computation; parameters and statistics are float32 whatever it is.
        early_dtype: of the computation of the first layers, see `early`.
        bn_axis_name: device axis that batch statistics are averaged over; None: per device.
        folded: batch normalisations are part of the convolutions (`siamjax.models.folding`).
        formulation: of the operations, a name of `siamjax.models.formulations.FORMULATIONS`.
    """

    dtype: DTypeLike = jnp.float32
    bn_axis_name: str | None = None
    folded: bool = False
    formulation: str = "platform"
    early_dtype: DTypeLike = jnp.float32

    @property
    def operations(self) -> Operations:
        """Convolutions, correlation and pooling in the formulation asked for."""
        return FORMULATIONS[self.formulation]

    def exact(self) -> "Numerics":
        """The same in float32, for layers that give logits and offsets."""
        return replace(self, dtype=jnp.float32)

    def early(self) -> "Numerics":
        """The same for the first layers, whose rounding the rest of the network magnifies."""
        return replace(self, dtype=self.early_dtype)


# PyTorch's default for convolutions: uniform within +-1 / sqrt(fan in)
torch_uniform = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
# ResNet's: normal with variance 2 / (kh * kw * out)
fan_out_normal = nn.initializers.variance_scaling(2, "fan_out", "normal")


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
        """The images, convolved.

        Raises:
            UserError: no channels, by too small a width.
        """
        if self.features < 1:
            raise UserError(
                f"{'/'.join(map(str, self.path))}: no channels are left; raise model.width or "
                "model.adjust_channels"
            )
        dtype, operations = self.numerics.dtype, self.numerics.operations
        inputs = 1 if self.depthwise else x.shape[-1]
        shape = (self.size, self.size, inputs, self.features)
        kernel = jnp.asarray(parameter(self, "kernel", self.kernel_init, shape), dtype)
        apply = operations.depthwise_conv2d if self.depthwise else operations.conv2d
        y = apply(jnp.asarray(x, dtype), kernel, self.stride, self.padding, self.dilation)
        if self.bias:
            bound = 1 / math.sqrt(math.prod(shape[:3]))
            draw = functools.partial(jax.random.uniform, minval=-bound, maxval=bound)
            bias = parameter(self, "bias", draw, (self.features,))
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
    """Convolution (child `conv`), batch normalisation (child `bn`), 3x3 pooling at stride 2 if
    wanted, an activation if wanted."""

    features: int
    size: int = 1
    stride: int = 1
    padding: int = 0
    bias: bool = False
    pool: bool = False
    activation: Callable | None = None
    numerics: Numerics = Numerics()

    @nn.compact
    def __call__(self, x, train: bool = False):
        fields = ("features", "size", "stride", "padding", "bias")
        conv = {name: getattr(self, name) for name in fields}
        y = conv_bn(self.numerics, x, train, "conv", **conv)
        if self.pool:
            y = self.numerics.operations.max_pool(y, 0)
        return self.activation(y) if self.activation else y


class Blocks(nn.Module):
    """Layers of one class in a row, children `block0`, `block1`, ...

    Where they do not train, their result counts as a convolution's for rematerialisation: nothing
    of them is computed again.

    Attributes:
        block: makes a layer from its fields and a name.
        fields: of each layer.
    """

    block: Callable
    fields: Sequence[Mapping]

    @nn.compact
    def __call__(self, x, train: bool = False):
        for i, fields in enumerate(self.fields):
            x = self.block(**fields, name=f"block{i}")(x, train)
        return x if train else checkpoint_name(x, PRODUCT)
