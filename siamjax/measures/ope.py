"""Success, precision and normalised precision of a one-pass run (Wu et al. 2013; Müller et al.
2018).

Overlap is the real-valued intersection over union. A frame counts in the divisor whatever its
ground truth: boxes without area have overlap -1, and frames whose true centre is not positive have
distance -1, which counts as a hit at every threshold. Both are rules of the published figures.
Boxes are (N, 4) left, top, width, height in pixels, as the benchmark's files count them.
"""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Real

from siamjax.datasets.sequence import Sequence, shifted
from siamjax.geometry import boxes, polygons
from siamjax.measures import bootstrap
from siamjax.measures.result import Figure, Interval, Part, Plot, Runs, Sequences, by_attribute

Boxes = Real[np.ndarray, "n 4"]
PerFrame = Float[np.ndarray, " n"]

OVERLAPS = np.arange(0, 1.05, 0.05)  # thresholds of the success curve
DISTANCES = np.arange(0, 51, 1)  # px, thresholds of the precision curve
NORMALISED = np.arange(0, 51, 1) / 100  # thresholds of the normalised precision curve


FIGURES = {
    # share of frames with overlap above t, mean over t = 0, 0.05 .. 1
    "success_auc": Figure("success AUC"),
    # share of frames with the centre within 20 px, and within 0.2 of the true size
    "precision_20": Figure("precision @20 px"),
    "normalised_precision_20": Figure("norm. precision @0.2"),
    # share of frames with overlap above 0.5 and 0.75
    "op_50": Figure("OP 0.5"),
    "op_75": Figure("OP 0.75"),
    # over frames with a true box
    "mean_overlap": Figure("mean overlap"),
}
PLOTS = {
    name.replace(" ", "_"): Plot("lines", name, thresholds, "share of frames", figure)
    for name, thresholds, figure in (
        ("success", "overlap threshold", "success_auc"),
        ("precision", "centre distance (px)", "precision_20"),
        ("normalised precision", "centre distance / target size", "normalised_precision_20"),
    )
}

# curve -> the field of `Curves` that holds it
CURVES = {
    "success": "success",
    "precision": "precision",
    "normalised precision": "normalised",
}


@dataclasses.dataclass(frozen=True)
class Curves:
    """One sequence's curves, shares 0..1, and its mean overlap."""

    success: Float[np.ndarray, "21"]
    precision: Float[np.ndarray, "51"]
    normalised: Float[np.ndarray, "51"]
    mean_overlap: float


def overlaps(truth: Boxes, result: Boxes) -> PerFrame:
    """Overlap 0..1 of each frame, -1 where the true box has no area or is unknown."""
    known = (truth[:, 2:] > 0).all(1)
    values = boxes.iou(boxes.xywh_to_xyxy(truth), boxes.xywh_to_xyxy(result))
    return np.where(known, values, -1.0)


def distances(
    truth: Boxes, result: Boxes, scale: Float[np.ndarray, "n 2"] | float = 1.0
) -> PerFrame:
    """Distance of the centres x + (w - 1) / 2 after division by `scale`, -1 where a true coordinate
    is <= 0.

    Args:
        scale: 1, or width and height to divide both centres by.
    """
    true_centre = boxes.xywh_to_pixel_centre(truth)[:, :2] / scale
    centre = boxes.xywh_to_pixel_centre(result)[:, :2] / scale
    with np.errstate(invalid="ignore", over="ignore"):
        distance = np.sqrt(((true_centre - centre) ** 2).sum(1))
    return np.where((true_centre > 0).all(1), distance, -1.0)


def _share(values: np.ndarray, thresholds: np.ndarray, count: int, above: bool) -> np.ndarray:
    """Share of `count` values > t (above) or <= t for each threshold; NaN is never counted."""
    finite = np.sort(values[~np.isnan(values)])
    at_most = np.searchsorted(finite, thresholds, side="right")
    return (len(finite) - at_most if above else at_most) / count


def curves(truth: Boxes, result: Boxes, absent: Bool[np.ndarray, " n"] | None = None) -> Curves:
    """The three curves of one sequence, whose first frame counts too.

    Args:
        absent: True where the target is not in the image: those frames are removed, the divisor
            stays n (the published rule of LaSOT's figures).
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
        _share(overlap, OVERLAPS, count, above=True),
        _share(distances(truth, result), DISTANCES, count, above=False),
        _share(normalised, NORMALISED, count, above=False),
        float(known.mean()) if known.size else 0.0,
    )


def summary(curve: Curves) -> dict[str, float]:
    """The figures read off one sequence's curves."""
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
    parts = zip(*map(dataclasses.astuple, all_curves), strict=True)
    success, precision, normalised, overlap = (np.mean(part, 0) for part in parts)
    return Curves(success, precision, normalised, float(overlap))


def score(sequences: Sequences, runs: Runs, interval: Interval | None = None) -> Part:
    """What a tracker scored."""
    all_curves = [
        mean_curves([of_run(sequence, run.regions) for run in repeated])
        for sequence, repeated in zip(sequences, runs, strict=True)
    ]
    rows = [summary(curve) for curve in all_curves]
    mean = mean_curves(all_curves)
    groups = {
        attribute: mean_curves([all_curves[i] for i in places])
        for attribute, places in by_attribute(sequences).items()
    }
    tables = {attribute: summary(curve) for attribute, curve in groups.items()}
    shown = [plot.figure for plot in PLOTS.values()] if groups else []
    return Part(
        overlap="exact (area of boxes)",
        values=summary(mean),
        resampled={name: bootstrap.means([row[name] for row in rows]) for name in FIGURES},
        per_sequence=rows,
        curves={
            "success": (OVERLAPS, mean.success),
            "precision": (DISTANCES.astype(float), mean.precision),
            "normalised precision": (NORMALISED, mean.normalised),
        },
        attributes={name: {a: row[name] for a, row in tables.items()} for name in shown},
        attribute_curves={
            name: {attribute: getattr(curve, field) for attribute, curve in groups.items()}
            for name, field in CURVES.items()
        }
        if groups
        else {},
    )


def of_run(sequence: Sequence, regions: Real[np.ndarray, "n _"]) -> Curves:
    """Curves of a run in the benchmark's own pixels; polygons count as boxes of equal area."""
    upright = regions if regions.shape[1] == 4 else polygons.box_of_region(regions)
    base = sequence.base
    return curves(shifted(sequence.boxes, base), shifted(upright, base), sequence.absent)
