"""The local-to-global switch of the long-term tracker (SiamRPN++, section 4.4).

While the score is low, place and size stay as they were and the next frame is searched in a region
several times as large, with hardly any window; a high score ends that. Unlike the short-term
tracker's, the state may leave the frame; only the reported box is clipped.
"""


def switch(xp, settings, before, after, score):
    """The new `Motion`: that of before if the score is below `confidence_low`, else that of after.

    The next frame is searched in the large region from a score below `confidence_low` on, until
    one above `confidence_high`.

    Args:
        xp: numpy or jax.numpy.
        settings: the tracker's `Settings`.
        before, after: `Motion` of the last frame, and with the chosen candidate's centre and size.
        score: of the chosen candidate, 0..1.
    """
    sure = score >= settings.confidence_low
    found = xp.where(score > settings.confidence_high, False, before.lost)
    return after._replace(
        centre=xp.where(sure, after.centre, before.centre),
        size=xp.where(sure, after.size, before.size),
        lost=xp.where(score < settings.confidence_low, True, found),
    )
