"""Accuracy, robustness and expected average overlap of runs from several starts (VOT2020 on).

A run from each anchor continues to an end of the sequence without being corrected. It has failed
where the overlap stays at or below 0.1 for ten frames; the failure is the first of them. Source:
Kristan et al., "The eighth visual object tracking VOT2020 challenge results", section 2. Overlap is
the raster overlap inside the image.
"""

import dataclasses
from collections.abc import Sequence as AbstractSequence

import numpy as np
from jaxtyping import Float, Real

from siamjax.datasets.forms.base import without_region
from siamjax.datasets.forms.multistart import multistart_anchors, multistart_frames
from siamjax.geometry.polygons import raster_overlap
from siamjax.measures import bootstrap, vot
from siamjax.measures.eao import eao, stretches, weighted_mean
from siamjax.measures.result import Figure, Interval, Part, Runs, Sequences

THRESHOLD = 0.1  # overlap at or below which a frame counts towards a failure
GRACE = 10  # frames in a row that make a failure
INTERVAL = (115, 755)  # lengths of VOT2020 to VOT2022's EAO

FIGURES = {
    "eao": vot.FIGURES["eao"],
    # mean overlap before failures
    "accuracy": Figure("accuracy"),
    # share of frames tracked before failures
    "robustness_share": Figure("robustness (share tracked)"),
}
PLOTS = {name: vot.PLOTS[name] for name in ("expected_overlap", "eao_ranking")}


@dataclasses.dataclass(frozen=True, eq=False)
class Tracked:
    """One run: overlap in the run's order, and how many frames passed before it failed."""

    overlap: Float[np.ndarray, " n"]
    progress: int

    @property
    def failed(self) -> bool:
        """Whether the run failed before its last frame."""
        return self.progress < len(self.overlap)


def measure(
    truth: Real[np.ndarray, "n _"], regions: Real[np.ndarray, "n _"], size: tuple[int, int]
) -> Tracked:
    """Overlap and progress of a run.

    Args:
        truth, regions: boxes or 8 corners in the run's order, the start first, whose overlap is 1;
            a row of `regions` without a region has overlap 0, where `truth` is NaN the frame does
            not count as missed.
        size: width and height of the image, px.
    """
    regions = np.where(without_region(regions)[:, None], np.nan, regions)
    overlap = raster_overlap(truth, regions, size).astype(np.float64)
    overlap[0] = 1.0
    missed = (np.nan_to_num(overlap) <= THRESHOLD) & ~np.isnan(truth).any(1)
    failures = np.flatnonzero(np.convolve(missed, np.ones(GRACE), "valid") == GRACE)
    progress = int(failures[0]) if failures.size else len(overlap)
    return Tracked(np.nan_to_num(overlap), progress)


def sequence_summary(runs: list[Tracked]) -> tuple[float, float, int]:
    """Accuracy and robustness of a sequence, and the frames its accuracy rests on."""
    tracked = sum(run.progress for run in runs)
    total = sum(len(run.overlap) for run in runs)
    overlap = sum(float(run.overlap[: run.progress].sum()) for run in runs)
    return (overlap / tracked if tracked else float("nan")), tracked / total, tracked


def summary(
    per_sequence: list[tuple[float, float, int]], lengths: AbstractSequence[int]
) -> tuple[float, float]:
    """Accuracy, weighted by tracked frames, and robustness, weighted by the sequences' lengths."""
    accuracy = [(a, frames) for a, _, frames in per_sequence if frames]
    mass = sum(frames for _, frames in accuracy)
    mean = sum(a * frames for a, frames in accuracy) / mass if mass else float("nan")
    share = sum(r * n for (_, r, _), n in zip(per_sequence, lengths)) / sum(lengths)
    return mean, share


def expected_overlap(all_runs: list[list[Tracked]], longest: int) -> Float[np.ndarray, " longest"]:
    """Expected average overlap at each length.

    A failed run counts as overlap 0 from its failure on for ever, a run to the end is undefined
    after it. Every sequence weighs the same, shared among its runs.
    """
    pieces = [(run.overlap[: run.progress], run.failed) for runs in all_runs for run in runs]
    weights = np.array([1 / len(runs) for runs in all_runs for _ in runs])
    means = np.cumsum(stretches(pieces, longest), 1) / np.arange(1, longest + 1)
    return weighted_mean(weights, means, ~np.isnan(means))


def score(sequences: Sequences, runs: Runs, interval: Interval | None = None) -> Part:
    """What a tracker scored; the interval is that of VOT2020."""
    longest = max(len(sequence) for sequence in sequences)
    # VOT2020's lengths, or what shorter sequences allow
    low, high = INTERVAL if longest > INTERVAL[0] else (max(2, longest // 4), longest)
    tracked = [
        [
            measure(s.groundtruth[multistart_frames(s, anchor)], run.regions, s.size)
            for (anchor, _), run in zip(multistart_anchors(s), by_anchor, strict=True)
        ]
        for s, by_anchor in zip(sequences, runs, strict=True)
    ]
    summaries = [sequence_summary(parts) for parts in tracked]
    curve = expected_overlap(tracked, longest)
    lengths = [len(sequence) for sequence in sequences]
    accuracy, share = summary(summaries, lengths)
    drawn = np.array(
        [
            summary([summaries[i] for i in pick], [lengths[i] for i in pick])
            for pick in bootstrap.resamples(len(sequences))
        ]
    )
    return Part(
        overlap=f"raster (pixels inside the image); EAO over lengths {low}..{high}",
        interval=(low, high),
        values={"eao": eao(curve, (low, high)), "accuracy": accuracy, "robustness_share": share},
        resampled=dict(zip(("accuracy", "robustness_share"), drawn.T, strict=True)),
        per_sequence=[{"accuracy": a, "robustness_share": r} for a, r, _ in summaries],
        curves={"expected overlap": (np.arange(1.0, longest + 1), curve)},
    )
