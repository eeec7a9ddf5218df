"""How far a mean over sequences could be off: percentile bootstrap over the sequences (Efron
1979)."""

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


def of_mean(values, seed: int = 0) -> tuple[float, float]:
    """Interval of the mean of one figure per sequence."""
    values = np.asarray(values, np.float64)
    return interval(values[resamples(len(values), seed)].mean(1))
