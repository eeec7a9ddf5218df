"""Whether channels stand for categories: how much of a channel's response the category explains,
against permuted categories.

Eta squared of a one-way analysis of variance; the permutation test is Fisher's (1935), its largest
channel that of Westfall and Young (1993).
"""

import numpy as np
from jaxtyping import Float, Int

PERMUTATIONS = 999
LEVEL = 0.95


def explained(
    responses: Float[np.ndarray, "n c"], categories: Int[np.ndarray, " n"]
) -> Float[np.ndarray, " c"]:
    """The share of each channel's variance that lies between the categories (eta squared), 0..1.

    Args:
        responses: of n targets in c channels; a constant channel has 0.
        categories: numbers from 0.
    """
    return _explained(_standardised(responses), categories)


def _standardised(responses):
    centred = responses - responses.mean(0)
    norm = np.sqrt((centred**2).sum(0))
    return np.where(
        norm > 1e-9 * (1 + np.abs(responses).max()), centred / np.maximum(norm, 1e-300), 0
    )


def _explained(unit, categories):
    counts = np.bincount(categories)
    sums = np.zeros((len(counts), unit.shape[1]))
    np.add.at(sums, categories, unit)
    return (sums**2 / np.maximum(counts, 1)[:, None]).sum(0)


def permuted(
    responses: Float[np.ndarray, "n c"], categories: Int[np.ndarray, " n"], seed: int = 0
) -> dict[str, float]:
    """Selectivity of the channels against `PERMUTATIONS` permutations of the categories.

    Returns:
        selectivity: mean of `explained` over the channels.
        chance: its mean over the permutations.
        p: probability of a mean as large without any selectivity, at least 1 / 1000.
        selective: share of channels above the 95 % quantile of the permutations' largest channel,
            so that by chance any channel is above it in one of twenty sets.
    """
    unit = _standardised(responses)
    own = _explained(unit, categories)
    rng = np.random.default_rng(seed)
    drawn = np.array([_explained(unit, rng.permutation(categories)) for _ in range(PERMUTATIONS)])
    means = drawn.mean(1)
    return {
        "selectivity": float(own.mean()),
        "chance": float(means.mean()),
        "p": float((1 + (means >= own.mean()).sum()) / (1 + PERMUTATIONS)),
        "selective": float((own > np.quantile(drawn.max(1), LEVEL)).mean()),
    }


def cosine(gram: Float[np.ndarray, "c c"]) -> float:
    """Mean absolute cosine between channels, 0 for orthogonal ones.

    Args:
        gram: products of the channels' (centred) responses; channels without response are left out.
    """
    norm = np.sqrt(np.diagonal(gram))
    kept = norm > 0
    if kept.sum() < 2:
        return 0.0
    cosines = np.abs(gram[np.ix_(kept, kept)] / np.outer(norm[kept], norm[kept]))
    count = len(cosines)
    return float((cosines.sum() - np.trace(cosines)) / (count * (count - 1)))


def contrast(
    responses: Float[np.ndarray, "n c"], categories: Int[np.ndarray, " n"]
) -> Float[np.ndarray, "k c"]:
    """Mean standardised response of each category in each channel, standard deviations."""
    scaled = _standardised(responses) * np.sqrt(len(responses))
    return np.stack([scaled[categories == k].mean(0) for k in range(categories.max() + 1)])
