"""Average overlap and success rates of GOT-10k (Huang et al. 2019).

All frames of all sequences count the same, except the first of each and those where nothing of the
target is to be seen (cover 0). Boxes are cut at the image's border before the overlap is taken.
"""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Int

from siamjax.geometry import boxes
from siamjax.measures import bootstrap
from siamjax.measures.result import Figure, Interval, Part, Plot, Runs, Sequences

Boxes = Float[np.ndarray, "n 4"]

THRESHOLDS = np.linspace(0, 1, 101)

FIGURES = {
    # mean overlap of all scored frames, and shares of them with overlap above 0.5 and 0.75
    "ao": Figure("AO"),
    "sr_50": Figure("SR 0.5"),
    "sr_75": Figure("SR 0.75"),
}
PLOTS = {"overlap": Plot("lines", "overlap", "overlap threshold", "share of frames", "ao")}


@dataclasses.dataclass(frozen=True, eq=False)
class Counts:
    """One sequence: scored frames, and sums over them, so that benchmarks are sums of sequences.

    Attributes:
        sums: of overlap, of frames above 0.5, of frames above 0.75.
        above: frames with overlap above each of `THRESHOLDS`.
    """

    frames: int
    sums: Float[np.ndarray, "3"]
    above: Int[np.ndarray, "101"]


def inside(table: Boxes, size: tuple[int, int]) -> Boxes:
    """Boxes left, top, width, height cut at the border of an image of this width, height."""
    edges = np.array([*size, *size], np.float64)
    return boxes.xyxy_to_xywh(np.clip(boxes.xywh_to_xyxy(table), 0, edges))


def count(
    truth: Boxes,
    result: Boxes,
    absent: Bool[np.ndarray, " n"] | None = None,
    size: tuple[int, int] | None = None,
) -> Counts:
    """Counts of one sequence, from the boxes of all its frames.

    Args:
        absent: True where nothing of the target is to be seen.
        size: width and height of the image; None: boxes are not cut.
    """
    scored = np.ones(len(truth), bool) if absent is None else ~absent
    scored[0] = False
    truth, result = truth[scored], result[scored]
    if size is not None:
        truth, result = inside(truth, size), inside(result, size)
    overlap = np.nan_to_num(boxes.iou(boxes.xywh_to_xyxy(truth), boxes.xywh_to_xyxy(result)))
    sums = np.array([overlap.sum(), (overlap > 0.5).sum(), (overlap > 0.75).sum()])
    above = len(overlap) - np.searchsorted(np.sort(overlap), THRESHOLDS, side="right")
    return Counts(len(overlap), sums, above)


def summary(counts: list[Counts]) -> dict[str, float]:
    """The figures over some sequences."""
    frames = max(sum(c.frames for c in counts), 1)
    total = np.sum([c.sums for c in counts], 0) / frames
    return dict(zip(FIGURES, map(float, total), strict=True))


def curve(counts: list[Counts]) -> Float[np.ndarray, "101"]:
    """Share of scored frames with overlap above each threshold."""
    return np.sum([c.above for c in counts], 0) / max(sum(c.frames for c in counts), 1)


def score(sequences: Sequences, runs: Runs, interval: Interval | None = None) -> Part:
    """What a tracker scored."""
    per_sequence = [
        [count(s.boxes, run.regions, s.absent, s.size) for run in repeated]
        for s, repeated in zip(sequences, runs, strict=True)
    ]
    counts = [one for repeated in per_sequence for one in repeated]
    picks = bootstrap.resamples(len(sequences))
    frames = np.array([sum(c.frames for c in repeated) for repeated in per_sequence])
    sums = np.array([np.sum([c.sums for c in repeated], 0) for repeated in per_sequence])
    drawn = sums[picks].sum(1) / np.maximum(frames[picks].sum(1), 1)[:, None]
    return Part(
        overlap="exact (area of boxes inside the image)",
        values=summary(counts),
        intervals=dict(zip(FIGURES, map(bootstrap.interval, drawn.T), strict=True)),
        per_sequence=[summary(repeated) for repeated in per_sequence],
        curves={"overlap": (THRESHOLDS, curve(counts))},
    )
