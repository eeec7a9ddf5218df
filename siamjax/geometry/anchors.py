"""Anchors of the region proposal head: shapes, grids, boxes as offsets (SiamRPN, section 3)."""

import dataclasses
import math

import numpy as np
from jaxtyping import Float

from siamjax.geometry.arrays import AnyArray, namespace


@dataclasses.dataclass(frozen=True)
class Anchors:
    """The anchor boxes of one score map cell, and how they are laid out over the map.

    Attributes:
        stride: px between cells in the search crop.
        ratios: height / width of each shape.
        scales: side of the square anchor in strides; shapes go ratio by ratio, scales inside.
    """

    stride: int = 8
    ratios: tuple[float | int, ...] = (0.33, 0.5, 1.0, 2.0, 3.0)
    scales: tuple[float | int, ...] = (8,)

    @property
    def per_cell(self) -> int:
        """Number of anchors A at each cell."""
        return len(self.ratios) * len(self.scales)

    def shapes(self) -> Float[np.ndarray, "anchor 2"]:
        """Width and height, px, float32; base sides truncated to whole px as published."""
        area = self.stride * self.stride
        shapes = []
        for ratio in self.ratios:
            width = int(math.sqrt(area / ratio))
            height = int(width * ratio)
            shapes += [(width * scale, height * scale) for scale in self.scales]
        return np.array(shapes, np.float32)

    def grid(
        self, size: int, centre: float | int = 0
    ) -> Float[np.ndarray, "anchor {size} {size} 4"]:
        """All anchors of a square score map.

        Args:
            size: cells per side, S.
            centre: px coordinate of the middle cell; 0 for the tracker (relative to the crop's
                centre), search // 2 for training (absolute in the search crop).

        Returns:
            float32 cx, cy, w, h; axes anchor, row, column, so that the flat index is
            a*S*S + y*S + x.
        """
        steps = (np.arange(size) - size // 2) * self.stride + centre
        grid = np.empty((self.per_cell, size, size, 4), np.float32)
        grid[..., 0] = steps[None, None, :]
        grid[..., 1] = steps[None, :, None]
        grid[..., 2:] = self.shapes()[:, None, None, :]
        return grid


def encode(
    anchors: Float[AnyArray, "*#b 4"], box: Float[AnyArray, "*#b 4"]
) -> Float[AnyArray, "*#b 4"]:
    """Offsets of a box from anchors: ((x - ax) / aw, (y - ay) / ah, log(w / aw), log(h / ah)).

    Args:
        anchors: cx, cy, w, h, px.
        box: cx, cy, w, h, px, w and h > 0.

    Returns:
        Offsets, dimensionless.
    """
    xp = namespace(box)
    xy = (box[..., :2] - anchors[..., :2]) / anchors[..., 2:]
    wh = xp.log(box[..., 2:] / anchors[..., 2:])
    return xp.concatenate([xy, wh], -1)


def decode(
    anchors: Float[AnyArray, "*#b 4"], offsets: Float[AnyArray, "*#b 4"]
) -> Float[AnyArray, "*#b 4"]:
    """The inverse of `encode`: offsets -> cx, cy, w, h in px."""
    xp = namespace(offsets)
    xy = offsets[..., :2] * anchors[..., 2:] + anchors[..., :2]
    wh = xp.exp(offsets[..., 2:]) * anchors[..., 2:]
    return xp.concatenate([xy, wh], -1)


def score_map_size(instance: int, exemplar: int, stride: int, base_size: int) -> int:
    """Cells per side of the score map: (instance - exemplar) // stride + 1 + base_size, from px.

    `base_size` is 8 where the template features are cropped to 7x7, 0 for AlexNet.
    """
    return (instance - exemplar) // stride + 1 + base_size
