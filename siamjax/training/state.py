"""Everything that a training step changes."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np


@flax.struct.dataclass
class TrainState:
    """The state of training; one copy, whatever the number of devices.

    Attributes:
        step: int32, steps done, skipped ones included; also the position in the data.
        params: the network's parameters.
        batch_stats: running means and variances of batch norm.
        opt_state: the momentum of every parameter that ever trains.
        ema: moving averages {"params", "batch_stats"}, or an empty dict where none are kept.
        skipped: int32, steps skipped so far because their loss was not finite or too large.
        skipped_in_row: int32, such steps since the last good one.
    """

    step: jax.Array
    params: Any
    batch_stats: Any
    opt_state: Any
    ema: Any
    skipped: jax.Array
    skipped_in_row: jax.Array


def create(variables, optimizer, ema: bool) -> TrainState:
    """The state before the first step.

    Args:
        variables: {"params", "batch_stats"}.
        optimizer: from `siamjax.training.optimizer.make`.
        ema: whether moving averages are kept.
    """
    params, batch_stats = variables["params"], variables.get("batch_stats", {})
    copy = jax.tree.map(np.array, {"params": params, "batch_stats": batch_stats}) if ema else {}
    return TrainState(
        step=jnp.int32(0),
        params=params,
        batch_stats=batch_stats,
        opt_state=optimizer.init(params),
        ema=copy,
        skipped=jnp.int32(0),
        skipped_in_row=jnp.int32(0),
    )


def to_host(tree):
    """A copy of a tree in host memory that later steps can't change."""
    return jax.tree.map(lambda leaf: np.array(leaf), jax.device_get(tree))
