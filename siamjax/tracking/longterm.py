"""The local-to-global switch of the long-term tracker (SiamRPN++, section 4.4).

While the score is low, place and size stay as they were and the next frame is searched in a region
several times as large, with hardly any window; a high score ends that. Unlike the short-term
tracker's, the state may leave the frame; only the reported box is clipped.
"""


def accept(xp, before, after, score, low):
    """The new centre and size if the score is at least `low`, else the old ones.

    Args:
        xp: numpy or jax.numpy.
        before, after: pairs (centre, size) of (2,) arrays.
        score: of the chosen candidate, 0..1.
        low: `confidence_low`.
    """
    sure = score >= low
    return tuple(xp.where(sure, new, old) for old, new in zip(before, after))


def next_lost(xp, lost, score, low, high):
    """Whether the next frame is searched in the large region: on below `low`, off above `high`."""
    return xp.where(score < low, True, xp.where(score > high, False, lost))
