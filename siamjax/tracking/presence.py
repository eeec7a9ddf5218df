"""From what a frame's answer looks like to the probability that its box holds the target.

The score says how much the chosen candidate resembles the target, and it stays high where the box
has gone over to something alike. Three further signs tell more: the second peak, the change of
size and the distance moved. The logit of a frame is a sum with a part for each sign, piecewise
linear and monotone (an additive model, Hastie and Tibshirani 1986, with the constraint on the signs
that keeps it plausible beyond the tracks it was fitted on). The evidence is the mean of these
logits over the frames since the template's, weighted exponentially; probability: its logistic
function. The weights are fitted on tracks by `siamjax.studies.presence`, the mean included, and
kept as `tracker.presence` of the config.
"""

from itertools import pairwise
from typing import Any, NamedTuple

from siamjax.geometry.arrays import namespace

# Ends of the pieces of each sign; a sign beyond the first or last counts as that.
KNOTS: dict[str, tuple[float, ...]] = {
    "score": (-1.0, 1.0, 3.0, 5.0, 7.0, 10.0),  # logit of the score
    "second_peak": (0.0, 0.3, 0.5, 0.7, 0.9, 1.0),
    "resize": (0.0, 0.1, 0.3, 0.7),  # logarithm of the change of size, without sign
    "moved": (0.0, 0.3, 1.0),  # distance in sides of the target
}
# Share of the old evidence that a frame leaves. A lost target stays lost for a while, so that the
# frames before tell of this one, and one odd answer weighs less than several.
MEMORY = 0.6
START = 2.0  # evidence in the template's frame, whose box was given: a probability of 0.88
COUNT = 1 + sum(len(knots) - 1 for knots in KNOTS.values())  # weights, the constant first
_FAR = 30.0  # logits
_SURE = 1e-6  # share that a score keeps from 0 and 1, float32's


class Signs(NamedTuple):
    """What a frame's answer looks like; NumPy or JAX scalars, or arrays of many frames."""

    score: Any  # logit of the score
    second_peak: Any  # 0..1
    resize: Any  # 0 or more
    moved: Any  # 0 or more; 0 while the target is searched for in the large region


def signs(candidate, target_size, lost) -> Signs:
    """The signs of a candidate.

    Args:
        candidate: of `siamjax.tracking.decode.best_candidate`, NumPy or JAX.
        target_size: the target's width and height in the last frame, px of the search crop.
        lost: whether the target was lost before this frame: it may then be anywhere.
    """
    xp = namespace(candidate.offset)
    score = xp.clip(candidate.score, _SURE, 1 - _SURE)
    side = xp.sqrt(target_size[0] * target_size[1])
    width, height = candidate.size[0], candidate.size[1]
    return Signs(
        score=xp.log(score) - xp.log(1 - score),
        second_peak=candidate.second_peak,
        resize=xp.abs(xp.log(xp.sqrt(width * height) / side)),
        moved=xp.where(lost, 0.0, xp.sqrt((candidate.offset**2).sum()) / side),
    )


def pieces(of: Signs) -> list[Any]:
    """The constant, and how far along each piece a sign is, 0..1; `COUNT` values.

    Those of the score are of the kind that raises the probability, the others lower it.
    """
    xp = namespace(of.score)
    parts = [xp.ones_like(of.score)]
    for name, knots in KNOTS.items():
        sign = getattr(of, name)
        parts += [xp.clip((sign - low) / (high - low), 0.0, 1.0) for low, high in pairwise(knots)]
    return parts


def limits() -> list[tuple[float | None, float | None]]:
    """Lowest and highest value of each weight: what makes the map monotone."""
    free: list[tuple[float | None, float | None]] = [(None, None)]
    rising: list[tuple[float | None, float | None]] = [(0.0, None)]
    falling: list[tuple[float | None, float | None]] = [(None, 0.0)]
    parts = (
        (rising if name == "score" else falling) * (len(knots) - 1) for name, knots in KNOTS.items()
    )
    return free + [limit for part in parts for limit in part]


def logit(weights: tuple[float, ...], of: Signs) -> Any:
    """What the signs of one frame alone say.

    Args:
        weights: `COUNT` numbers, the config's `tracker.presence`.
        of: the signs.
    """
    return sum(weight * piece for weight, piece in zip(weights, pieces(of), strict=True))


def remember(before: Any, now: Any) -> Any:
    """The running mean after a frame, of logits or of pieces alike: a logit is linear in them.

    Args:
        before: the mean up to the last frame, NumPy or JAX; of logits, `START` at first.
        now: this frame's.
    """
    return MEMORY * before + (1 - MEMORY) * now


def probability(evidence: Any) -> Any:
    """That the box holds the target (overlap of at least 0.5), 0..1.

    Args:
        evidence: the running mean of the logits, NumPy or JAX.
    """
    xp = namespace(evidence)
    return 1 / (1 + xp.exp(-xp.clip(evidence, -_FAR, _FAR)))
