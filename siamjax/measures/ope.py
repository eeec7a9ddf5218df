"""Success, precision and normalised precision of a one-pass run (Wu et al. 2013; Müller et al.
2018).

Overlap is the real-valued intersection over union. A frame counts in the divisor whatever its
ground truth: boxes without area have overlap -1, and frames whose true centre is not positive have
distance -1, which counts as a hit at every threshold. Both are rules of the published figures; a
row without a region is a miss in all other frames. `siamjax.measures.conventions` has the rules of
other toolkits. Boxes are (N, 4) left, top, width, height in pixels, as the benchmark's files count
them.
"""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Real

from siamjax.datasets.forms.base import without_region
from siamjax.datasets.sequence import Sequence, shifted
from siamjax.geometry import polygons
from siamjax.measures import bootstrap
from siamjax.measures.conventions import DEFAULT, Boxes, Rules
from siamjax.measures.result import Figure, Interval, Part, Plot, Runs, Sequences, by_attribute

FIGURES = {
    # share of frames with overlap above t, mean over t = 0, 0.05 .. 1
    "success_auc": Figure("success AUC"),
    # share of frames with the centre within 20 px, and within 0.2 of the true size
    "precision_20": Figure("precision @20 px"),
    "normalised_precision_20": Figure("norm. precision @0.2"),
    # mean over t = 0, 0.01 .. 0.5: what the got10k toolkit calls normalised precision
    "normalised_precision_auc": Figure("norm. precision AUC"),
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


def _share(values: np.ndarray, thresholds: np.ndarray, count: int, above: bool) -> np.ndarray:
    """Share of `count` values > t (above) or <= t for each threshold; NaN is never counted."""
    finite = np.sort(values[~np.isnan(values)])
    at_most = np.searchsorted(finite, thresholds, side="right")
    return (len(finite) - at_most if above else at_most) / count


def curves(
    truth: Boxes,
    result: Boxes,
    absent: Bool[np.ndarray, " n"] | None = None,
    rules: Rules = DEFAULT,
    missing: int = 0,
) -> Curves:
    """The three curves of one sequence, whose first frame counts too.

    Args:
        absent: True where the target is not in the image: those frames are removed, the divisor
            stays n (the published rule of LaSOT's figures).
        rules: see `siamjax.measures.conventions`.
        missing: so many rows at the end of `result` are not in the file.
    """
    frames = rules.frames(truth, result, absent, missing)
    known, count = frames.overlap[frames.overlap >= 0], max(frames.count, 1)
    return Curves(
        _share(frames.overlap, rules.overlaps, count, above=True),
        _share(frames.distance, rules.distances, count, above=False),
        _share(frames.normalised, rules.normalised, count, above=False),
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


def score(
    sequences: Sequences, runs: Runs, interval: Interval | None = None, rules: Rules = DEFAULT
) -> Part:
    """What a tracker scored."""
    all_curves = [
        mean_curves([of_run(sequence, run.regions, rules, run.missing) for run in repeated])
        for sequence, repeated in zip(sequences, runs, strict=True)
    ]
    rows = [_row(curve, rules) for curve in all_curves]
    mean = mean_curves(all_curves)
    groups = {
        attribute: mean_curves([all_curves[i] for i in places])
        for attribute, places in by_attribute(sequences).items()
    }
    tables = {attribute: summary(curve) for attribute, curve in groups.items()}
    shown = [plot.figure for plot in PLOTS.values()] if groups else []
    return Part(
        overlap="exact (area of boxes)",
        values=_row(mean, rules),
        resampled={name: bootstrap.means([row[name] for row in rows]) for name in rows[0]},
        per_sequence=rows,
        curves={
            "success": (rules.overlaps, mean.success),
            "precision": (rules.distances, mean.precision),
            "normalised precision": (rules.normalised, mean.normalised),
        },
        attributes={name: {a: row[name] for a, row in tables.items()} for name in shown},
        attribute_curves={
            name: {attribute: getattr(curve, field) for attribute, curve in groups.items()}
            for name, field in CURVES.items()
        }
        if groups
        else {},
    )


def _row(curve: Curves, rules: Rules) -> dict[str, float]:
    """The figures of a toolkit."""
    row = summary(curve)
    if rules.normalised_mean:
        row["normalised_precision_auc"] = float(curve.normalised.mean())
    return row


def of_run(
    sequence: Sequence,
    regions: Real[np.ndarray, "n _"],
    rules: Rules = DEFAULT,
    missing: int = 0,
) -> Curves:
    """Curves of a run in the benchmark's own pixels; polygons count as boxes of equal area, frames
    that nobody labelled not at all."""
    upright = regions
    if regions.shape[1] == 8:
        upright = np.where(
            without_region(regions)[:, None], np.nan, polygons.box_of_region(regions)
        )
    truth, result = (shifted(table, sequence.base) for table in (sequence.boxes, upright))
    known, absent = sequence.labelled, sequence.absent
    if known is not None:
        missing = int(known[len(known) - missing :].sum())
        truth, result = truth[known], result[known]
        absent = absent if absent is None else absent[known]
    return curves(truth, result, absent, rules, missing)
