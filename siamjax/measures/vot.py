"""Accuracy, robustness and expected average overlap of the VOT challenges 2013 to 2019.

A supervised run starts again five frames after each failure; each frame holds a region or a code
(see `siamjax.datasets.results`). Overlap is the raster overlap of `siamjax.geometry.polygons`.
Sources: Kristan et al., "A novel performance evaluation methodology for single-target trackers"
(2016), and the VOT reports; where the toolkits differ, the rules behind the published SiamRPN++
figures are followed. Rows without a region are misses: see `siamjax.datasets.forms.restarts`.
"""

import dataclasses
import math
from collections.abc import Sequence as AbstractSequence

import numpy as np
from jaxtyping import Bool, Float, Int

from siamjax.datasets.forms.base import FAILURE, START, Run
from siamjax.datasets.forms.restarts import SKIPPING, marks
from siamjax.datasets.sequence import Sequence
from siamjax.geometry.polygons import corners, raster_overlap
from siamjax.measures import bootstrap
from siamjax.measures.eao import eao, known_mean, middle_half, stretches, weighted_mean
from siamjax.measures.result import Figure, Interval, Part, Plot, Result, Runs, Sequences, by_tag

BURN_IN = 10  # frames from each start, itself included, that accuracy ignores

SENSITIVITY = 30  # frames over which the AR plot asks whether a tracker survives

FIGURES = {
    # expected average overlap over the benchmark's interval of lengths
    "eao": Figure("EAO"),
    # mean overlap, ten frames from each start left out
    "accuracy": Figure("accuracy"),
    # failures per 100 frames, and failures
    "robustness": Figure("robustness (lost per 100)", lower_is_better=True),
    "lost": Figure("failures", lower_is_better=True, digits=1),
}


def _survival(result: Result, tracker: str) -> tuple[float, float]:
    row = result.trackers[tracker]
    return math.exp(-SENSITIVITY * row["robustness"] / 100), row["accuracy"]


