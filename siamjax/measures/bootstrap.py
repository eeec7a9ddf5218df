"""How far a mean over sequences could be off: percentile bootstrap over the sequences (Efron
1979).

The draws are the same for all trackers and all measures on the same number of sequences, so two
trackers' resampled figures are a paired bootstrap: their differences, draw by draw, say whether the
trackers differ.
"""

import numpy as np
from jaxtyping import Float, Int

RESAMPLES = 2000
LEVEL = 0.95


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


def two_sided(differences: Float[np.ndarray, " repeats"]) -> float:
    """How often draws of no difference would look like these: twice the smaller share of draws on
    either side of 0, those at 0 on both, with one draw added to each, so that it is never 0.

    Args:
        differences: a figure of one tracker less that of another, per draw; NaN is ignored, all
            NaN give NaN.
    """
    known = differences[~np.isnan(differences)]
    if not known.size:
        return float("nan")
    smaller = min(int((known <= 0).sum()), int((known >= 0).sum()))
    return min(1.0, 2 * (smaller + 1) / (len(known) + 1))
