"""Precision, recall and F of long-term tracking (Lukežič et al. 2018, VOT-LT2018).

A tracker gives a confidence with each box; below a threshold it counts as "target not there". The
score of a tracker is its best F over all thresholds. Overlap is the raster overlap. A row without
a region but with a confidence is a wrong answer: overlap 0, reported.
"""

import dataclasses

import numpy as np
from jaxtyping import Float

from siamjax.datasets.forms.base import without_region
from siamjax.geometry.polygons import raster_overlap
from siamjax.measures import bootstrap
from siamjax.measures.result import Figure, Interval, Part, Plot, Result, Runs, Sequences

RESOLUTION = 100  # thresholds, the two infinite ones included

FIGURES = {
    # best harmonic mean of precision and recall over the thresholds of confidence
    "f_score": Figure("F"),
    # mean overlap where the tracker reports the target, at that threshold
    "precision": Figure("precision"),
    # mean overlap over the frames where the target is visible, at that threshold
    "recall": Figure("recall"),
}
PerFrame = Float[np.ndarray, " n"]
Curve = Float[np.ndarray, " k"]


@dataclasses.dataclass(frozen=True, eq=False)
class Curves:
    """Over descending thresholds: precision, recall, F; each 0..1."""

    thresholds: Curve
    precision: Curve
    recall: Curve

    @property
    def f(self) -> Curve:
        """F of each threshold; 0 where precision and recall are 0."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / np.where(total > 0, total, 1)

    @property
    def best(self) -> int:
        """Index of the threshold with the largest F."""
        return int(np.nanargmax(self.f))

    def summary(self) -> dict[str, float]:
        """The figures, read at the best threshold."""
        best, curves = self.best, (self.f, self.precision, self.recall)
        return {name: float(curve[best]) for name, curve in zip(FIGURES, curves, strict=True)}


def thresholds(scores: PerFrame) -> Float[np.ndarray, "100"]:
    """Descending: +inf, 98 scores at evenly spaced ranks of all scores, -inf.

    Args:
        scores: confidences of all frames of all sequences; those that are not finite are left out.
    """
    ordered = np.sort(scores[np.isfinite(scores)])
    if not ordered.size:
        ordered = np.zeros(1)
    inner = RESOLUTION - 2
    step = len(ordered) // inner
    ranks = np.floor(np.linspace(step - 1, len(ordered) - step, inner) + 0.5).astype(int)
    ranks = np.clip(ranks, 0, len(ordered) - 1)
    return np.concatenate([[np.inf], ordered[ranks][::-1], [-np.inf]])


def sequence_curves(
    overlap: PerFrame, scores: PerFrame, visible: int, limits: Curve
) -> tuple[Curve, Curve]:
    """Precision and recall of one sequence at each threshold.

    Args:
        overlap: overlap with the ground truth, NaN where the target is not visible (a box
            reported there counts as overlap 0).
        scores: confidences; one that is not finite counts as 0, as the first frame's is.
        visible: number of frames with the target in the image.
        limits: descending thresholds; a frame is reported where its score is at least the
            threshold, at -inf where it is positive.

    Returns:
        precision, 1 where nothing is reported, and recall.
    """
    overlap = np.nan_to_num(overlap.astype(np.float64))
    scores = np.where(np.isfinite(scores), scores, 0).astype(np.float64)
    order = np.argsort(-scores, kind="stable")
    running = np.concatenate([[0.0], np.cumsum(overlap[order])])
    reported = np.searchsorted(-scores[order], -limits, side="right")
    reported[np.isneginf(limits)] = (scores > 0).sum()
    total = running[reported]
    precision = np.where(reported > 0, total / np.maximum(reported, 1), 1.0)
    return precision, total / max(visible, 1)


def mean_curves(limits: Curve, per_sequence: list[tuple[Curve, Curve]]) -> Curves:
    """The benchmark's curves: means over its sequences.

    Args:
        limits: thresholds, descending.
        per_sequence: precision and recall of each sequence.
    """
    precision = np.mean([p for p, _ in per_sequence], 0)
    recall = np.mean([r for _, r in per_sequence], 0)
    return Curves(limits, precision, recall)


def score(sequences: Sequences, runs: Runs, interval: Interval | None = None) -> Part:
    """What a tracker scored; of repetitions the first counts."""
    firsts = [repeated[0] for repeated in runs]
    limits = thresholds(np.concatenate([run.scores for run in firsts]))
    per_sequence = []
    for sequence, run in zip(sequences, firsts, strict=True):
        regions = np.where(without_region(run.regions)[:, None], np.nan, run.regions)
        overlap = raster_overlap(sequence.groundtruth, regions, sequence.size)
        visible = int(np.isfinite(sequence.groundtruth).all(1).sum())
        per_sequence.append(sequence_curves(overlap, run.scores, visible, limits))
    mean = mean_curves(limits, per_sequence)
    at_best = slice(mean.best, mean.best + 1)
    ranks = np.arange(RESOLUTION, dtype=float)
    return Part(
        overlap="raster (pixels inside the image)",
        values=mean.summary(),
        resampled=_resampled(limits, per_sequence),
        per_sequence=[
            Curves(limits[at_best], p[at_best], r[at_best]).summary() for p, r in per_sequence
        ],
        curves={
            "long-term precision": (ranks, mean.precision),
            "long-term recall": (ranks, mean.recall),
        },
    )


def _resampled(limits: Curve, per_sequence: list[tuple[Curve, Curve]]) -> dict[str, np.ndarray]:
    """The figures of benchmarks made of resampled sequences."""
    count = len(per_sequence)
    times = np.stack([np.bincount(pick, minlength=count) for pick in bootstrap.resamples(count)])
    precision, recall = (times @ np.stack(part) / count for part in zip(*per_sequence, strict=True))
    rows = [Curves(limits, p, r).summary() for p, r in zip(precision, recall, strict=True)]
    return {name: np.array([row[name] for row in rows]) for name in FIGURES}


def _curves(result: Result, tracker: str) -> Curves:
    ranks, precision = result.curves["long-term precision"]
    return Curves(ranks, precision[tracker], result.curves["long-term recall"][1][tracker])


PLOTS = {
    "precision_recall": Plot(
        "lines",
        "precision and recall",
        "recall",
        "precision",
        data=lambda *of: (_curves(*of).recall, _curves(*of).precision),
        mark=("recall", "precision"),
        x_range=(0.0, 1.0),
    ),
    "f_score": Plot(
        "lines",
        "F",
        "threshold of confidence (rank, strictest first)",
        "F",
        "f_score",
        data=lambda *of: (_curves(*of).thresholds, _curves(*of).f),
        x_range=(0.0, float(RESOLUTION)),
    ),
}
