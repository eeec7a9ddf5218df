"""Average overlap and success rates of GOT-10k (Huang et al. 2019).

All frames of all sequences count the same, except the first of each and those where nothing of the
target is to be seen (cover 0). Boxes are cut at the image's border before the overlap is taken.
"""

import dataclasses

import numpy as np

from siamjax.geometry import boxes

THRESHOLDS = np.linspace(0, 1, 101)

MEASURES = {
    "ao": "mean overlap of all scored frames",
    "sr_50": "share of scored frames with overlap above 0.5",
    "sr_75": "share of scored frames with overlap above 0.75",
}


@dataclasses.dataclass(frozen=True, eq=False)
class Counts:
    """One sequence: scored frames, and sums over them, so that benchmarks are sums of sequences.

    Attributes:
        sums: (3,) of overlap, of frames above 0.5, of frames above 0.75.
        above: (101,) frames with overlap above each of `THRESHOLDS`.
    """

    frames: int
    sums: np.ndarray
    above: np.ndarray


def inside(table: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Boxes (N, 4) left, top, width, height cut at the border of an image of this width, height."""
    edges = np.array([*size, *size], np.float64)
    return boxes.xyxy_to_xywh(np.clip(boxes.xywh_to_xyxy(table), 0, edges))


def count(truth, result, absent=None, size: tuple[int, int] | None = None) -> Counts:
    """Counts of one sequence.

    Args:
        truth, result: (N, 4) boxes of all frames, the first included.
        absent: (N,) True where nothing of the target is to be seen.
        size: width and height of the image; None: boxes are not cut.
    """
    scored = np.ones(len(truth), bool) if absent is None else ~np.asarray(absent)
    scored[0] = False
    truth, result = truth[scored], result[scored]
    if size is not None:
        truth, result = inside(truth, size), inside(result, size)
    overlap = np.nan_to_num(boxes.iou(boxes.xywh_to_xyxy(truth), boxes.xywh_to_xyxy(result)))
    sums = np.array([overlap.sum(), (overlap > 0.5).sum(), (overlap > 0.75).sum()])
    above = len(overlap) - np.searchsorted(np.sort(overlap), THRESHOLDS, side="right")
    return Counts(len(overlap), sums, above)


def summary(counts: list[Counts]) -> dict[str, float]:
    """The figures of `MEASURES` over some sequences."""
    frames = max(sum(c.frames for c in counts), 1)
    total = np.sum([c.sums for c in counts], 0) / frames
    return dict(zip(MEASURES, map(float, total), strict=True))


def curve(counts: list[Counts]) -> np.ndarray:
    """(101,) share of scored frames with overlap above each threshold."""
    return np.sum([c.above for c in counts], 0) / max(sum(c.frames for c in counts), 1)
