"""Labels on the anchor grid for one training pair (SiamRPN++, after Faster R-CNN)."""

import dataclasses
import math

import numpy as np

BOX_ALONE = 2  # label of an anchor that learns the box, while its class takes no part


@dataclasses.dataclass(frozen=True)
class TargetRule:
    """Which anchors are positive, negative or ignored.

    Attributes:
        positive_iou: anchors with a larger overlap are positive, 0..1.
        negative_iou: anchors with a smaller overlap are negative, 0..1.
        loc_iou: anchors with a larger overlap that are not kept as positives or negatives learn the
            box alone, 0..1; 1: none, as published.
        positives: most positives kept.
        total: most positives and negatives kept; at most `total - positives` negatives, however few
            positives.
        negatives: most negatives kept in a negative pair.
        neighbourhood: cells on each side of the target that a negative pair takes its negatives
            from.
    """

    positive_iou: float = 0.6
    negative_iou: float = 0.3
    loc_iou: float = 1.0
    positives: int = 16
    total: int = 64
    negatives: int = 16
    neighbourhood: int = 3


def assign(rng, rule: TargetRule, anchors_grid: np.ndarray, box, negative: bool) -> np.ndarray:
    """Draws the labels of one pair.

    A pair may have no positive: there is no rescue of the best anchor. In a negative pair the
    anchors around the (other) object in the search crop are the hard negatives.

    Args:
        rng: a NumPy generator; asked for a subset of the positives, then of the negatives, each
            only where there are more than are kept.
        rule: the thresholds and numbers.
        anchors_grid: (A, S, S, 4) cx, cy, w, h, px of the search crop.
        box: cx, cy, w, h of the object in the search crop, px.
        negative: whether the template shows another object.

    Returns:
        (A, S, S) int8: 1 object, 0 background, `BOX_ALONE`, -1 ignored.
    """
    label = np.full(anchors_grid.shape[:3], -1, np.int8)
    flat = label.reshape(-1)
    if negative:
        candidates = _around(anchors_grid, box, rule.neighbourhood)
        flat[_subset(rng, candidates, rule.negatives)] = 0
        return label
    overlap = _overlap(anchors_grid, np.asarray(box, np.float64))
    positive = np.flatnonzero(overlap > rule.positive_iou)
    background = np.flatnonzero(overlap < rule.negative_iou)
    flat[overlap.reshape(-1) > rule.loc_iou] = BOX_ALONE
    flat[_subset(rng, positive, rule.positives)] = 1
    flat[_subset(rng, background, rule.total - rule.positives)] = 0
    return label


def _overlap(anchors_grid, box):
    """Overlap of all anchors; the grid is regular, so the axes are intersected separately."""
    sides = anchors_grid[:, 0, 0, 2:].astype(np.float64)
    centres = np.float64(anchors_grid[:, 0, :, 0]), np.float64(anchors_grid[:, :, 0, 1])
    columns, rows = (_intersect(centres[k], sides[:, k, None], box[k], box[2 + k]) for k in (0, 1))
    inter = rows[:, :, None] * columns[:, None, :]
    union = (sides[:, 0] * sides[:, 1])[:, None, None] + box[2] * box[3] - inter
    return inter / union


def _intersect(centres, sides, centre, side):
    low = np.maximum(centres - sides / 2, centre - side / 2)
    high = np.minimum(centres + sides / 2, centre + side / 2)
    return np.maximum(high - low, 0)


def _around(anchors_grid, box, reach):
    """Flat indices of all anchors of the cells within `reach` of the box's centre."""
    size = anchors_grid.shape[1]
    centre = anchors_grid[0, 0, size // 2, 0]
    stride = anchors_grid[0, 0, 1, 0] - anchors_grid[0, 0, 0, 0]
    # The published rule: half a cell is added before rounding up, so the cell right of the nearest
    # is meant.
    column, row = (size // 2 + math.ceil((v - centre) / stride + 0.5) for v in box[:2])
    index = np.arange(anchors_grid[..., 0].size).reshape(anchors_grid.shape[:3])
    rows = slice(max(0, row - reach), max(0, min(size, row + reach + 1)))
    columns = slice(max(0, column - reach), max(0, min(size, column + reach + 1)))
    return index[:, rows, columns].reshape(-1)


def _subset(rng, candidates, keep):
    if len(candidates) <= keep:
        return candidates
    return candidates[rng.choice(len(candidates), keep, replace=False)]
