"""How far a mean over sequences could be off: percentile bootstrap over the sequences (Efron
1979).

The draws are the same for all trackers and all measures on the same number of sequences, so two
trackers' resampled figures are a paired bootstrap: their differences, draw by draw, say whether the
trackers differ.
"""

import math

import numpy as np
from jaxtyping import Float, Int

RESAMPLES = 2000
LEVEL = 0.95
EXACT = 16  # sequences up to which all assignments of signs are counted


def resamples(
    count: int, seed: int = 0, repeats: int = RESAMPLES
) -> Int[np.ndarray, "{repeats} {count}"]:
    """Indices of sequences drawn with replacement; the same for the same arguments."""
    return np.random.default_rng(seed).integers(0, count, (repeats, count))


def interval(samples: Float[np.ndarray, " repeats"]) -> tuple[float, float]:
    """The central 95 % of resampled figures, low and high.

    Args:
        samples: figures; NaN is ignored, all NaN give NaN.
    """
    samples = samples[~np.isnan(samples)]
    if not samples.size:
        return float("nan"), float("nan")
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(samples, [tail, 1 - tail])
    return float(low), float(high)


def means(values, seed: int = 0) -> Float[np.ndarray, " repeats"]:
    """The mean of one figure per sequence in each of the draws."""
    values = np.asarray(values, np.float64)
    return values[resamples(len(values), seed)].mean(1)


def of_mean(values, seed: int = 0) -> tuple[float, float]:
    """Interval of the mean of one figure per sequence."""
    return interval(means(values, seed))


def p_value(difference: float, draws: Float[np.ndarray, " repeats"]) -> float:
    """Two-sided probability of a difference as large where there is none.

    By the normal distribution with the standard deviation of the draws: counting draws on either
    side of 0 gives no less than 1 in `RESAMPLES`, too coarse once it is adjusted for many pairs.

    Args:
        difference: a figure of one tracker less that of another.
        draws: the same in each draw; NaN is ignored, all NaN give NaN.
    """
    known = draws[~np.isnan(draws)]
    if not known.size:
        return float("nan")
    spread = float(known.std())
    if spread <= 1e-12 * max(abs(difference), 1e-300):
        return float(difference == 0)
    return math.erfc(abs(difference) / spread / math.sqrt(2))


def sign_flips(differences: Float[np.ndarray, " sequences"]) -> float:
    """Two-sided probability of a mean difference as large where there is none, exactly: the paired
    randomisation test (Fisher 1935).

    Were the trackers the same, each sequence's difference would as likely have the other sign. Of
    all 2^n assignments of signs to n differences this is the share whose mean is as far from 0, or
    farther; never below 2 / 2^n.

    Args:
        differences: of one tracker's values and another's on the same sequences, `EXACT` at most.
    """
    sums = np.zeros(1)
    for one in np.asarray(differences, np.float64):
        sums = np.concatenate([sums + one, sums - one])
    observed, rounding = abs(np.sum(differences)), 1e-12 * np.abs(differences).sum()
    return float(np.mean(np.abs(sums) >= observed - rounding))
