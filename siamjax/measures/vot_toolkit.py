"""Accuracy, failures and expected average overlap as the official toolkit counts them (vot-toolkit
0.7).

The published SiamRPN++ figures follow other rules, those of `siamjax.measures.vot`. On
the same trajectories the two differ in this:

- a box covers w x h pixels instead of (w + 1) (h + 1), corners are rounded half to even, the image
  ends at W - 1, H - 1, and level edges of polygons are filled;
- a sequence's accuracy is the mean over its repetitions, and sequences are weighted by their length
  instead of by the frames that count;
- failures are a mean over sequences, weighted by length;
- a stretch that ends in a failure stops before it, and every stretch weighs the same;
- entry i of the curve, counted from 0, is the mean over frames 1..i, and EAO averages entries
  low..high.

Written from the toolkit's behaviour; a test compares with figures that it gave.
"""

import dataclasses
import math
from collections.abc import Sequence as AbstractSequence

import numpy as np
from jaxtyping import Bool, Float, Int, Real

from siamjax.datasets.forms.base import FAILURE, REGION, START, UNKNOWN, Run
from siamjax.datasets.forms.restarts import marks
from siamjax.datasets.sequence import Sequence
from siamjax.measures import bootstrap, vot
from siamjax.measures.eao import eao as mean_between
from siamjax.measures.eao import middle_half, stretches, weighted_mean
from siamjax.measures.result import Figure, Interval, Part, Result, Runs, Sequences
from siamjax.measures.vot import SENSITIVITY

FIGURES = {
    "eao": vot.FIGURES["eao"],
    "accuracy": vot.FIGURES["accuracy"],
    # mean failures of a sequence
    "weighted_lost": Figure("failures per sequence, by length", lower_is_better=True),
    # chance to track 30 frames
    "reliability": Figure("reliability (30 frames)"),
    "lost": vot.FIGURES["lost"],
}


def _reliability(result: Result, tracker: str) -> tuple[float, float]:
    row = result.trackers[tracker]
    return row["reliability"], row["accuracy"]


PLOTS = vot.PLOTS | {
    "accuracy_robustness": dataclasses.replace(vot.PLOTS["accuracy_robustness"], data=_reliability)
}


@dataclasses.dataclass(frozen=True, eq=False)
class Scored:
    """The overlaps of one sequence's runs.

    Attributes:
        overlap: inside the image; 0 where a frame holds no region.
        codes: what each frame holds.
        missed: where the tracker ran and gave no region.
    """

    overlap: Float[np.ndarray, "repetitions n"]
    codes: Int[np.ndarray, "repetitions n"]
    missed: Bool[np.ndarray, "repetitions n"]


def measure(sequence: Sequence, runs: AbstractSequence[Run]) -> Scored:
    """Overlaps of a sequence's repetitions with the ground truth."""
    rows = [overlaps(sequence.groundtruth, run.regions, sequence.size) for run in runs]
    marked = [marks(run) for run in runs]
    held = np.stack([one.regions for one in marked])
    missed = np.stack([one.missed for one in marked])
    codes = np.stack([one.codes for one in marked])
    return Scored(np.where(held, np.stack(rows), 0), codes, missed)


def overlaps(
    truth: Real[np.ndarray, "n _"], regions: Real[np.ndarray, "n _"], size: tuple[int, int]
) -> Float[np.ndarray, " n"]:
    """Overlap of regions in pixels of an image.

    Args:
        truth, regions: left, top, width, height or 8 corners, px; 0 where one is not finite.
        size: width and height of the image, px.
    """
    known = np.isfinite(truth).all(1) & np.isfinite(regions).all(1)
    found = np.zeros(len(truth))
    for i in np.flatnonzero(known):
        found[i] = _overlap(_rounded(truth[i]), _rounded(regions[i]), size)
    return found


def _rounded(region) -> np.ndarray:
    """Whole numbers, rounded half to even as float32."""
    return np.round(np.asarray(region, np.float32)).astype(np.int64)


