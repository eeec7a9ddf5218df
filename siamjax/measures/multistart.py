"""Accuracy, robustness and expected average overlap of runs from several starts (VOT2020 on).

A run from each anchor goes on to the sequence's end (forward or backward) without being corrected.
It has failed where the overlap stays at or below 0.1 for ten frames; the failure is the first of
them. Source: Kristan et al., "The eighth visual object tracking VOT2020 challenge results",
section 2. Overlap is the raster overlap inside the image.
"""

import dataclasses

import numpy as np

from siamjax.geometry.polygons import raster_overlap

THRESHOLD = 0.1  # overlap at or below which a frame counts towards a failure
GRACE = 10  # frames in a row that make a failure
INTERVAL = (115, 755)  # lengths of VOT2020 to VOT2022's EAO

MEASURES = {
    "eao": "expected average overlap over the interval of lengths",
    "accuracy": "mean overlap before failures",
    "robustness_share": "share of frames tracked before failures",
}


def interval(longest: int) -> tuple[int, int]:
    """The lengths that the EAO averages over: VOT2020's, or what shorter sequences allow."""
    low, high = INTERVAL
    return (low, high) if longest > low else (max(2, longest // 4), longest)


@dataclasses.dataclass(frozen=True, eq=False)
class Tracked:
    """One run: overlap in the run's order, and how many frames passed before it failed."""

    overlap: np.ndarray
    progress: int

    @property
    def failed(self) -> bool:
        """Whether the run failed before its last frame."""
        return self.progress < len(self.overlap)


def measure(truth, regions, size: tuple[int, int]) -> Tracked:
    """Overlap and progress of a run.

    Args:
        truth, regions: (N, 4) or (N, 8) in the run's order, the start first; where `regions` is
            NaN (the start) overlap is 1, where `truth` is NaN the frame does not count as missed.
    """
    overlap = raster_overlap(truth, regions, size).astype(np.float64)
    unknown = np.isnan(np.asarray(truth, np.float64)).any(1)
    overlap[0] = 1.0
    missed = np.nan_to_num(overlap) <= THRESHOLD
    missed &= ~unknown
    length = 0
    progress = len(overlap)
    for i, miss in enumerate(missed):
        length = length + 1 if miss else 0
        if length == GRACE:
            progress = i + 1 - GRACE
            break
    return Tracked(np.nan_to_num(overlap), progress)


def sequence_summary(runs: list[Tracked]) -> tuple[float, float, int]:
    """Accuracy and robustness of a sequence, and the frames its accuracy rests on."""
    tracked = sum(run.progress for run in runs)
    total = sum(len(run.overlap) for run in runs)
    overlap = sum(float(run.overlap[: run.progress].sum()) for run in runs)
    return (overlap / tracked if tracked else float("nan")), tracked / total, tracked


def summary(
    per_sequence: list[tuple[float, float, int]], lengths: list[int]
) -> tuple[float, float]:
    """Accuracy, weighted by tracked frames, and robustness, weighted by the sequences' lengths."""
    accuracy = [(a, frames) for a, _, frames in per_sequence if frames]
    mass = sum(frames for _, frames in accuracy)
    mean = sum(a * frames for a, frames in accuracy) / mass if mass else float("nan")
    share = sum(r * n for (_, r, _), n in zip(per_sequence, lengths)) / sum(lengths)
    return mean, share


def expected_overlap(all_runs: list[list[Tracked]], longest: int) -> np.ndarray:
    """(longest,) expected average overlap at each length.

    A failed run counts as overlap 0 from its failure on for ever, another one is undefined after
    its end. Every sequence weighs the same, shared among its runs.
    """
    rows, weights = [], []
    for runs in all_runs:
        for run in runs:
            row = np.full(longest, 0.0 if run.failed else np.nan)
            row[: run.progress] = run.overlap[: run.progress]
            rows.append(row)
            weights.append(1 / len(runs))
    table = np.stack(rows)
    means = np.cumsum(table, 1) / np.arange(1, longest + 1)
    defined = ~np.isnan(means)
    weight = np.array(weights)
    mass = weight @ defined
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(mass > 0, weight @ np.where(defined, means, 0) / mass, np.nan)
