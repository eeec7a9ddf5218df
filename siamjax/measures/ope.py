"""Success, precision and normalised precision of a one-pass run (Wu et al. 2013; Müller et al.
2018).

Overlap is the real-valued intersection over union. A frame counts in the divisor whatever its
ground truth: boxes without area have overlap -1, and frames whose true centre is not positive have
distance -1, which counts as a hit at every threshold. Both are rules of the published figures.
Boxes are (N, 4) left, top, width, height in pixels, as the benchmark's files count them.
"""

import dataclasses

import numpy as np

from siamjax.geometry import boxes

OVERLAPS = np.arange(0, 1.05, 0.05)  # thresholds of the success curve
DISTANCES = np.arange(0, 51, 1)  # px, thresholds of the precision curve
NORMALISED = np.arange(0, 51, 1) / 100  # thresholds of the normalised precision curve


@dataclasses.dataclass(frozen=True)
class Curves:
    """One sequence's curves: success (21,), precision (51,), normalised precision (51,), shares
    0..1."""

    success: np.ndarray
    precision: np.ndarray
    normalised: np.ndarray
    mean_overlap: float


MEASURES = {
    "success_auc": "share of frames with overlap above t, mean over t = 0, 0.05 .. 1",
    "precision_20": "share of frames with the centre within 20 px",
    "normalised_precision_20": "share of frames with the centre within 0.2 of the true size",
    "op_50": "share of frames with overlap above 0.5",
    "op_75": "share of frames with overlap above 0.75",
    "mean_overlap": "mean overlap over frames with a true box",
}


def overlaps(truth: np.ndarray, result: np.ndarray) -> np.ndarray:
    """(N,) overlap 0..1, -1 where the true box has no area or is unknown."""
    known = (truth[:, 2:] > 0).all(1)
    values = boxes.iou(boxes.xywh_to_xyxy(truth), boxes.xywh_to_xyxy(result))
    return np.where(known, values, -1.0)


def distances(truth: np.ndarray, result: np.ndarray, scale: np.ndarray | float = 1.0) -> np.ndarray:
    """(N,) distance of the centres x + (w - 1) / 2 after division by `scale`, -1 where a true
    coordinate is <= 0.

    Args:
        scale: 1, or (N, 2) width and height to divide both centres by.
    """
    true_centre = boxes.xywh_to_pixel_centre(truth)[:, :2] / scale
    centre = boxes.xywh_to_pixel_centre(result)[:, :2] / scale
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.sqrt(((true_centre - centre) ** 2).sum(1))
    return np.where((true_centre > 0).all(1), apart, -1.0)


def _share(
    sorted_values: np.ndarray, thresholds: np.ndarray, count: int, above: bool
) -> np.ndarray:
    """Share of `count` values > t (above) or <= t for each threshold; NaN sorts last and is never
    counted."""
    finite = sorted_values[: len(sorted_values) - np.isnan(sorted_values).sum()]
    at_most = np.searchsorted(finite, thresholds, side="right")
    return (len(finite) - at_most if above else at_most) / count


def curves(truth: np.ndarray, result: np.ndarray, absent: np.ndarray | None = None) -> Curves:
    """The three curves of one sequence.

    Args:
        truth, result: (N, 4) boxes of all frames, the first included.
        absent: (N,) True where the target is not in the image: those frames are removed, the
            divisor stays N (the published rule of LaSOT's figures).
    """
    count = len(truth)
    if absent is not None:
        truth, result = truth[~absent], result[~absent]
    overlap = overlaps(truth, result)
    size = truth[:, 2:] + 1e-16
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        normalised = distances(truth, result, size)
    known = overlap[overlap >= 0]
    return Curves(
        _share(np.sort(overlap), OVERLAPS, count, above=True),
        _share(np.sort(distances(truth, result)), DISTANCES, count, above=False),
        _share(np.sort(normalised), NORMALISED, count, above=False),
        float(known.mean()) if known.size else 0.0,
    )


def summary(curve: Curves) -> dict[str, float]:
    """The figures of `MEASURES` read off one sequence's curves."""
    return {
        "success_auc": float(curve.success.mean()),
        "precision_20": float(curve.precision[20]),
        "normalised_precision_20": float(curve.normalised[20]),
        "op_50": float(curve.success[10]),
        "op_75": float(curve.success[15]),
        "mean_overlap": curve.mean_overlap,
    }


def mean_curves(all_curves: list[Curves]) -> Curves:
    """The curves of a benchmark: means over its sequences, each counting the same."""
    return Curves(
        np.mean([c.success for c in all_curves], 0),
        np.mean([c.precision for c in all_curves], 0),
        np.mean([c.normalised for c in all_curves], 0),
        float(np.mean([c.mean_overlap for c in all_curves])),
    )