def _overlap(a, b, size) -> float:
    (l1, t1, r1, b1), (l2, t2, r2, b2) = _extent(a), _extent(b)
    left, top, right, bottom = min(l1, l2), min(t1, t2), max(r1, r2), max(b1, b2)
    if left >= right or top >= bottom:
        return 1.0  # both are a line at most: the toolkit takes them for equal
    left, top = max(left, 0), max(top, 0)
    right, bottom = min(right, size[0] - 1), min(bottom, size[1] - 1)
    if left >= right or top >= bottom:
        return 0.0
    window = left, top, right - left + 1, bottom - top + 1
    first, second = _filled(a, *window), _filled(b, *window)
    union = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / union if union else 0.0


def _extent(region) -> tuple[int, int, int, int]:
    """First and last column and row: left, top, right, bottom."""
    if len(region) == 4:
        x, y, w, h = (int(value) for value in region)
        return x, y, x + w - 1, y + h - 1
    xs, ys = region[0::2], region[1::2]
    return int(xs.min()), int(ys.min()), int(xs.max()), int(ys.max())


def _filled(region, left: int, top: int, width: int, height: int) -> np.ndarray:
    """(height, width) bool: the pixels of a region in a window of the image."""
    columns, rows = np.arange(width), np.arange(height)
    if len(region) == 4:
        x0, y0, x1, y1 = _extent(region)
        inside = (rows >= y0 - top) & (rows <= y1 - top)
        return inside[:, None] & (columns >= x0 - left) & (columns <= x1 - left)
    spans = _spans(region[0::2] - left, region[1::2] - top, rows)
    return np.any([(columns >= a[:, None]) & (columns <= b[:, None]) for a, b in spans], 0)


def _spans(xs, ys, rows):
    """Filled columns of a polygon of four corners: two spans (from, to) for each row.

    Every edge that touches a row crosses it, a level one at its end; crossings are cut to whole
    numbers towards 0 and sorted. An equal neighbour is skipped unless both are the last; otherwise
    the pixels between two are filled and both are used up.
    """
    crossings = np.full((len(rows), 4), np.inf)
    for i in range(4):
        j = i - 1
        touched = (rows >= min(ys[i], ys[j])) & (rows <= max(ys[i], ys[j]))
        rise = ys[j] - ys[i]
        at = xs[i] + (rows - ys[i]) / rise * (xs[j] - xs[i]) if rise else np.full(len(rows), xs[i])
        crossings[touched, i] = np.trunc(at[touched])
    crossings.sort(1)
    c0, c1, c2, c3 = crossings.T
    count = np.isfinite(crossings).sum(1)
    skip = (c0 == c1) & (count > 2)
    skip_twice = skip & (c1 == c2) & (count > 3)
    start = np.where(skip_twice, c2, np.where(skip, c1, c0))
    stop = np.where(skip_twice, c3, np.where(skip, c2, c1))
    empty = np.isinf(stop)
    first = np.where(empty, 0, start), np.where(empty, -1, stop)
    second = ~skip & (count > 3)
    return first, (np.where(second, c2, 0), np.where(second, c3, -1))


def sequence_accuracy(scored: Scored) -> float:
    """Mean over the repetitions of the mean overlap, without ten frames from each start, failures
    and pauses; 0 for a repetition without any other frame."""
    paused = np.isin(scored.codes, (UNKNOWN, FAILURE)) & ~scored.missed
    ignored = vot.burn_in(scored.codes) | paused
    counted = [overlap[~row] for overlap, row in zip(scored.overlap, ignored, strict=True)]
    return float(np.mean([overlap.mean() if overlap.size else 0.0 for overlap in counted]))


def sequence_failures(scored: Scored) -> float:
    """Failures, mean over the repetitions."""
    return float((scored.codes == FAILURE).sum(1).mean())


def average(values, lengths) -> float:
    """The toolkit's average over sequences: weighted by length."""
    return float(np.average(values, weights=lengths))


def reliability(failures: float, lengths) -> float:
    """Chance to track `SENSITIVITY` frames, the x of the AR plot.

    Args:
        failures: `average` of the sequences' failures.
        lengths: frames of each sequence.
    """
    return math.exp(-failures / float(np.mean(lengths)) * SENSITIVITY)


