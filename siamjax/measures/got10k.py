"""Average overlap and success rates of GOT-10k (Huang et al. 2019).

All frames of all sequences count the same, except the first of each and those where nothing of the
target is to be seen (cover 0). Boxes are cut at the image's border before the overlap is taken. A
row without a box has overlap 0.
"""

import numpy as np
from jaxtyping import Bool, Float

from siamjax.datasets.forms.base import without_region
from siamjax.geometry import boxes
from siamjax.measures import bootstrap
from siamjax.measures.result import Figure, Interval, Part, Plot, Runs, Sequences, by_attribute

Boxes = Float[np.ndarray, "n 4"]
Counts = Float[np.ndarray, "105"]

THRESHOLDS = np.linspace(0, 1, 101)

FIGURES = {
    # mean overlap of all scored frames, and shares of them with overlap above 0.5 and 0.75
    "ao": Figure("AO"),
    "sr_50": Figure("SR 0.5"),
    "sr_75": Figure("SR 0.75"),
}
PLOTS = {"overlap": Plot("lines", "overlap", "overlap threshold", "share of frames", "ao")}


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

    Benchmarks are sums of sequences.

    Args:
        absent: True where nothing of the target is to be seen.
        size: width and height of the image; None: boxes are not cut.

    Returns:
        The number of scored frames, and sums over them: of overlap, of frames above 0.5 and 0.75,
        of frames with overlap above each of `THRESHOLDS`.
    """
    scored = np.ones(len(truth), bool) if absent is None else ~absent
    scored[0] = False
    result = np.where(without_region(result)[:, None], np.nan, result)
    truth, result = truth[scored], result[scored]
    if size is not None:
        truth, result = inside(truth, size), inside(result, size)
    overlap = np.nan_to_num(boxes.iou(boxes.xywh_to_xyxy(truth), boxes.xywh_to_xyxy(result)))
    sums = np.array([overlap.sum(), (overlap > 0.5).sum(), (overlap > 0.75).sum()])
    above = len(overlap) - np.searchsorted(np.sort(overlap), THRESHOLDS, side="right")
    return np.concatenate([[len(overlap)], sums, above])


def _means(counts: list[Counts]) -> np.ndarray:
    """The sums of `count`, per scored frame."""
    frames, *sums = np.sum(counts, 0)
    return np.array(sums) / max(frames, 1)


def summary(counts: list[Counts]) -> dict[str, float]:
    """The figures over some sequences."""
    return dict(zip(FIGURES, _means(counts).tolist()))


def curve(counts: list[Counts]) -> Float[np.ndarray, "101"]:
    """Share of scored frames with overlap above each threshold."""
    return _means(counts)[len(FIGURES) :]


def score(sequences: Sequences, runs: Runs, interval: Interval | None = None) -> Part:
    """What a tracker scored."""
    per_sequence = [
        [count(s.boxes, run.regions, s.absent, s.size) for run in repeated]
        for s, repeated in zip(sequences, runs, strict=True)
    ]
    counts = [one for repeated in per_sequence for one in repeated]
    picks = bootstrap.resamples(len(sequences))
    totals = np.array([np.sum(repeated, 0)[: 1 + len(FIGURES)] for repeated in per_sequence])
    drawn = totals[picks].sum(1)
    shares = drawn[:, 1:] / np.maximum(drawn[:, :1], 1)
    classes = {
        name: [one for i in places for one in per_sequence[i]]
        for name, places in by_attribute(sequences).items()
    }
    tables = {name: summary(own) for name, own in classes.items()}
    return Part(
        overlap="exact (area of boxes inside the image)",
        values=summary(counts),
        resampled=dict(zip(FIGURES, shares.T, strict=True)),
        per_sequence=[summary(repeated) for repeated in per_sequence],
        curves={"overlap": (THRESHOLDS, curve(counts))},
        attributes={
            figure: {name: row[figure] for name, row in tables.items()}
            for figure in (FIGURES if classes else ())
        },
        attribute_curves={"overlap": {name: curve(own) for name, own in classes.items()}}
        if classes
        else {},
    )
