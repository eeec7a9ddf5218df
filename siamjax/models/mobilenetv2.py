"""MobileNetV2 of any width at stride 8 (arXiv 1801.04381), dilated for SiamRPN++."""

import functools
from collections.abc import Sequence

import flax.linen as nn
from jaxtyping import Array, Float, Num

from siamjax.models.conv import Blocks, ConvBN, Numerics, conv_bn

# Per layer1..layer7: expansion factor, channels, blocks, stride of the first block, dilation.
LAYERS = (
    (1, 16, 1, 1, 1),
    (6, 24, 2, 2, 1),
    (6, 32, 3, 2, 1),
    (6, 64, 4, 1, 2),
    (6, 96, 3, 1, 2),
    (6, 160, 3, 1, 4),
    (6, 320, 1, 1, 4),
)
STEM = 32  # channels of layer0
LEVELS = {f"layer{i}": i for i in range(8)}


class InvertedResidual(nn.Module):
    """1x1 expansion (also where the factor is 1), 3x3 per channel, linear 1x1 projection.

    Attributes:
        features: output channels; the input is added where stride is 1 and the channels agree.
        expansion: factor of the hidden channels on the input's.
    """

    features: int
    expansion: int
    numerics: Numerics
    stride: int
    dilation: int

    @nn.compact
    def __call__(self, x, train: bool = False):
        hidden = x.shape[-1] * self.expansion
        padding = self.dilation if self.dilation > 1 else 2 - self.stride
        spatial = dict(size=3, stride=self.stride, padding=padding, dilation=self.dilation)
        layer = functools.partial(conv_bn, self.numerics, train=train)
        y = nn.relu6(layer(x, name="expand_conv", features=hidden))
        y = layer(y, name="depthwise_conv", features=hidden, depthwise=True, **spatial)
        y = layer(nn.relu6(y), name="project_conv", features=self.features)
        return x + y if self.stride == 1 and x.shape == y.shape else y


class MobileNetV2(nn.Module):
    """The backbone: 127 px -> 15 cells, 255 px -> 31 cells from level 3 on.

    Attributes:
        width: factor on all channels, truncated to whole ones (1.4 in the published tracker).
        levels: outputs, 0..7; layers beyond the last are not built.
    """

    width: float = 1.4
    levels: Sequence[int] = (3, 5, 7)
    numerics: Numerics = Numerics()

    def channels(self) -> tuple[int, ...]:
        """Output channels per level."""
        own = (STEM, *(layer[1] for layer in LAYERS))
        return tuple(int(own[level] * self.width) for level in self.levels)

    @nn.compact
    def __call__(
        self, x: Num[Array, "b height width 3"], train_parts: Sequence[str] = ()
    ) -> dict[int, Float[Array, "b _h _w _c"]]:
        """Raw 0..255, BGR -> features by level; see `ResNet`."""
        stem = ConvBN(
            features=int(STEM * self.width),
            size=3,
            stride=2,
            activation=nn.relu6,
            numerics=self.numerics.early(),
            name="layer0",
        )
        x = stem(x, "layer0" in train_parts)
        levels = {0: x}
        before = 1
        for i, layer in enumerate(LAYERS[: max(self.levels)], 1):
            expansion, channels, blocks, stride, dilation = layer
            # A change of dilation sets in at half.
            first = dilation if dilation == before else max(dilation // 2, 1)
            spatial = [(stride, first), *[(1, dilation)] * (blocks - 1)]
            fields = [dict(stride=stride, dilation=dilation) for stride, dilation in spatial]
            features = int(channels * self.width)
            block = functools.partial(InvertedResidual, features, expansion, self.numerics)
            x = levels[i] = Blocks(block, fields, name=f"layer{i}")(x, f"layer{i}" in train_parts)
            before = dilation
        return {level: levels[level] for level in self.levels}