@dataclasses.dataclass(frozen=True, eq=False)
class Fragments:
    """Stretches from a start up to the failure that ended it or to the sequence's end.

    Attributes:
        overlap: 0 after a failure, NaN where the stretch is over.
        sequence: which sequence.
    """

    overlap: Float[np.ndarray, "fragments longest"]
    sequence: Int[np.ndarray, " fragments"]


def fragments(all_scored: list[Scored]) -> Fragments:
    """Cuts every run at its failures, but not at a last row that holds nothing: it may stand for a
    region or for a failure."""
    pieces, numbers = [], []
    for number, scored in enumerate(all_scored):
        rows = zip(scored.overlap, scored.codes, scored.missed, strict=True)
        for overlap, codes, missed in rows:
            codes = np.where((np.arange(len(codes)) == len(codes) - 1) & missed, REGION, codes)
            failures, starts = (np.flatnonzero(codes == code) for code in (FAILURE, START))
            # the last start has no failure where the run ended by tracking
            cuts = zip(starts, [*failures, None]) if failures.size else [(0, None)]
            for start, failure in cuts:
                pieces.append((overlap[start:failure], failure is not None))
                numbers.append(number)
    longest = max(len(piece) for piece, _ in pieces)
    return Fragments(stretches(pieces, longest), np.array(numbers))


def expected_overlap(
    cut: Fragments, weight: Float[np.ndarray, "*k fragments"]
) -> Float[np.ndarray, "*k longest"]:
    """Entry i is the mean, over the fragments that count there, of
    their mean overlap over frames 1..i; entry 0 is that of the starts.

    Args:
        weight: of each fragment; the toolkit's own is 1.
    """
    means = cut.overlap.copy()
    lengths = np.arange(1, means.shape[1])
    means[:, 1:] = np.cumsum(means[:, 1:], 1) / lengths
    return weighted_mean(weight, means, ~np.isnan(means))


def eao(curve: Float[np.ndarray, " longest"], interval: Interval) -> float:
    """Mean of entries low..high, counted from 0; NaN where no fragment is as long as `low`."""
    low, high = interval
    return mean_between(curve, (low + 1, high + 1))


def score(sequences: Sequences, runs: Runs, interval: Interval | None = None) -> Part:
    """What a tracker scored."""
    scored = [measure(s, repeated) for s, repeated in zip(sequences, runs, strict=True)]
    lengths = np.array([len(sequence) for sequence in sequences])
    if interval is None:  # entries count from 0
        low, high = middle_half(lengths)
        interval = low - 1, high - 1
    accuracies = np.array([sequence_accuracy(one) for one in scored])
    failures = np.array([sequence_failures(one) for one in scored])
    cut = fragments(scored)
    curve = expected_overlap(cut, np.ones(len(cut.sequence)))
    padded = np.pad(curve, (0, lengths.max() - len(curve)), constant_values=np.nan)
    lost = average(failures, lengths)
    picks = bootstrap.resamples(len(sequences))
    times = np.stack([np.bincount(pick, minlength=len(sequences)) for pick in picks])
    curves = expected_overlap(cut, times[:, cut.sequence].astype(float))
    weight = lengths[picks] / lengths[picks].sum(1, keepdims=True)
    return Part(
        overlap="raster of vot-toolkit 0.7 (pixels inside the image);"
        f" EAO over lengths {interval[0]}..{interval[1]}",
        interval=interval,
        values={
            "eao": eao(curve, interval),
            "accuracy": average(accuracies, lengths),
            "weighted_lost": lost,
            "reliability": reliability(lost, lengths),
        },
        resampled={
            "eao": np.array([eao(one, interval) for one in curves]),
            "accuracy": (accuracies[picks] * weight).sum(1),
            "weighted_lost": (failures[picks] * weight).sum(1),
        },
        per_sequence=[
            {"accuracy": float(accuracy), "lost": float(missed)}
            for accuracy, missed in zip(accuracies, failures, strict=True)
        ],
        curves={"expected overlap": (np.arange(lengths.max()), padded)},
    )
