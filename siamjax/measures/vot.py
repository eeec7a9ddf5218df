"""Accuracy, robustness and expected average overlap of the VOT challenges 2013 to 2019.

A supervised run starts again five frames after each failure; each frame holds a region or a code
(see `siamjax.datasets.results`). Overlap is the raster overlap of `siamjax.geometry.polygons`.
Sources: Kristan et al., "A novel performance evaluation methodology for single-target trackers"
(2016), and the VOT reports; where the toolkits differ, the rules behind the published SiamRPN++
figures are followed.
"""

import dataclasses

import numpy as np

from siamjax.datasets.results import FAILURE, REGION, START, Run
from siamjax.datasets.sequence import Sequence
from siamjax.geometry.polygons import raster_overlap

SKIPPING = 5  # frames from a failure to the next start
BURN_IN = 10  # frames from each start, itself included, that accuracy ignores

MEASURES = {
    "eao": "expected average overlap over the benchmark's interval of lengths",
    "accuracy": "mean overlap while tracking, ten frames from each start left out",
    "robustness": "failures per 100 frames; less is better",
    "lost": "failures; less is better",
}


@dataclasses.dataclass(frozen=True, eq=False)
class Scored:
    """One sequence's runs, measured.

    Attributes:
        whole: (repetitions, N) overlap inside 0..W, 0..H, NaN where the frame holds no region.
        inner: the same inside 0..W - 1, 0..H - 1, which the expected overlap uses.
        codes: (repetitions, N) what each frame holds.
    """

    whole: np.ndarray
    inner: np.ndarray
    codes: np.ndarray

    @property
    def failures(self) -> list[np.ndarray]:
        """Frames of the failures of each repetition."""
        return [np.flatnonzero(codes == FAILURE) for codes in self.codes]


def measure(sequence: Sequence, runs: list[Run]) -> Scored:
    """Overlaps of a sequence's repetitions with the ground truth.

    Args:
        runs: of equal form, all boxes or all polygons.
    """
    width, height = sequence.size
    truth = np.concatenate([sequence.groundtruth] * len(runs))
    regions = np.concatenate([run.regions for run in runs])
    codes = np.stack([run.codes for run in runs])
    regions = np.where((codes.reshape(-1) == REGION)[:, None], regions, np.nan)
    whole = raster_overlap(truth, regions, (width, height))
    inner = whole.copy()
    # the smaller bounds change nothing for regions that stay inside them
    cut = np.flatnonzero(_reaches(truth, width, height) | _reaches(regions, width, height))
    inner[cut] = raster_overlap(truth[cut], regions[cut], (width - 1, height - 1))
    return Scored(whole.reshape(codes.shape), inner.reshape(codes.shape), codes)


def _reaches(regions, width, height):
    """Whether regions reach beyond width - 1 or height - 1."""
    if regions.shape[1] == 4:
        right, bottom = (regions[:, :2] + regions[:, 2:]).T
    else:
        right, bottom = regions[:, 0::2].max(1), regions[:, 1::2].max(1)
    with np.errstate(invalid="ignore"):
        # one pixel of slack: the raster rounds corners up after rounding them to float32
        return (right > width - 2) | (bottom > height - 2)


def burned_in(scored: Scored) -> np.ndarray:
    """(repetitions, N) overlap without the frames after each start."""
    overlap = scored.whole.copy()
    for row, codes in zip(overlap, scored.codes):
        for start in np.flatnonzero(codes == START):
            row[start : start + BURN_IN] = np.nan
    return overlap


