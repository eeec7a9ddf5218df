"""ResNet-18, 34, 50 at stride 8: the last two stages dilate instead (SiamRPN++, section 3.2)."""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp

from siamjax.models.conv import Numerics, conv_bn, fan_out_normal

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
EXPANSION = {18: 1, 34: 1, 50: 4}  # output channels of a block / channels of its 3x3
LEVELS = {"stem": 0, "layer1": 1, "layer2": 2, "layer3": 3, "layer4": 4}
CHANNELS = (64, 128, 256, 512)  # of the stages' 3x3 convolutions
STRIDES = (1, 2, 1, 1)
DILATIONS = (1, 1, 2, 4)
# Parts that compute in float32 in a bfloat16 network: the later layers magnify their rounding, and
# they are 7 % of the multiply-adds (docs/network.md).
EXACT = ("conv1", "layer1", "layer2")


class Block(nn.Module):
    """One residual block, a bottleneck or (ResNet-18, 34) a basic one.

    Attributes:
        channels: of the 3x3 convolutions.
        expansion: output channels / channels; 4 makes a bottleneck, 1 a basic block.
        stride: of the block, 1 or 2. A stride-2 block is unpadded: 63 -> 31 and 31 -> 15.
        dilation: of the stage.
        first: the stage's first block: half the dilation, and a projection where the shape changes.
        projection: side of the projection's kernel. Beyond layer1 it is 3x3 and follows the block's
            padding, so that both paths see the same pixels.
    """

    channels: int
    expansion: int
    stride: int
    dilation: int
    first: bool
    projection: int
    numerics: Numerics

    @nn.compact
    def __call__(self, x, train: bool = False):
        spatial = self._spatial(self.dilation // 2 if self.first and self.dilation > 1 else None)
        features = self.channels * self.expansion
        if self.expansion == 1:
            layers = [
                dict(features=self.channels, size=3, **spatial),
                dict(features=self.channels, size=3, padding=self.dilation, dilation=self.dilation),
            ]
        else:
            layers = [
                dict(features=self.channels, size=1),
                dict(features=self.channels, size=3, **spatial),
                dict(features=features, size=1),
            ]
        y = x
        for i, layer in enumerate(layers, 1):
            last = i == len(layers)
            y = self._conv_bn(layer, y, train, (f"conv{i}", f"bn{i}"), last)
            y = y if last else nn.relu(y)
        if self.first and (self.stride != 1 or x.shape[-1] != features):
            layer = dict(features=features, size=self.projection)
            if self.projection == 3:
                layer |= spatial
            x = self._conv_bn(layer, x, train, ("shortcut_conv", "shortcut_bn"), True)
        return nn.relu(x.astype(jnp.float32) + y).astype(self.numerics.dtype)

    def _spatial(self, halved):
        dilation = self.dilation if halved is None else halved
        padding = dilation if self.dilation > 1 else 2 - self.stride
        return dict(stride=self.stride, padding=padding, dilation=dilation)

    def _conv_bn(self, layer, x, train, names, summand=False):
        """A summand of the block's sum stays float32 until it is added."""
        layer = dict(layer, kernel_init=fan_out_normal)
        dtype = jnp.float32 if summand else None
        return conv_bn(self.numerics, layer, x, train, names, dtype)


class Stage(nn.Module):
    """The residual blocks of one layer, children `block0`, `block1`, ..."""

    blocks: int
    channels: int
    expansion: int
    stride: int
    dilation: int
    projection: int
    numerics: Numerics

    @nn.compact
    def __call__(self, x, train: bool = False):
        for i in range(self.blocks):
            x = Block(
                channels=self.channels,
                expansion=self.expansion,
                stride=self.stride if i == 0 else 1,
                dilation=self.dilation,
                first=i == 0,
                projection=self.projection,
                numerics=self.numerics,
                name=f"block{i}",
            )(x, train)
        return x


class ResNet(nn.Module):
    """The backbone: 127 px -> 15 cells, 255 px -> 31 cells at levels 2, 3 and 4.

    Attributes:
        depth: 18, 34 or 50; 18 and 34 have basic blocks, 50 bottlenecks.
        width: factor on all channels, truncated to whole ones.
        blocks: residual blocks of layer1..layer4; empty: the depth's own.
        levels: outputs, 0 (the stem, before the pooling) to 4; parts beyond the last are not built.
    """

    depth: int = 50
    width: float = 1.0
    blocks: Sequence[int] = ()
    levels: Sequence[int] = (2, 3, 4)
    numerics: Numerics = Numerics()

    def channels(self) -> tuple[int, ...]:
        """Output channels per level."""
        expansion = EXPANSION[self.depth]
        own = (int(64 * self.width), *(int(c * self.width) * expansion for c in CHANNELS))
        return tuple(own[level] for level in self.levels)

    @nn.compact
    def __call__(self, x, train_parts: Sequence[str] = ()):
        """x: (B, H, W, 3) raw 0..255, BGR -> {level index: (B, h, w, C)}.

        The batch normalisations of the parts named in `train_parts` (conv1, layer1..layer4) train.
        """
        blocks = self.blocks or BLOCKS[self.depth]
        levels = {}
        stem = dict(features=int(64 * self.width), size=7, stride=2, kernel_init=fan_out_normal)
        numerics = self.numerics.exact()
        x = nn.relu(conv_bn(numerics, stem, x, "conv1" in train_parts, ("conv1", "bn1")))
        levels[0] = x
        if max(self.levels) > 0:
            x = numerics.operations.max_pool(x, 1)
        for i in range(max(self.levels)):
            name = f"layer{i + 1}"
            stage = Stage(
                blocks=blocks[i],
                channels=int(CHANNELS[i] * self.width),
                expansion=EXPANSION[self.depth],
                stride=STRIDES[i],
                dilation=DILATIONS[i],
                projection=1 if i == 0 else 3,
                numerics=self.numerics.exact() if name in EXACT else self.numerics,
                name=name,
            )
            x = stage(x, name in train_parts)
            levels[i + 1] = x
        return {level: levels[level] for level in self.levels}
