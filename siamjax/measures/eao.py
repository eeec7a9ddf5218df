"""Expected average overlap: what its three definitions in the VOT challenges share."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int, Real

from siamjax.measures.result import Interval


def weighted_mean(
    weight: Real[np.ndarray, "*k m"],
    values: Float[np.ndarray, "m n"],
    defined: Bool[np.ndarray, "m n"],
) -> Float[np.ndarray, "*k n"]:
    """Mean of the rows that are defined in each column; NaN where none has weight."""
    mass = weight @ defined
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(mass > 0, weight @ np.where(defined, values, 0) / mass, np.nan)


def stretches(
    pieces: Sequence[tuple[Float[np.ndarray, " _"], bool]], longest: int
) -> Float[np.ndarray, "{len(pieces)} {longest}"]:
    """Overlaps of stretches of runs, one per row.

    Args:
        pieces: overlap, and whether the stretch ended in a failure: it counts as 0 for ever after,
            else it is undefined (NaN) after its end.
    """
    rows = np.full((len(pieces), longest), np.nan)
    for row, (overlap, failed) in zip(rows, pieces, strict=True):
        row[: len(overlap)] = overlap
        if failed:
            row[len(overlap) :] = 0
    return rows


def eao(curve: Float[np.ndarray, " longest"], interval: Interval) -> float:
    """Mean of a curve over lengths low..high, both included and counted from 1; NaN entries
    ignored.

    Args:
        curve: expected overlap of runs of 1, 2, ... frames.
        interval: low and high.

    Returns:
        NaN where the longest sequence is shorter than `low`.
    """
    low, high = interval
    return known_mean(curve[low - 1 : high].astype(np.float64))


def known_mean(values: Float[np.ndarray, " n"]) -> float:
    """Mean of the values that are not NaN; NaN where there is none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def middle_half(lengths: Int[np.ndarray, " n"]) -> Interval:
    """An EAO interval for sequences without an official one: the quartiles of their lengths."""
    low, high = np.quantile(lengths, [0.25, 0.75])
    return max(int(low), 2), max(int(high), 2)
