"""Precision, recall and F of long-term tracking (Lukežič et al. 2018, VOT-LT2018).

A tracker says with each box how sure it is; below a threshold it counts as "target not there". The
score of a tracker is its best F over all thresholds. Overlap is the raster overlap.
"""

import dataclasses

import numpy as np

RESOLUTION = 100  # thresholds, the two infinite ones included

MEASURES = {
    "f_score": "best harmonic mean of precision and recall over the thresholds of confidence",
    "precision": "mean overlap where the tracker reports the target, at that threshold",
    "recall": "mean overlap over the frames where the target is visible, at that threshold",
}


@dataclasses.dataclass(frozen=True, eq=False)
class Curves:
    """Over (100,) descending thresholds: precision, recall, F; each 0..1."""

    thresholds: np.ndarray
    precision: np.ndarray
    recall: np.ndarray

    @property
    def f(self) -> np.ndarray:
        """(100,) F of each threshold; 0 where precision and recall are 0."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / np.where(total > 0, total, 1)

    @property
    def best(self) -> int:
        """Index of the threshold with the largest F."""
        return int(np.nanargmax(self.f))

    def summary(self) -> dict[str, float]:
        """The figures of `MEASURES`, read at the best threshold."""
        i = self.best
        return {
            "f_score": float(self.f[i]),
            "precision": float(self.precision[i]),
            "recall": float(self.recall[i]),
        }


def thresholds(scores: np.ndarray) -> np.ndarray:
    """(100,) descending: +inf, 98 scores at evenly spaced ranks of all scores, -inf.

    Args:
        scores: confidences of all frames of all sequences; NaN are left out.
    """
    ordered = np.sort(scores[~np.isnan(scores)])
    inner = RESOLUTION - 2
    step = len(ordered) // inner
    ranks = np.floor(np.linspace(step - 1, len(ordered) - step, inner) + 0.5).astype(int)
    ranks = np.clip(ranks, 0, len(ordered) - 1)
    return np.concatenate([[np.inf], ordered[ranks][::-1], [-np.inf]])


def sequence_curves(
    overlap: np.ndarray, scores: np.ndarray, visible: int, limits: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Precision and recall of one sequence at each threshold.

    Args:
        overlap: (N,) overlap with the ground truth, NaN where the target is not visible (a box
            reported there counts as overlap 0).
        scores: (N,) confidences; NaN counts as 0, as the first frame's is.
        visible: number of frames with the target in the image.
        limits: (k,) descending thresholds; a frame is reported where its score is at least the
            threshold, at -inf where it is positive.

    Returns:
        precision (k,), 1 where nothing is reported, and recall (k,).
    """
    overlap = np.nan_to_num(overlap.astype(np.float64))
    scores = np.nan_to_num(scores.astype(np.float64))
    order = np.argsort(-scores, kind="stable")
    running = np.concatenate([[0.0], np.cumsum(overlap[order])])
    reported = np.searchsorted(-scores[order], -limits, side="right")
    reported[np.isneginf(limits)] = (scores > 0).sum()
    total = running[reported]
    precision = np.where(reported > 0, total / np.maximum(reported, 1), 1.0)
    return precision, total / max(visible, 1)


def mean_curves(limits: np.ndarray, per_sequence: list[tuple[np.ndarray, np.ndarray]]) -> Curves:
    """The benchmark's curves: means over its sequences.

    Args:
        limits: (100,) thresholds, descending.
        per_sequence: precision (100,) and recall (100,) of each sequence.
    """
    precision = np.mean([p for p, _ in per_sequence], 0)
    recall = np.mean([r for _, r in per_sequence], 0)
    return Curves(limits, precision, recall)