def mean_over_repetitions(overlap: np.ndarray) -> np.ndarray:
    """(N,) mean of the repetitions that have an overlap in the frame; NaN where none has."""
    known = ~np.isnan(overlap)
    count = known.sum(0)
    total = np.where(known, overlap, 0).sum(0, dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def accuracy(frames: list[np.ndarray]) -> float:
    """Mean over all frames of all sequences, so long sequences weigh more; NaN if there is none.

    Args:
        frames: `mean_over_repetitions(burned_in(...))` of each sequence, (N,) overlaps 0..1.
    """
    every = np.concatenate(frames)
    every = every[~np.isnan(every)]
    return float(every.mean()) if every.size else float("nan")


def robustness(failures: list[np.ndarray], lengths: list[int]) -> tuple[float, float]:
    """Failures per 100 frames and number of failures.

    Args:
        failures: (repetitions,) counts for each sequence; the mean over the repetitions is taken.
        lengths: frames of each sequence.
    """
    lost = float(sum(np.mean(counts) for counts in failures))
    return lost / sum(lengths) * 100, lost


@dataclasses.dataclass(frozen=True, eq=False)
class Fragments:
    """Stretches between a start and what ended it, one per row.

    Attributes:
        overlap: (fragments, longest) overlap; 0 after a failure, NaN where the stretch is over.
        sequence: (fragments,) which sequence.
        first, last: (fragments,) frames first..last - 1 of the sequence that the stretch covers.
        share: (fragments,) 1 / repetitions of the sequence.
    """

    overlap: np.ndarray
    sequence: np.ndarray
    first: np.ndarray
    last: np.ndarray
    share: np.ndarray


def fragments(all_scored: list[Scored]) -> Fragments:
    """Cuts every run at the starts after its failures.

    A stretch that ends in a failure runs to the next start and counts as overlap 0 for ever after;
    the last one of a run is undefined after the run's end.
    """
    longest = max(scored.inner.shape[1] for scored in all_scored)
    rows, places = [], []
    for number, scored in enumerate(all_scored):
        repetitions, length = scored.inner.shape
        for overlap, failed in zip(scored.inner, scored.failures):
            if not failed.size:
                row = np.full(longest, np.nan, np.float64)
                row[:length] = overlap
                rows.append(row)
                places.append((number, 0, length, repetitions))
                continue
            cuts = [0, *(int(f) + SKIPPING for f in failed if f + SKIPPING <= length)]
            for place, start in enumerate(cuts):
                last_one = place == len(cuts) - 1
                stop = length if last_one else cuts[place + 1] + 1
                row = np.full(longest, np.nan if last_one else 0.0)
                row[: min(stop, length) - start] = np.nan_to_num(overlap[start:stop])
                rows.append(row)
                places.append((number, start, stop, repetitions))
    sequence, first, last, repetitions = np.array(places).T
    return Fragments(np.stack(rows), sequence, first, last, 1 / repetitions)


def weights(cut: Fragments, tags: list[np.ndarray] | None = None) -> np.ndarray:
    """(fragments,) how much each counts: share of its frames that carry a tag / repetitions.

    Args:
        tags: (N,) of each sequence; None: all frames.
    """
    if tags is None:
        return cut.share.copy()
    shares = [
        tags[s][first:last].sum() / max(last - first, 1e-16)
        for s, first, last in zip(cut.sequence, cut.first, cut.last)
    ]
    return np.asarray(shares, np.float64) * cut.share


def tag_summary(
    cut: Fragments,
    interval: tuple[int, int],
    frames: list[np.ndarray],
    all_scored: list[Scored],
    tags: list[np.ndarray],
) -> dict[str, float]:
    """EAO, accuracy and robustness over the frames that carry a tag; NaN where none does.

    Args:
        frames: as `accuracy` takes them.
        tags: (N,) bool of each sequence.
    """
    count = sum(int(tag.sum()) for tag in tags)
    if count == 0:
        return dict.fromkeys(("eao", "accuracy", "robustness"), float("nan"))
    failures = sum(
        np.mean([tag[failed].sum() for failed in scored.failures])
        for scored, tag in zip(all_scored, tags, strict=True)
    )
    return {
        "eao": eao(expected_overlap(cut, weights(cut, tags)), interval),
        "accuracy": accuracy([f[tag] for f, tag in zip(frames, tags, strict=True)]),
        "robustness": float(failures) / count * 100,
    }


def expected_overlap(cut: Fragments, weight: np.ndarray) -> np.ndarray:
    """(longest,) float32: weighted mean over the fragments still defined at length i of the mean
    overlap.

    The frame of the start is not counted; entry 0 is 1.
    """
    return _curve(*_sums(cut), weight[None])[0]


def _sums(cut: Fragments) -> tuple[np.ndarray, np.ndarray]:
    """Mean overlap of each fragment over its first i frames, and where it is defined."""
    lengths = np.arange(1, cut.overlap.shape[1])
    return np.cumsum(cut.overlap[:, 1:], 1) / lengths, ~np.isnan(cut.overlap[:, 1:])


def _curve(means, defined, weight) -> np.ndarray:
    """(k, longest) curves for (k, fragments) weights."""
    total = weight @ np.where(defined, means, 0)
    mass = weight @ defined
    with np.errstate(invalid="ignore", divide="ignore"):
        values = np.where(mass > 0, total / mass, np.nan)
    nobody = ~defined.any(0)
    values = np.where(nobody[None], 0, values)
    return np.concatenate([np.ones((len(weight), 1)), values], 1).astype(np.float32)


def eao(curve: np.ndarray, interval: tuple[int, int]) -> float:
    """Mean of a curve over lengths low..high, both included and counted from 1; NaN entries
    ignored.

    Args:
        curve: (L,) expected overlap of runs of 1..L frames.
        interval: low and high.

    Returns:
        NaN where the longest sequence is shorter than `low`.
    """
    low, high = interval
    part = curve[low - 1 : high].astype(np.float64)
    part = part[~np.isnan(part)]
    return float(part.mean()) if part.size else float("nan")


def resampled_eao(
    cut: Fragments, interval: tuple[int, int], picks: np.ndarray, count: int
) -> np.ndarray:
    """EAO of benchmarks made of resampled sequences.

    Args:
        picks: (repeats, k) numbers of sequences, with repetition.
        count: number of sequences.

    Returns:
        (repeats,) EAO of each.
    """
    times = np.stack([np.bincount(pick, minlength=count) for pick in picks])
    weight = times[:, cut.sequence] * cut.share
    low, high = interval
    means, defined = _sums(cut)
    part = slice(max(low - 2, 0), high - 1)
    curves = _curve(means[:, part], defined[:, part], weight)[:, 1:]
    with np.errstate(invalid="ignore"):
        known = ~np.isnan(curves)
        total = np.where(known, curves, 0).sum(1, dtype=np.float64)
        return np.where(known.any(1), total / np.maximum(known.sum(1), 1), np.nan)
