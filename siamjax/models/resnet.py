"""ResNet-18, 34, 50 at stride 8: the last two stages dilate instead (SiamRPN++, section 3.2).

Stride 16 and 32 are those of the published classifiers, for comparison.
"""

import functools
from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from siamjax.models.conv import Blocks, Numerics, conv_bn, fan_out_normal

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
LEVELS = {"stem": 0, "layer1": 1, "layer2": 2, "layer3": 3, "layer4": 4}
CHANNELS = (64, 128, 256, 512)  # of the stages' 3x3 convolutions
# of the stages, by the stride of the whole; a stage that keeps its resolution dilates instead
STRIDES = {8: (1, 2, 1, 1), 16: (1, 2, 2, 1), 32: (1, 2, 2, 2)}
DILATIONS = {8: (1, 1, 2, 4), 16: (1, 1, 1, 2), 32: (1, 1, 1, 1)}
# Parts with a type of their own, float32 in a bfloat16 network: the later layers magnify their
# rounding, and they are 7 % of the multiply-adds (docs/network.md).
EARLY = ("conv1", "layer1", "layer2")


class Block(nn.Module):
    """What both kinds of residual block share.

    Attributes:
        channels: of the 3x3 convolutions.
        stride: of the block, 1 or 2. A stride-2 block is unpadded: 63 -> 31 and 31 -> 15.
        dilation: of the stage; the first block's own is half of it.
        first: the stage's first block, with a projection where the shape changes.
        projection: side of the projection's kernel. Beyond layer1 it is 3x3 and follows the block's
            padding, so that both paths see the same pixels.
    """

    channels: int
    stride: int
    dilation: int
    first: bool
    projection: int
    numerics: Numerics

    def spatial(self) -> dict:
        """Stride, padding and dilation of the 3x3 convolution that has the block's stride."""
        dilation = max(self.dilation // 2, 1) if self.first else self.dilation
        padding = dilation if self.dilation > 1 else 2 - self.stride
        return dict(stride=self.stride, padding=padding, dilation=dilation)

    def conv_bn(self, x, train, name, dtype=None, **conv):
        """A convolution with ResNet's initial values, and its normalisation."""
        conv = dict(conv, kernel_init=fan_out_normal)
        return conv_bn(self.numerics, x, train, name, dtype, **conv)

    def add(self, x, y, train):
        """The block's sum; its summands stay float32 until they are added."""
        if self.first and (self.stride != 1 or x.shape[-1] != y.shape[-1]):
            spatial = self.spatial() if self.projection == 3 else {}
            name, conv = "shortcut_conv", dict(size=self.projection, **spatial)
            x = self.conv_bn(x, train, name, jnp.float32, features=y.shape[-1], **conv)
        return nn.relu(x.astype(jnp.float32) + y).astype(self.numerics.dtype)


class BasicBlock(Block):
    """Two 3x3 convolutions (ResNet-18, 34)."""

    expansion = 1  # output channels / channels

    @nn.compact
    def __call__(self, x, train: bool = False):
        features, inner = self.channels, dict(padding=self.dilation, dilation=self.dilation)
        y = self.conv_bn(x, train, "conv1", features=features, size=3, **self.spatial())
        y = nn.relu(y)
        y = self.conv_bn(y, train, "conv2", jnp.float32, features=features, size=3, **inner)
        return self.add(x, y, train)


class Bottleneck(Block):
    """1x1 down to the block's channels, 3x3, 1x1 up to four times as many (ResNet-50)."""

    expansion = 4

    @nn.compact
    def __call__(self, x, train: bool = False):
        features = self.channels
        y = self.conv_bn(x, train, "conv1", features=features)
        y = nn.relu(y)
        y = self.conv_bn(y, train, "conv2", features=features, size=3, **self.spatial())
        y = nn.relu(y)
        y = self.conv_bn(y, train, "conv3", jnp.float32, features=4 * features)
        return self.add(x, y, train)


BLOCK = {18: BasicBlock, 34: BasicBlock, 50: Bottleneck}


class ResNet(nn.Module):
    """The backbone: 127 px -> 15 cells, 255 px -> 31 cells at levels 2, 3 and 4.

    Attributes:
        depth: 18, 34 or 50; 18 and 34 have basic blocks, 50 bottlenecks.
        width: factor on all channels, truncated to whole ones.
        blocks: residual blocks of layer1..layer4; empty: the depth's own.
        levels: outputs, 0 (the stem, before the pooling) to 4; parts beyond the last are not built.
        stride: px per cell of level 4: 8, 16 or 32.
        dilated: whether stages that keep their resolution dilate.
    """

    depth: int = 50
    width: float = 1.0
    blocks: Sequence[int] = ()
    levels: Sequence[int] = (2, 3, 4)
    stride: int = 8
    dilated: bool = True
    numerics: Numerics = Numerics()

    def channels(self) -> tuple[int, ...]:
        """Output channels per level."""
        expansion = BLOCK[self.depth].expansion
        own = (int(64 * self.width), *(int(c * self.width) * expansion for c in CHANNELS))
        return tuple(own[level] for level in self.levels)

    @nn.compact
    def __call__(
        self, x: Num[Array, "b height width 3"], train_parts: Sequence[str] = ()
    ) -> dict[int, Float[Array, "b _h _w _c"]]:
        """Raw 0..255, BGR -> features by level index.

        The batch normalisations of the parts named in `train_parts` (conv1, layer1..layer4) train.
        """
        blocks = self.blocks or BLOCKS[self.depth]
        levels = {}
        stem = dict(features=int(64 * self.width), size=7, stride=2, kernel_init=fan_out_normal)
        early = self.numerics.early()
        x = nn.relu(conv_bn(early, x, "conv1" in train_parts, "conv1", **stem))
        levels[0] = x
        if max(self.levels) > 0:
            x = early.operations.max_pool(x, 1)
        for i in range(max(self.levels)):
            name = f"layer{i + 1}"
            shared = dict(
                channels=int(CHANNELS[i] * self.width),
                dilation=DILATIONS[self.stride][i] if self.dilated else 1,
                projection=1 if i == 0 else 3,
                numerics=early if name in EARLY else self.numerics,
            )
            fields = [
                dict(first=j == 0, stride=STRIDES[self.stride][i] if j == 0 else 1)
                for j in range(blocks[i])
            ]
            block = functools.partial(BLOCK[self.depth], **shared)
            x = levels[i + 1] = Blocks(block, fields, name=name)(x, name in train_parts)
        return {level: levels[level] for level in self.levels}
