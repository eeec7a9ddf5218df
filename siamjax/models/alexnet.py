"""The AlexNet of SiamRPN: five unpadded layers, stride 8, pooling before the ReLU."""

from collections.abc import Sequence

import flax.linen as nn
from jaxtyping import Array, Float, Num

from siamjax.models.conv import ConvBN, Numerics

# Per layer1..layer5: channels, side of the kernel, stride, max pooling (3x3, stride 2) behind it.
LAYERS = (
    (96, 11, 2, True),
    (256, 5, 1, True),
    (384, 3, 1, False),
    (384, 3, 1, False),
    (256, 3, 1, False),
)
LEVELS = {f"layer{i}": i for i in range(1, 6)}


class AlexNet(nn.Module):
    """The backbone: 127 px -> 6 cells, 255 px -> 22, 287 px -> 26 at level 5.

    Attributes:
        width: factor on all channels, truncated to whole ones.
        levels: outputs, 1..5; layers beyond the last are not built. Layer 5 has no ReLU.
    """

    width: float = 1.0
    levels: Sequence[int] = (5,)
    numerics: Numerics = Numerics()

    def channels(self) -> tuple[int, ...]:
        """Output channels per level."""
        return tuple(int(LAYERS[level - 1][0] * self.width) for level in self.levels)

    @nn.compact
    def __call__(
        self, x: Num[Array, "b height width 3"], train_parts: Sequence[str] = ()
    ) -> dict[int, Float[Array, "b _h _w _c"]]:
        """Raw 0..255, BGR -> features by level; see `ResNet`."""
        levels = {}
        for i, (channels, size, stride, pool) in enumerate(LAYERS[: max(self.levels)], 1):
            name = f"layer{i}"
            layer = ConvBN(
                features=int(channels * self.width),
                size=size,
                stride=stride,
                bias=True,
                pool=pool,
                activation=nn.relu if i < len(LAYERS) else None,
                numerics=self.numerics.early() if i == 1 else self.numerics,
                name=name,
            )
            x = levels[i] = layer(x, name in train_parts)
        return {level: levels[level] for level in self.levels}
