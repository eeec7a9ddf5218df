"""What one-pass runs of the same targets say about how firmly a tracker holds them: how often it
loses them, whether its boxes lie to one side, whether they are too large. One-pass runs and their
success AUC are those of Wu et al. 2013, the intervals the bootstrap of Efron 1979; other figures
are defined here.

Frames are compared by the exact overlap of upright boxes. A run's first frame, and frames without a
true box, are left out.

- **lost**: frames with overlap below 0.1, per 1,000.
- **losses**: stretches of at least ten frames with overlap below 0.1, or of all frames up to the
  end, per 1,000 frames outside such stretches: how often a target that is held is lost.
- **shift**: half the difference of the centres of a plain run and of the mirrored one, mirrored
  back, over frames in which both have an overlap of at least 0.5. Positive: boxes lie to the right.
- **size**: square root of the area of the box over the true one, geometric mean over frames that
  are not lost.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from siamjax.geometry import boxes
from siamjax.geometry.crops import context_size
from siamjax.measures import bootstrap

LOST = 0.1  # overlap below which a frame is lost
HELD = 0.5  # overlap from which on a box holds the target
STRETCH = 10  # frames
EXEMPLAR = 127  # px of the search crop that the target with its context takes

Boxes = Float[np.ndarray, "n 4"]


@dataclasses.dataclass(frozen=True)
class Counts:
    """What one run adds to the figures.

    Attributes:
        auc: success AUC.
        frames: compared frames; lost: of them with overlap below `LOST`.
        losses: stretches in which the target is lost; tracked: frames outside of them.
        size: sum of the logarithms of the size's ratio; sized: over so many frames.
    """

    auc: float
    frames: int
    lost: int
    losses: int
    tracked: int
    size: float
    sized: int


@dataclasses.dataclass(frozen=True)
class Shift:
    """The shift in the frames of one pair of runs: sums of px of the search crop and of shares of
    the width, and the number of frames."""

    pixels: float
    widths: float
    frames: int


def overlaps(truth: Boxes, found: Boxes) -> Float[np.ndarray, " n"]:
    """Overlap of boxes left, top, width, height; NaN where there is no true box, and in the first
    frame; 0 where there is no found one."""
    known = np.isfinite(truth).all(1) & (truth[:, 2:] > 0).all(1)
    known[:1] = False
    values = boxes.iou(boxes.xywh_to_xyxy(truth), boxes.xywh_to_xyxy(found))
    return np.where(known, np.nan_to_num(values), np.nan)


def stretches(lost: Bool[np.ndarray, " n"]) -> list[tuple[int, int]]:
    """First and one-past-last frame of each stretch in which a target counts as lost."""
    edges = np.flatnonzero(np.diff(np.r_[0, lost.astype(int), 0]))
    pairs = [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    return [(a, b) for a, b in pairs if b - a >= STRETCH or b == len(lost)]


def counts(truth: Boxes, found: Boxes, auc: float) -> Counts:
    """Of one run.

    Args:
        truth, found: left, top, width, height, px; a row per frame.
        auc: success AUC of the run.
    """
    overlap = overlaps(truth, found)
    known = np.isfinite(overlap)
    overlap, truth, found = overlap[known], truth[known], found[known]
    lost = overlap < LOST
    spans = stretches(lost)
    held = ~lost
    ratios = (np.log(found[held, 2:]) - np.log(truth[held, 2:])).sum(1) / 2
    return Counts(
        auc=auc,
        frames=len(overlap),
        lost=int(lost.sum()),
        losses=len(spans),
        tracked=len(overlap) - sum(b - a for a, b in spans),
        size=float(ratios.sum()),
        sized=int(held.sum()),
    )


def mirrored(given: Boxes, width: float) -> Boxes:
    """Boxes in the mirrored frames of `width` px."""
    x, y, w, h = given.T
    return np.stack([width - x - w, y, w, h], 1)


def shift(truth: Boxes, plain: Boxes, other: Boxes, width: float) -> Shift:
    """Of a run and the run on the mirrored frames.

    Args:
        truth, plain: boxes in the plain frames.
        other: boxes of the mirrored run, in the mirrored frames.
        width: of the frames, px.
    """
    other = mirrored(other, width)
    both = (overlaps(truth, plain) >= HELD) & (overlaps(truth, other) >= HELD)
    truth, plain, other = truth[both], plain[both], other[both]
    half = (plain[:, 0] + plain[:, 2] / 2 - other[:, 0] - other[:, 2] / 2) / 2
    scale = EXEMPLAR / context_size(truth[:, 2], truth[:, 3])
    return Shift(float((half * scale).sum()), float((half / truth[:, 2]).sum()), int(both.sum()))


def figures(runs: Sequence[Counts], pairs: Sequence[Shift] = ()) -> dict[str, float]:
    """The figures of one target from its runs and its pairs of runs; NaN where no frame counts."""

    def total(name: str) -> float:
        return float(sum(getattr(run, name) for run in runs))

    with np.errstate(invalid="ignore", divide="ignore"):
        frames = np.float64(sum(pair.frames for pair in pairs))
        return {
            "success_auc": float(np.mean([run.auc for run in runs])),
            "lost": float(1000 * total("lost") / np.float64(total("frames"))),
            "losses": float(1000 * total("losses") / np.float64(total("tracked"))),
            "shift": float(sum(pair.pixels for pair in pairs) / frames),
            "shift_width": float(sum(pair.widths for pair in pairs) / frames),
            "size": float(np.exp(total("size") / np.float64(total("sized")))),
        }


# figures that two trackers are compared by, and what is better: the larger (1) or the smaller (-1)
COMPARED = {"success_auc": 1, "lost": -1, "losses": -1}


def gains(
    ours: Sequence[Sequence[Counts]], theirs: Sequence[Sequence[Counts]]
) -> dict[str, dict[str, float | tuple[float, float]]]:
    """By how much one tracker is better than another: paired bootstraps.

    Args:
        ours, theirs: runs of each target, in one order.

    Returns:
        For each figure of `COMPARED`: "gain", the difference of the means over targets, positive
        where ours is better; "interval", 95 % over draws of targets: whether it would hold on other
        targets; "interval_runs", over draws of each target's runs: whether it holds on these
        targets, whatever frame they start from.
    """

    def means(each: Sequence[Sequence[Counts]]) -> dict[str, np.ndarray]:
        rows = [figures(runs) for runs in each]
        return {name: np.array([row[name] for row in rows]) for name in COMPARED}

    first, second = means(ours), means(theirs)
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in COMPARED}
    for seed, (own, other) in enumerate(zip(ours, theirs, strict=True)):
        draws = bootstrap.resamples(len(own), seed)
        of_own, of_other = _drawn(own, draws), _drawn(other, draws)
        for name, sign in COMPARED.items():
            drawn[name].append(sign * (of_own[name] - of_other[name]))
    found: dict[str, dict[str, float | tuple[float, float]]] = {}
    for name, sign in COMPARED.items():
        difference = sign * (first[name] - second[name])
        found[name] = {
            "gain": float(difference.mean()),
            "interval": bootstrap.of_mean(difference),
            "interval_runs": bootstrap.interval(np.mean(drawn[name], 0)),
        }
    return found


def _drawn(runs: Sequence[Counts], draws: np.ndarray) -> dict[str, np.ndarray]:
    """The compared figures of one target in draws (repeats, count) of its runs."""

    def total(name: str) -> np.ndarray:
        return np.array([getattr(run, name) for run in runs], np.float64)[draws].sum(1)

    return {
        "success_auc": total("auc") / len(runs),
        "lost": 1000 * total("lost") / total("frames"),
        "losses": 1000 * total("losses") / np.maximum(total("tracked"), 1),
    }
