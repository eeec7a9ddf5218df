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
        loss_scale: of `siamjax.training.scaling`, an empty dict where the loss is not scaled.
    """

    step: Any
    params: Any
    batch_stats: Any
    opt_state: Any
    ema: Any
    skipped: Any
    skipped_in_row: Any
    loss_scale: Any

    @property
    def live(self) -> dict[str, Any]:
        """The variables that train."""
        return {"params": self.params, "batch_stats": self.batch_stats}

    @property
    def tracked(self) -> dict[str, Any]:
        """The variables to track with: the moving averages where they are kept."""
        return self.ema or self.live


def create(variables, optimizer, ema: bool, loss_scale=None) -> TrainState:
    """The state before the first step.

    Args:
        variables: {"params", "batch_stats"}.
        optimizer: from `siamjax.training.optimizer.make`.
        ema: whether moving averages are kept.
        loss_scale: from `siamjax.training.scaling.start`; None: the loss is not scaled.
    """
    state = TrainState(
        step=jnp.int32(0),
        params=variables["params"],
        batch_stats=variables.get("batch_stats", {}),
        opt_state=optimizer.init(variables["params"]),
        ema={},
        skipped=jnp.int32(0),
        skipped_in_row=jnp.int32(0),
        loss_scale=loss_scale or {},
    )
    return state.replace(ema=jax.tree.map(np.array, state.live)) if ema else state


def to_host(tree):
    """A copy of a tree in host memory that later steps can't change."""
    return jax.tree.map(np.array, jax.device_get(tree))


def named(tree, prefix: str = "") -> dict[str, Any]:
    """The leaves of a tree by their paths, joined by "/"."""
    return {
        prefix + jax.tree_util.keystr(path, simple=True, separator="/"): leaf
        for path, leaf in jax.tree.leaves_with_path(tree)
    }


def misfit(wanted: dict[str, Any], given: dict[str, Any]) -> str | None:
    """The first name, in alphabetical order, whose array is missing, left over or of another shape
    in `given`, and both shapes; None where all fit."""
    for name in sorted(wanted.keys() | given.keys()):
        want, have = (np.shape(x[name]) if name in x else "absent" for x in (wanted, given))
        if want != have:
            return f"{name} is {have} there, {want} in the network"
    return None
