"""The neck: backbone levels to the head's width, the template's centre (SiamRPN++, 3.2)."""

from collections.abc import Sequence

import flax.linen as nn
from jaxtyping import Array, Float

from siamjax.models.conv import ConvBN, Numerics

TEMPLATE_SIDE = 7  # cells kept of the template features


class Neck(nn.Module):
    """One 1x1 convolution with batch normalisation per level, children `level2`, `level3`, ...

    Attributes:
        levels: names of the levels' children.
        channels: output channels per level.
    """

    levels: Sequence[int]
    channels: Sequence[int]
    numerics: Numerics = Numerics()

    @nn.compact
    def __call__(self, features, train: bool = False):
        """features: tuple over the levels of (B, h, w, C) -> tuple of (B, h, w, channels)."""
        return tuple(
            ConvBN(channels, numerics=self.numerics, name=f"level{level}")(x, train)
            for level, channels, x in zip(self.levels, self.channels, features, strict=True)
        )


def centre_crop(
    features: Float[Array, "b h w c"], side: int = TEMPLATE_SIDE
) -> Float[Array, "b {side} {side} c"]:
    """The central cells; 15 -> rows and columns 4..10."""
    top, left = ((size - side) // 2 for size in features.shape[1:3])
    return features[:, top : top + side, left : left + side]
