"""From the network's two maps to the one candidate box of a frame (SiamRPN, section 4.3)."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped

from siamjax.errors import UserError
from siamjax.geometry.anchors import Anchors, decode
from siamjax.geometry.crops import context_size

NOT_FINITE = "the network's output is not finite"


class Grid(NamedTuple):
    """What is fixed for one side of the search crop; N = A S S, index = a S S + row S + column."""

    anchors: np.ndarray  # (N, 4) float32 cx, cy, w, h in px of the crop, relative to its centre
    window: np.ndarray  # (N,) float32 in 0..1, outer product of two Hann windows, 0 on the rim


class Candidate(NamedTuple):
    """The best anchor of a frame, NumPy or JAX; lengths in px of the search crop."""

    offset: Any  # (2,) of its box's centre from the crop's centre
    size: Any  # (2,) width and height
    score: Any  # () probability of being the target, 0..1, before penalty and window
    penalty: Any  # () 0..1, for the change of scale and ratio against the last frame
    anchor: Any  # () int32, index of the anchor in 0..N-1
    second_peak: Any  # () 0..1, see `best_candidate`


class Response(NamedTuple):
    """All candidates' scores, (N,) each."""

    score: jax.Array  # probability of being the target
    penalised: jax.Array  # with penalty and window; its maximum is the candidate


def grid(anchors: Anchors, size: int) -> Grid:
    """Anchors and window of a score map with `size` cells per side."""
    hann = np.hanning(size)
    window = np.tile(np.outer(hann, hann).reshape(-1), anchors.per_cell)
    return Grid(anchors.grid(size).reshape(-1, 4), window.astype(np.float32))


def best_candidate(
    grid: Grid,
    cls: Float[np.ndarray | Array, "s s cls"],
    loc: Float[np.ndarray | Array, "s s loc"],
    target_size: Float[np.ndarray | Array, "2"],
    penalty_k,
    window_influence,
) -> tuple[Candidate, Response]:
    """Scores all anchors and picks one.

    Args:
        grid: of the score map's side S.
        cls: 2 A channels of logits, channel = class * A + anchor, class 1 is the target.
        loc: 4 A channels of offsets, channel = k * A + anchor.
        target_size: the target's width and height in the last frame, in px of the search crop.
        penalty_k: strength of the penalty on changes of scale and ratio.
        window_influence: share of the window in the final score, 0..1.

    Returns:
        The first candidate with the highest penalised score, and all scores. `second_peak` is the
        highest penalised score among the candidates whose centre lies outside the best box, divided
        by the best: near 1 where a second object resembles the target, 0 where nothing else does.
    """
    cls, loc = jnp.asarray(cls, jnp.float32), jnp.asarray(loc, jnp.float32)
    side = cls.shape[0]
    logits = cls.reshape(side, side, 2, -1).transpose(2, 3, 0, 1).reshape(2, -1)
    score = jax.nn.softmax(logits, axis=0)[1]
    offsets = loc.reshape(side, side, 4, -1).transpose(3, 0, 1, 2).reshape(-1, 4)
    box = decode(jnp.asarray(grid.anchors), offsets)
    width, height = box[:, 2], box[:, 3]
    scale_change = _change(context_size(width, height) / context_size(*target_size))
    ratio_change = _change((target_size[0] / target_size[1]) / (width / height))
    penalty = jnp.exp(-(ratio_change * scale_change - 1) * penalty_k)
    penalised = penalty * score * (1 - window_influence) + grid.window * window_influence
    # Offsets of an untrained network may overflow; such boxes are never chosen.
    valid = jnp.isfinite(penalised) & jnp.isfinite(box).all(-1)
    penalised = jnp.where(valid, penalised, -1.0)
    index = jnp.argmax(penalised)
    best = box[index]
    outside = (jnp.abs(box[:, :2] - best[None, :2]) > best[None, 2:] / 2).any(-1) & valid
    second = jnp.max(jnp.where(outside, penalised, 0.0))
    candidate = Candidate(
        offset=best[:2],
        size=best[2:],
        score=score[index],
        penalty=penalty[index],
        anchor=index.astype(jnp.int32),
        second_peak=second / jnp.maximum(penalised[index], 1e-12),
    )
    return candidate, Response(score, penalised)


def pack(candidate: Candidate) -> Float[Array, "8"]:
    """A candidate as one array, so that the host waits for one transfer."""
    return jnp.concatenate([jnp.ravel(value).astype(jnp.float32) for value in candidate])


def unpack(values: Float[np.ndarray, "8"]) -> Candidate:
    """The candidate of `pack`, NumPy float64.

    Raises:
        UserError: a value is not finite.
    """
    if not np.isfinite(values).all():
        raise UserError(f"{NOT_FINITE}: the weights are damaged")
    values = values.astype(np.float64)
    return Candidate(values[:2], values[2:4], values[4], values[5], int(values[6]), values[7])


def response_map(values: Shaped[np.ndarray, " n"], side: int) -> Shaped[np.ndarray, "s s"]:
    """Scores of all candidates -> the best anchor's at each cell of a map with `side` cells."""
    return values.reshape(-1, side, side).max(0)


def _change(ratio):
    return jnp.maximum(ratio, 1 / ratio)
