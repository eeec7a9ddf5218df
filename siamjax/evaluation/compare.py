"""Whether two trackers differ on the same sequences, and where they differ.

Both trackers' figures are computed on the same draws of sequences
(`siamjax.measures.bootstrap`), and the differences of the draws give an interval. How likely a
difference as large is where there is none says a randomisation test on few sequences, the draws on
many. That says how far the choice of sequences could be the reason, not what another training of a
tracker would give.
"""

import dataclasses
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from siamjax.measures import bootstrap
from siamjax.measures.result import Result


@dataclasses.dataclass(frozen=True)
class Difference:
    """A figure of one tracker less that of another.

    Attributes:
        value, low, high: the difference and its 95 % interval.
        p: two-sided, of this pair alone; see `probability`.
        adjusted: `p` by Holm's rule for all pairs that are compared (Holm 1979).
    """

    first: str
    second: str
    value: float
    low: float
    high: float
    p: float
    adjusted: float


def compared(result: Result) -> str:
    """The figure that trackers are compared by: the first that all of them have draws or values per
    sequence of; "" where there is none, or fewer than two trackers or sequences."""
    rows = [row for table in result.per_sequence.values() for row in table.values()]
    if len(result.trackers) < 2 or len(rows) < 2 * len(result.trackers):
        return ""
    drawn = set.intersection(*(set(result.resampled.get(t, {})) for t in result.trackers))
    known = set.intersection(*(set(row) for row in rows))
    return next((name for name in result.columns if name in drawn | known), "")


def differences(result: Result) -> list[Difference]:
    """All pairs of trackers by the figure `compared`, the better one first, in the order of the
    ranking."""
    figure = compared(result)
    if not figure:
        return []
    draws = {tracker: _draws(result, tracker, figure) for tracker in result.trackers}
    found = []
    for first, second in combinations(result.ranked(figure), 2):
        drawn = draws[first] - draws[second]
        value = result.trackers[first][figure] - result.trackers[second][figure]
        bounds = bootstrap.interval(drawn)
        p = probability(value, drawn, _by_sequence(result, first, second, figure))
        found.append(Difference(first, second, value, *bounds, p, 1.0))
    adjusted = holm([one.p for one in found])
    return [dataclasses.replace(one, adjusted=p) for one, p in zip(found, adjusted, strict=True)]


def probability(value: float, drawn: np.ndarray, own: np.ndarray) -> float:
    """Two-sided probability of a difference as large where there is none.

    Of a mean over sequences, `bootstrap.EXACT` at most, by the exact test of flipped signs. Of more
    sequences, and of figures that are no mean over them (EAO, F), by the normal distribution of the
    draws; not below 2 / 2^n for n sequences, which no test of swapped trackers can go below.

    Args:
        value: the difference of the figures.
        drawn: in each draw of sequences.
        own: on each sequence, NaN where a sequence has no such figure.
    """
    if len(own) <= bootstrap.EXACT and np.isclose(own.mean(), value, rtol=1e-9, atol=1e-12):
        return bootstrap.sign_flips(own)
    return max(bootstrap.p_value(value, drawn), 2.0 ** (1 - len(own)))


def _by_sequence(result: Result, first: str, second: str, figure: str) -> np.ndarray:
    ours, theirs = (
        np.array([row.get(figure, np.nan) for row in result.per_sequence[tracker].values()])
        for tracker in (first, second)
    )
    return ours - theirs


def _draws(result: Result, tracker: str, figure: str) -> np.ndarray:
    drawn = result.resampled.get(tracker, {}).get(figure)
    if drawn is not None:
        return drawn
    return bootstrap.means([row[figure] for row in result.per_sequence[tracker].values()])


def holm(values: Sequence[float]) -> list[float]:
    """Probabilities adjusted for how many they are, so that the chance of any false one stays below
    the level: the k-th smallest of n times n - k + 1, never below the ones before it, 1 at most."""
    adjusted, largest = [1.0] * len(values), 0.0
    for place, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        largest = max(largest, min(1.0, (len(values) - place) * values[index]))
        adjusted[index] = largest
    return adjusted


def per_sequence(result: Result, first: str, second: str) -> tuple[str, dict[str, float]]:
    """A figure, and by how much one tracker is above another on each sequence, largest first.

    The figure is the one trackers are ranked by where sequences have it, else the first they have;
    "" and nothing where they have none. Sequences on which either is unknown are left out.
    """
    ours, theirs = (result.per_sequence.get(tracker, {}) for tracker in (first, second))
    sample = next(iter(ours.values()), {})
    figure = next((name for name in [result.main, *sample] if name in sample), "")
    if not figure:
        return "", {}
    found = {name: ours[name][figure] - theirs[name][figure] for name in ours}
    known = {name: value for name, value in found.items() if np.isfinite(value)}
    return figure, dict(sorted(known.items(), key=lambda item: -item[1]))
