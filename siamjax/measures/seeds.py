"""What a few trainings from different seeds say: means, their intervals, and whether two ways of
training differ (Student's t, 1908).

The intervals are about the seed of the training alone: initial values and drawn pairs. The clips
that all runs are scored on are the same, so their number is no part of them.
"""

import math
from collections.abc import Mapping, Sequence

# 97.5 % quantile of Student's t for 1, 2, ... degrees of freedom
_QUANTILES = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
_NORMAL = 1.959964


def quantile(freedom: int) -> float:
    """The 97.5 % quantile of Student's t; beyond the table by its expansion around the normal."""
    if freedom < 1:
        return math.inf
    if freedom <= len(_QUANTILES):
        return _QUANTILES[freedom - 1]
    z = _NORMAL
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return sum(term / freedom**power for power, term in enumerate(terms))


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean, low and high of the 95 % interval of a mean; infinite bounds for one value.

    Args:
        values: of independent runs, at least one.
    """
    count = len(values)
    mean = math.fsum(values) / count
    if count < 2:
        return mean, -math.inf, math.inf
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    half = quantile(count - 1) * spread / math.sqrt(count)
    return mean, mean - half, mean + half


def difference(
    values: Mapping[int, float], reference: Mapping[int, float]
) -> tuple[float, float, float] | None:
    """`interval` of the differences of two ways, seed by seed; None where they share no seed."""
    shared = sorted(values.keys() & reference.keys())
    if not shared:
        return None
    return interval([values[seed] - reference[seed] for seed in shared])


def separates(bounds: tuple[float, float, float] | None) -> bool:
    """Whether a difference is not 0, as far as its interval says."""
    return bounds is not None and (bounds[1] > 0 or bounds[2] < 0)
