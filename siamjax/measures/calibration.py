"""What a tracker's scores say about its boxes: whether low ones tell that the target is lost, and
whether they are the chance of a good box.

A frame is lost where the overlap is at most 0.1, as in VOT2020's rule of failures, where a restart
run failed, or where the target is not in the image; a box is good where the overlap is above 0.5.
Each sequence's first frame is left out. Overlap is that of upright boxes, a polygon's of equal
area. The reliability diagram and the calibration error follow Guo et al. 2017, with ten bins of
equal width.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float, Int

from siamjax.datasets.forms.base import FAILURE, REGION, Run
from siamjax.datasets.sequence import Sequence
from siamjax.geometry import boxes, polygons
from siamjax.measures.result import Figure, Plot, Result, Runs, Sequences

LOST = 0.1  # overlap
GOOD = 0.5  # overlap
BINS = 10
FIGURES = {
    # chance that a lost frame has a lower score than a frame that is not lost
    "loss_auroc": Figure("AUROC of loss"),
    # mean distance of score and share of good boxes over bins, of scores within 0..1
    "calibration_error": Figure("calibration error", lower_is_better=True),
}
_FALSE_ALARMS = np.linspace(0, 1, 101)
PerFrame = Float[np.ndarray, " n"]


@dataclasses.dataclass(frozen=True, eq=False)
class Frames:
    """Frames with a score of all sequences.

    Attributes:
        scores: the tracker's.
        lost, good: see the module's text.
    """

    scores: PerFrame
    lost: Bool[np.ndarray, " n"]
    good: Bool[np.ndarray, " n"]


def frames(sequence: Sequence, run: Run) -> Frames:
    """The frames of one run that have a score."""
    regions = run.regions if run.regions.shape[1] == 4 else polygons.box_of_region(run.regions)
    truth = sequence.boxes
    overlap = np.nan_to_num(boxes.iou(boxes.xywh_to_xyxy(truth), boxes.xywh_to_xyxy(regions)))
    absent = ~np.isfinite(truth).all(1)
    if sequence.absent is not None:
        absent |= sequence.absent
    scored = np.isfinite(run.scores) & np.isin(run.codes, (REGION, FAILURE))
    scored[0] = False
    lost = (overlap <= LOST) | absent | (run.codes == FAILURE)
    good = (overlap > GOOD) & ~absent
    return Frames(run.scores[scored].astype(float), lost[scored], good[scored])


def auroc(scores: PerFrame, lost: Bool[np.ndarray, " n"]) -> float:
    """Chance that a lost frame has a lower score than another, ties counted as half (Mann and
    Whitney 1947); NaN where all or none are lost."""
    ranks = _ranks(scores)
    bad, fine = int(lost.sum()), int((~lost).sum())
    if not bad or not fine:
        return float("nan")
    above = ranks[~lost].sum() - fine * (fine + 1) / 2
    return float(above / (bad * fine))


def _ranks(values: PerFrame) -> PerFrame:
    """From 1, equal values at the mean of their places."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[place]


def detection(scores: PerFrame, lost: Bool[np.ndarray, " n"]) -> Float[np.ndarray, "101"]:
    """Share of lost frames found at 0, 1 .. 100 % of false alarms, by falling thresholds; NaN as
    `auroc`."""
    if lost.all() or not lost.any():
        return np.full(len(_FALSE_ALARMS), np.nan)
    levels, place = np.unique(scores, return_inverse=True)
    found = np.cumsum(np.bincount(place[lost], minlength=len(levels))) / lost.sum()
    alarms = np.cumsum(np.bincount(place[~lost], minlength=len(levels))) / (~lost).sum()
    return np.interp(_FALSE_ALARMS, np.r_[0.0, alarms], np.r_[0.0, found])


def reliability(of: Frames) -> tuple[Int[np.ndarray, "10"], Float[np.ndarray, "2 10"]]:
    """Frames in each bin, and their mean score and share of good boxes; NaN in empty bins.

    Args:
        of: with scores within 0..1.
    """
    place = np.minimum((of.scores * BINS).astype(int), BINS - 1)
    counts = np.bincount(place, minlength=BINS)
    sums = [np.bincount(place, values, minlength=BINS) for values in (of.scores, of.good)]
    with np.errstate(invalid="ignore"):
        return counts, np.array(sums) / counts


def calibration_error(counts: Int[np.ndarray, "10"], means: Float[np.ndarray, "2 10"]) -> float:
    """Distance of mean score and share of good boxes, mean over bins by their frames."""
    distance = np.nan_to_num(np.abs(means[0] - means[1]))
    return float((counts * distance).sum() / counts.sum())


def add(result: Result, sequences: Sequences, runs: Mapping[str, Runs]) -> None:
    """Adds figures, curves and plots to a result for the trackers whose results carry scores that
    differ; nothing where there is none. Of runs the first counts; runs from several starts are left
    out.

    Args:
        runs: tracker -> its runs of the sequences, in their order.
    """
    values: dict[str, dict[str, float]] = {}
    curves: dict[str, dict[str, np.ndarray]] = {}
    for tracker, own in runs.items():
        pairs = [(s, repeated[0]) for s, repeated in zip(sequences, own, strict=True)]
        if any(len(run.scores) != len(s.boxes) for s, run in pairs):
            continue
        if not any(np.isfinite(run.scores).any() for _, run in pairs):
            continue
        parts = [dataclasses.astuple(frames(s, run)) for s, run in pairs]
        all_frames = Frames(*map(np.concatenate, zip(*parts, strict=True)))
        if len(np.unique(all_frames.scores)) < 2:
            continue
        values[tracker] = {"loss_auroc": auroc(all_frames.scores, all_frames.lost)}
        found = detection(all_frames.scores, all_frames.lost)
        curves.setdefault("loss detection", {})[tracker] = found
        if all_frames.scores.min() >= 0 and all_frames.scores.max() <= 1:
            counts, means = reliability(all_frames)
            values[tracker]["calibration_error"] = calibration_error(counts, means)
            for name, row in zip(_RELIABILITY, means, strict=True):
                curves.setdefault(name, {})[tracker] = row
    if not values:
        return
    for tracker, row in values.items():
        result.trackers[tracker] = result.trackers[tracker] | row
    centres = (np.arange(BINS) + 0.5) / BINS
    result.curves = result.curves | {
        name: (_FALSE_ALARMS if name == "loss detection" else centres, lines)
        for name, lines in curves.items()
    }
    result.figures = {**result.figures, **FIGURES}
    shown = {name: plot for name, plot in PLOTS.items() if plot.title in curves}
    result.plots = {**result.plots, **shown}


_RELIABILITY = ("mean score", "reliability")


def _reliability(result: Result, tracker: str) -> tuple[np.ndarray, np.ndarray]:
    score, good = (result.curves[name][1][tracker] for name in _RELIABILITY)
    known = np.isfinite(score)
    return score[known], good[known]


PLOTS = {
    "reliability": Plot(
        "lines",
        "reliability",
        "confidence (score or presence)",
        f"share with overlap above {GOOD}",
        "calibration_error",
        data=_reliability,
        diagonal=True,
    ),
    "loss_detection": Plot(
        "lines",
        "loss detection",
        "false alarms (share of tracked frames)",
        "share of lost frames found",
        "loss_auroc",
        diagonal=True,
    ),
}
