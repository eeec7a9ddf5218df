"""The local-to-global switch of the long-term tracker (SiamRPN++, section 4.4).

While the score is low, place and size stay as they were and the next frame is searched in a region
several times as large, with hardly any window; a high score ends that. Where the weights have a
map of presence (`siamjax.tracking.presence`), presence is taken for the score. Unlike the
short-term tracker's, the state may leave the frame; only the reported box is clipped.
"""


def switch(xp, before, after, trust, low, high):
    """The new `Motion`: that of before if the trust is below `low`, else that of after.

    The next frame is searched in the large region from a trust below `low` on, until one above
    `high`.

    Args:
        xp: numpy or jax.numpy.
        before, after: `Motion` of the last frame, and with the chosen candidate's centre and size.
        trust: presence or score of the chosen candidate, 0..1.
        low, high: the settings of that.
    """
    sure = trust >= low
    found = xp.where(trust > high, False, before.lost)
    return after._replace(
        centre=xp.where(sure, after.centre, before.centre),
        size=xp.where(sure, after.size, before.size),
        lost=xp.where(trust < low, True, found),
    )
