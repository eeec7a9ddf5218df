"""The first nine blocks of MobileNetV3-small (arXiv 1905.02244), dilated to stride 8."""

import functools
from collections.abc import Callable, Sequence

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from siamjax.models.conv import Conv, ConvBN, Numerics, conv_bn

# Per layer1..layer9: side of the kernel, hidden channels, channels, squeeze and excite, activation,
# stride in the published network, dilation at stride 8 (the paper's table 2; layer9 at stride 1).
LAYERS = (
    (3, 16, 16, True, nn.relu, 2, 1),
    (3, 72, 24, False, nn.relu, 2, 1),
    (3, 88, 24, False, nn.relu, 1, 1),
    (5, 96, 40, True, nn.hard_swish, 2, 1),
    (5, 240, 40, True, nn.hard_swish, 1, 2),
    (5, 240, 40, True, nn.hard_swish, 1, 2),
    (5, 120, 48, True, nn.hard_swish, 1, 2),
    (5, 144, 48, True, nn.hard_swish, 1, 2),
    (5, 288, 96, True, nn.hard_swish, 1, 2),
)
STEM = 16  # channels of layer0
LEVELS = {f"layer{i}": i for i in range(10)}


class SqueezeExcite(nn.Module):
    """Scales each channel by a function of all channels' means, in float32 (section 5.3): children
    `squeeze` (1x1, ReLU), `excite` (1x1, hard sigmoid)."""

    numerics: Numerics

    @nn.compact
    def __call__(self, x):
        channels = x.shape[-1]
        layer = functools.partial(Conv, bias=True, numerics=self.numerics.exact())
        mean = x.astype(jnp.float32).mean((1, 2), keepdims=True)
        narrow = nn.relu(layer(_divisible(channels // 4), name="squeeze")(mean))
        return x * nn.hard_sigmoid(layer(channels, name="excite")(narrow)).astype(x.dtype)


def _divisible(channels: int) -> int:
    """The multiple of 8 nearest to a number of channels, at least 8, at least 0.9 of it."""
    nearest = max(8, (channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


class InvertedResidual(nn.Module):
    """1x1 expansion, a kernel per channel, squeeze and excite if wanted, linear 1x1 projection.

    Where the hidden channels are the input's there is no expansion, and the activation comes before
    the squeeze and excite, as in the published weights.

    Attributes:
        size: side of the kernel.
        hidden: channels between expansion and projection.
        features: output channels; the input is added where stride is 1 and the channels agree.
        padding: of the kernel.
    """

    size: int
    hidden: int
    features: int
    gated: bool
    activation: Callable
    stride: int
    dilation: int
    padding: int
    numerics: Numerics

    @nn.compact
    def __call__(self, x, train: bool = False):
        layer = functools.partial(conv_bn, self.numerics, train=train)
        spatial = {name: getattr(self, name) for name in ("size", "stride", "dilation", "padding")}
        depthwise = functools.partial(layer, name="depthwise_conv", depthwise=True, **spatial)
        gate = SqueezeExcite(self.numerics, name="gate") if self.gated else lambda y: y
        if self.hidden == x.shape[-1]:
            y = gate(self.activation(depthwise(x, features=self.hidden)))
        else:
            y = self.activation(layer(x, name="expand_conv", features=self.hidden))
            y = self.activation(gate(depthwise(y, features=self.hidden)))
        y = layer(y, name="project_conv", features=self.features)
        return x + y if self.stride == 1 and x.shape == y.shape else y


class MobileNetV3(nn.Module):
    """The backbone: 127 px -> 15 cells, 255 px -> 31 cells from level 2 on.

    Attributes:
        width: factor on all channels, truncated to whole ones.
        levels: outputs, 0..9, the layer's number; layers beyond the last are not built.
        stride: 8: dilated and not padded where a layer's stride is 2, as the paper treats ResNet
            (section 3.2); 16: padded as published.
    """

    width: float = 1.0
    levels: Sequence[int] = (3, 6, 9)
    stride: int = 8
    numerics: Numerics = Numerics()

    def channels(self) -> tuple[int, ...]:
        """Output channels per level."""
        own = (STEM, *(layer[2] for layer in LAYERS))
        return tuple(int(own[level] * self.width) for level in self.levels)

    @nn.compact
    def __call__(
        self, x: Num[Array, "b height width 3"], train_parts: Sequence[str] = ()
    ) -> dict[int, Float[Array, "b _h _w _c"]]:
        """Raw 0..255, BGR -> features by level; see `ResNet`."""
        dilated = self.stride == 8
        stem = ConvBN(
            features=int(STEM * self.width),
            size=3,
            stride=2,
            padding=0 if dilated else 1,
            activation=nn.hard_swish,
            numerics=self.numerics.early(),
            name="layer0",
        )
        x = stem(x, "layer0" in train_parts)
        levels = {0: x}
        for i, layer in enumerate(LAYERS[: max(self.levels)], 1):
            size, hidden, channels, gated, activation, stride, dilation = layer
            stride = 1 if dilated and i > 2 else stride
            dilation = dilation if dilated else 1
            block = InvertedResidual(
                size=size,
                hidden=int(hidden * self.width),
                features=int(channels * self.width),
                gated=gated,
                activation=activation,
                stride=stride,
                dilation=dilation,
                padding=0 if dilated and stride == 2 else dilation * (size // 2),
                numerics=self.numerics,
                name=f"layer{i}",
            )
            x = levels[i] = block(x, f"layer{i}" in train_parts)
        return {level: levels[level] for level in self.levels}
