"""Anchors of the region proposal head: shapes, grids, boxes as offsets (SiamRPN, section 3)."""

import dataclasses
import math

import numpy as np


@dataclasses.dataclass(frozen=True)
class Anchors:
    """The anchor boxes of one score map cell, and how they are laid out over the map.

    Attributes:
        stride: px between cells in the search crop.
        ratios: height / width of each shape.
        scales: side of the square anchor in strides; shapes go ratio by ratio, scales inside.
    """

    stride: int = 8
    ratios: tuple[float, ...] = (0.33, 0.5, 1.0, 2.0, 3.0)
    scales: tuple[float, ...] = (8,)

    @property
    def per_cell(self) -> int:
        """Number of anchors A at each cell."""
        return len(self.ratios) * len(self.scales)

    def shapes(self) -> np.ndarray:
        """(A, 2) float32 width and height, px; base sides truncated to whole px as published."""
        area = self.stride * self.stride
        shapes = []
        for ratio in self.ratios:
            width = int(math.sqrt(area / ratio))
            height = int(width * ratio)
            shapes += [(width * scale, height * scale) for scale in self.scales]
        return np.array(shapes, np.float32)

    def grid(self, size: int, centre: float = 0.0) -> np.ndarray:
        """All anchors of a square score map.

        Args:
            size: cells per side, S.
            centre: px coordinate of the middle cell; 0 for the tracker (relative to the crop's
                centre), search // 2 for training (absolute in the search crop).

        Returns:
            (A, S, S, 4) float32 cx, cy, w, h; axes anchor, row, column, so that the flat index is
            a*S*S + y*S + x.
        """
        steps = (np.arange(size) - size // 2) * self.stride + centre
        grid = np.empty((self.per_cell, size, size, 4), np.float32)
        grid[..., 0] = steps[None, None, :]
        grid[..., 1] = steps[None, :, None]
        grid[..., 2:] = self.shapes()[:, None, None, :]
        return grid


def encode(anchors, box):
    """Offsets of a box from anchors: ((x - ax) / aw, (y - ay) / ah, log(w / aw), log(h / ah)).

    Args:
        anchors: (..., 4) cx, cy, w, h, px.
        box: (..., 4) cx, cy, w, h, px, w and h > 0; broadcasts against the anchors.

    Returns:
        (..., 4) offsets, dimensionless.
    """
    xp = _namespace(box)
    xy = (box[..., :2] - anchors[..., :2]) / anchors[..., 2:]
    wh = xp.log(box[..., 2:] / anchors[..., 2:])
    return xp.concatenate([xy, wh], -1)


def decode(anchors, offsets):
    """The inverse of `encode`: (..., 4) offsets -> (..., 4) cx, cy, w, h in px."""
    xp = _namespace(offsets)
    xy = offsets[..., :2] * anchors[..., 2:] + anchors[..., :2]
    wh = xp.exp(offsets[..., 2:]) * anchors[..., 2:]
    return xp.concatenate([xy, wh], -1)


def score_map_size(instance: int, exemplar: int, stride: int, base_size: int) -> int:
    """Cells per side of the score map: (instance - exemplar) // stride + 1 + base_size, from px.

    `base_size` is 8 where the template features are cropped to 7x7, 0 for AlexNet.
    """
    return (instance - exemplar) // stride + 1 + base_size


def _namespace(array):
    if isinstance(array, np.ndarray):
        return np
    import jax.numpy as jnp

    return jnp