PLOTS = {
    "expected_overlap": Plot(
        "lines", "expected overlap", "length of the sequence (frames)", "expected overlap", "eao"
    ),
    # VOT's AR plot: accuracy over the chance to track so many frames without failure
    "accuracy_robustness": Plot(
        "points",
        f"accuracy and robustness, S = {SENSITIVITY}",
        f"reliability: exp(-{SENSITIVITY} x failures per frame)",
        "accuracy",
        data=_survival,
    ),
    "eao_ranking": Plot("bars", "expected average overlap", "", "EAO", "eao"),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Scored:
    """The overlaps of one sequence's runs.

    Attributes:
        whole: overlap inside 0..W, 0..H; 0 where the tracker ran and gave no region, NaN where it
            did not run.
        inner: the same inside 0..W - 1, 0..H - 1, which the expected overlap uses.
        codes: what each frame holds.
    """

    whole: Float[np.ndarray, "repetitions n"]
    inner: Float[np.ndarray, "repetitions n"]
    codes: Int[np.ndarray, "repetitions n"]

    @property
    def failures(self) -> list[np.ndarray]:
        """Frames of the failures of each repetition."""
        return [np.flatnonzero(codes == FAILURE) for codes in self.codes]


def measure(sequence: Sequence, runs: AbstractSequence[Run]) -> Scored:
    """Overlaps of a sequence's repetitions with the ground truth.

    Args:
        runs: of equal form, all boxes or all polygons.
    """
    width, height = sequence.size
    truth = np.concatenate([sequence.groundtruth] * len(runs))
    marked = [marks(run) for run in runs]
    codes = np.stack([one.codes for one in marked])
    held = np.concatenate([one.regions for one in marked])
    regions = np.where(held[:, None], np.concatenate([run.regions for run in runs]), np.nan)
    whole = raster_overlap(truth, regions, (width, height))
    missed = np.concatenate([one.missed for one in marked]) & np.isfinite(truth).all(1)
    whole[missed] = 0
    inner = whole.copy()
    # the smaller bounds change nothing for regions that stay inside them
    beyond = _reaches(truth, width, height) | _reaches(regions, width, height)
    cut = np.flatnonzero(beyond & ~missed)
    inner[cut] = raster_overlap(truth[cut], regions[cut], (width - 1, height - 1))
    return Scored(whole.reshape(codes.shape), inner.reshape(codes.shape), codes)


def _reaches(regions, width, height):
    """Whether regions reach beyond width - 1 or height - 1."""
    points = corners(regions)
    right, bottom = points[:, 0::2].max(1), points[:, 1::2].max(1)
    with np.errstate(invalid="ignore"):
        # one pixel of slack: the raster rounds corners up after rounding them to float32
        return (right > width - 2) | (bottom > height - 2)


def burn_in(codes: Int[np.ndarray, "repetitions n"]) -> Bool[np.ndarray, "repetitions n"]:
    """Which frames accuracy ignores since they follow a start."""
    ignored = np.zeros(codes.shape, bool)
    for repetition, start in np.argwhere(codes == START):
        ignored[repetition, start : start + BURN_IN] = True
    return ignored


def burned_in(scored: Scored) -> Float[np.ndarray, "repetitions n"]:
    """Overlap without the frames after each start."""
    return np.where(burn_in(scored.codes), np.nan, scored.whole)


def mean_over_repetitions(overlap: Float[np.ndarray, "r n"]) -> Float[np.ndarray, " n"]:
    """Mean of the repetitions that have an overlap in the frame; NaN where none has."""
    known = ~np.isnan(overlap)
    count = known.sum(0)
    total = np.where(known, overlap, 0).sum(0, dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def accuracy(frames: list[Float[np.ndarray, " _"]]) -> float:
    """Mean over all frames of all sequences, so long sequences weigh more; NaN if there is none.

    Args:
        frames: `mean_over_repetitions(burned_in(...))` of each sequence.
    """
    return known_mean(np.concatenate(frames))


def robustness(
    failures: AbstractSequence[Int[np.ndarray, " _"]], lengths: AbstractSequence[int]
) -> tuple[float, float]:
    """Failures per 100 frames and number of failures.

    Args:
        failures: counts of the repetitions for each sequence; their mean is taken.
        lengths: frames of each sequence.
    """
    lost = float(sum(np.mean(counts) for counts in failures))
    return lost / sum(lengths) * 100, lost


@dataclasses.dataclass(frozen=True, eq=False)
class Fragments:
    """Stretches between a start and what ended it, one per row.

    Attributes:
        overlap: 0 after a failure, NaN where the stretch is over.
        sequence: which sequence.
        first, last: frames first..last - 1 of the sequence that the stretch covers.
        share: 1 / repetitions of the sequence.
    """

    overlap: Float[np.ndarray, "fragments longest"]
    sequence: Int[np.ndarray, " fragments"]
    first: Int[np.ndarray, " fragments"]
    last: Int[np.ndarray, " fragments"]
    share: Float[np.ndarray, " fragments"]


def fragments(all_scored: list[Scored]) -> Fragments:
    """Cuts every run at the starts after its failures.

    A stretch that ends in a failure runs to the next start and counts as overlap 0 for ever after;
    the last one of a run is undefined after the run's end.
    """
    longest = max(scored.inner.shape[1] for scored in all_scored)
    pieces, places = [], []
    for number, scored in enumerate(all_scored):
        repetitions, length = scored.inner.shape
        for overlap, failed in zip(scored.inner, scored.failures):
            starts = [0, *(int(f) + SKIPPING for f in failed if f + SKIPPING <= length)]
            for start, following in zip(starts, [*starts[1:], None]):
                stop = length if following is None else following + 1
                # a run without failure keeps its frames without region undefined
                part = np.nan_to_num(overlap[start:stop]) if failed.size else overlap
                pieces.append((part, following is not None))
                places.append((number, start, stop, repetitions))
    sequence, first, last, repetitions = np.array(places).T
    return Fragments(stretches(pieces, longest), sequence, first, last, 1 / repetitions)


def weights(
    cut: Fragments, tags: list[Bool[np.ndarray, " _"]] | None = None
) -> Float[np.ndarray, " fragments"]:
    """How much each fragment counts: share of its frames that carry a tag / repetitions.

    Args:
        tags: of each sequence; None: all frames.
    """
    if tags is None:
        return cut.share.copy()
    shares = [
        tags[s][first:last].sum() / max(last - first, 1e-16)
        for s, first, last in zip(cut.sequence, cut.first, cut.last)
    ]
    return np.asarray(shares, np.float64) * cut.share


def tag_summary(
    curve: Float[np.ndarray, " longest"],
    interval: Interval,
    frames: list[Float[np.ndarray, " _"]],
    all_scored: list[Scored],
    tags: list[Bool[np.ndarray, " _"]],
) -> dict[str, float]:
    """EAO, accuracy and robustness over the frames that carry a tag; NaN where none does.

    Args:
        curve: `expected_overlap` weighted by the tag.
        frames: as `accuracy` takes them.
        tags: of each sequence.
    """
    count = sum(int(tag.sum()) for tag in tags)
    if count == 0:
        return dict.fromkeys(("eao", "accuracy", "robustness"), float("nan"))
    failures = sum(
        np.mean([tag[failed].sum() for failed in scored.failures])
        for scored, tag in zip(all_scored, tags, strict=True)
    )
    return {
        "eao": eao(curve, interval),
        "accuracy": accuracy([f[tag] for f, tag in zip(frames, tags, strict=True)]),
        "robustness": float(failures) / count * 100,
    }


def expected_overlap(
    cut: Fragments, weight: Float[np.ndarray, " fragments"]
) -> Float[np.ndarray, " longest"]:
    """Weighted mean over the fragments still defined at length i of the mean overlap.

    The frame of the start is not counted; entry 0 is 1.
    """
    return _curve(*_sums(cut), weight[None])[0]


def _sums(cut: Fragments) -> tuple[np.ndarray, np.ndarray]:
    """Mean overlap of each fragment over its first i frames, and where it is defined: up to its
    last frame with an overlap; frames before it whose truth is unknown do not count."""
    known = ~np.isnan(cut.overlap[:, 1:])
    defined = np.maximum.accumulate(known[:, ::-1], 1)[:, ::-1]
    sums = np.cumsum(np.where(known, cut.overlap[:, 1:], 0), 1)
    return sums / np.maximum(np.cumsum(known, 1), 1), defined


def _curve(means, defined, weight) -> np.ndarray:
    """(k, longest) curves for (k, fragments) weights."""
    values = np.where(defined.any(0), weighted_mean(weight, means, defined), 0)
    return np.concatenate([np.ones((len(weight), 1)), values], 1).astype(np.float32)


def resampled_eao(
    cut: Fragments, interval: Interval, picks: Int[np.ndarray, "repeats k"], count: int
) -> Float[np.ndarray, " repeats"]:
    """EAO of each of some benchmarks made of resampled sequences.

    Args:
        picks: numbers of sequences, with repetition.
        count: number of sequences.
    """
    times = np.stack([np.bincount(pick, minlength=count) for pick in picks])
    weight = times[:, cut.sequence] * cut.share
    low, high = interval
    means, defined = _sums(cut)
    part = slice(max(low - 2, 0), high - 1)
    curves = _curve(means[:, part], defined[:, part], weight)[:, 1:]
    return mean_over_repetitions(curves.T)


def score(sequences: Sequences, runs: Runs, interval: Interval | None = None) -> Part:
    """What a tracker scored; attributes are the tags of frames."""
    scored = [measure(s, repeated) for s, repeated in zip(sequences, runs, strict=True)]
    lengths = np.array([len(sequence) for sequence in sequences])
    low, high = interval = interval or middle_half(lengths)
    frames = [mean_over_repetitions(burned_in(one)) for one in scored]
    failures = [np.array([len(failed) for failed in one.failures]) for one in scored]
    lost_per_100, lost = robustness(failures, lengths.tolist())
    cut = fragments(scored)
    curve = expected_overlap(cut, weights(cut))
    counts = np.array([[np.nansum(f), np.isfinite(f).sum()] for f in frames])
    misses = np.array([f.mean() for f in failures])
    picks = bootstrap.resamples(len(sequences))
    drawn = counts[picks].sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        accuracies = drawn[:, 0] / drawn[:, 1]
    tables: dict[str, dict[str, float]] = {}
    tag_curves = {}
    for tag, flags in by_tag(sequences).items():
        tag_curves[tag] = expected_overlap(cut, weights(cut, flags))
        row = tag_summary(tag_curves[tag], interval, frames, scored, flags)
        for figure, value in row.items():
            tables.setdefault(figure, {})[tag] = value
    return Part(
        overlap=f"raster (pixels inside the image); EAO over lengths {low}..{high}",
        interval=interval,
        values={
            "eao": eao(curve, interval),
            "accuracy": accuracy(frames),
            "robustness": lost_per_100,
            "lost": lost,
        },
        resampled={
            "eao": resampled_eao(cut, interval, picks, len(sequences)),
            "accuracy": accuracies,
            "robustness": misses[picks].sum(1) / lengths[picks].sum(1) * 100,
        },
        per_sequence=[
            {"accuracy": accuracy([mean]), "lost": float(n), "robustness": float(n) / length * 100}
            for mean, n, length in zip(frames, misses, lengths.tolist(), strict=True)
        ],
        curves={"expected overlap": (np.arange(1, lengths.max() + 1.0), curve)},
        attributes=tables,
        attribute_curves={"expected overlap": tag_curves} if tag_curves else {},
    )
