"""The two losses of the region proposal head and the targets they compare with (SiamRPN++, section
3; SiamRPN, section 4).

Sums are divided by numbers counted over the whole batch (`Counts`), so that a batch computed in
parts, on several devices or one part after the other, gives the same loss as the same batch in one
piece.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int8

from siamjax.data.targets import BOX_ALONE
from siamjax.geometry import anchors as anchors_lib

# 1 positive, 0 negative, BOX_ALONE a positive of the regression alone, -1 takes no part
Labels = Int8[np.ndarray | Array, "b a s s"]
Scalar = Float32[Array, ""]


class Counts(NamedTuple):
    """What the losses are divided by.

    Attributes:
        positives: kept positive anchors.
        negatives: kept negative anchors.
        pairs: pairs, negative ones included.
    """

    positives: jax.Array
    negatives: jax.Array
    pairs: jax.Array


def count(label: Labels) -> Counts:
    """Counts of a batch of labels, as float32 scalars."""
    return Counts(
        jnp.sum(label == 1, dtype=jnp.float32),
        jnp.sum(label == 0, dtype=jnp.float32),
        jnp.float32(label.shape[0]),
    )


def targets_from_batch(
    anchors: anchors_lib.Anchors, batch, search: int = 255
) -> tuple[Labels, Float32[Array, "b a s s 4"], Float32[Array, "b a s s"]]:
    """What the head should answer, from the batch's labels and boxes.

    Args:
        anchors: the anchor shapes.
        batch: with `label` int8 (B, A, S, S), see `siamjax.data.targets.assign`, and `box` float32
            (B, 4) cx, cy, w, h of the target in the search crop, px.
        search: side of the search crop, px.

    Returns:
        label: as given.
        delta: offsets of the box from each anchor that learns it; 0 for the others.
        weight: 1 / number of the pair's anchors that learn the box, on these; else 0.
    """
    label, box = batch["label"], batch["box"]
    grid = jnp.asarray(anchors.grid(label.shape[-1], centre=search // 2))
    learns = (label == 1) | (label == BOX_ALONE)
    # A negative pair's box takes no part; a size of 1 keeps its logarithm finite.
    used = jnp.any(learns, axis=(1, 2, 3))[:, None]
    box = jnp.where(used, box, 1.0)
    delta = anchors_lib.encode(grid[None], box[:, None, None, None, :])
    delta = jnp.where(learns[..., None], delta, 0.0)
    number = jnp.sum(learns, axis=(1, 2, 3), keepdims=True, dtype=jnp.float32)
    weight = learns.astype(jnp.float32) / (number + 1e-6)
    return label, delta, weight


def rpn_loss(
    cls: Float[np.ndarray | Array, "b s s two_a"],
    loc: Float[np.ndarray | Array, "b s s four_a"],
    label: Labels,
    delta: Float32[np.ndarray | Array, "b a s s 4"],
    weight: Float32[np.ndarray | Array, "b a s s"],
    counts: Counts | None = None,
    minimum: int = 1,
) -> tuple[Scalar, Scalar]:
    """Balanced two-class cross-entropy and weighted L1.

    The classification loss is half the mean negative log-likelihood over the positives plus half
    that over the negatives; the regression loss is |offset - target| summed over the four offsets,
    times the weight, summed, per pair. (The paper says smooth L1; the published models were trained
    with plain L1.)

    Args:
        cls: logits, channel = class * A + anchor; 0 background, 1 object.
        loc: offsets, channel = k * A + anchor.
        label: of each anchor.
        delta: target offsets.
        weight: of each anchor's offsets.
        counts: what the sums are divided by; of the whole batch where this is a part of it. None:
            of `label`.
        minimum: a side (positives, negatives) with fewer elements than this contributes 0.

    Returns:
        cls_loss, loc_loss: the share of this part in the batch's losses.
    """
    counts = count(label) if counts is None else counts
    per_cell = label.shape[1]
    cls = _by_anchor(cls.astype(jnp.float32), per_cell)  # (B, A, S, S, 2)
    loc = _by_anchor(loc.astype(jnp.float32), per_cell)  # (B, A, S, S, 4)
    log_p = jax.nn.log_softmax(cls, axis=-1)

    def mean(side, number):
        total = -jnp.sum(jnp.where(label == side, log_p[..., side], 0.0))
        return jnp.where(number >= minimum, total / jnp.maximum(number, 1), 0.0)

    cls_loss = 0.5 * (mean(1, counts.positives) + mean(0, counts.negatives))
    loc_loss = jnp.sum(jnp.sum(jnp.abs(loc - delta), -1) * weight) / counts.pairs
    return cls_loss, loc_loss


def wrongness(cls: Float[np.ndarray | Array, "b s s two_a"], label: Labels) -> Float32[Array, " b"]:
    """How wrong the classification of each pair is: the highest probability of an object on its
    negative anchors, minus that on its positive ones, or minus .5 where it has none.

    Above 0 the network would take the place of something else for the target's. -1 without a
    negative anchor.
    """
    logits = _by_anchor(cls.astype(jnp.float32), label.shape[1])
    probability = jax.nn.softmax(logits, axis=-1)[..., 1]

    def has(side):
        return (label == side).any((1, 2, 3))

    def highest(side):
        return jnp.where(label == side, probability, 0.0).max((1, 2, 3))

    object_ = jnp.where(has(1), highest(1), 0.5)
    return jnp.where(has(0), highest(0) - object_, -1.0)


def _by_anchor(maps, per_cell):
    """(B, S, S, K * A) -> (B, A, S, S, K)."""
    maps = maps.reshape(*maps.shape[:3], -1, per_cell)
    return maps.transpose(0, 4, 1, 2, 3)
