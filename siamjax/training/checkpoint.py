"""Checkpoints of a training run: `<workdir>/checkpoints/<step>`, written whole or not at all
(orbax).

Each holds three items: `variables` (the weights to track with and their batch norm statistics),
`training` (the rest of the state) and `meta` (JSON: step, position in the data, resolved config,
package versions, checksums).
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

import google_crc32c
import jax
import ml_collections
import numpy as np
from orbax import checkpoint as ocp

from siamjax import checksums
from siamjax.config import from_json
from siamjax.errors import UserError
from siamjax.models import weights
from siamjax.training.state import TrainState, misfit, named

_MOST_TEXT = 16 << 20  # bytes of what a checkpoint says about itself
# Most bytes of an item's arrays: so many times what is known of it, and these. Zeros need no space
# on disk, and a new optimiser's state is nothing else.
_EXPANSION, _SLACK = 16, 16 << 20
_COUNTERS = ("step", "skipped", "skipped_in_row")


def load_variables(path) -> tuple[ml_collections.ConfigDict, dict[str, Any], int]:
    """Config and weights of a run, to track with.

    Args:
        path: a run's folder (its newest readable checkpoint is taken) or the folder of one
            checkpoint.

    Returns:
        config: the resolved config the weights were trained with.
        variables: {"params", "batch_stats"}, NumPy arrays; the moving averages where the run keeps
            them.
        step: steps done.

    Raises:
        UserError: no checkpoint there, none that can be read, a config that no network can be built
            from, weights that are no finite floats.
    """
    path = Path(path).absolute()
    if (path / "meta").is_dir() and path.name.isdecimal():
        folder, steps = path.parent, [int(path.name)]
    else:
        folder = path / "checkpoints" if (path / "checkpoints").is_dir() else path
        steps = saved_steps(folder)
    found = newest_readable(folder, steps, with_training=False)
    if found is None:
        raise UserError(f"{path}: no checkpoint here; give the folder of a training")
    (variables, _, meta), step, _ = found
    place = folder / str(step)
    config = from_json(json.dumps(meta["config"]), place)
    return config, weights.as_numbers(variables, place), step


def saved_steps(folder: Path) -> list[int]:
    """Steps of the checkpoints in a run's folder `checkpoints`, oldest first; none where it is
    missing."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return sorted(int(name) for name in names if name.isascii() and name.isdecimal())


def items_of(state: TrainState):
    """The arrays of a checkpoint: variables to track with, everything else by name."""
    training = {f"state/{name}": getattr(state, name) for name in _COUNTERS}
    training |= named(state.opt_state, "optimizer/") | named(state.loss_scale, "loss_scale/")
    if state.ema:
        training |= named(state.live, "live/")
    return {"variables": state.tracked, "training": training}


def assemble(template: TrainState, variables, training) -> TrainState:
    """The inverse of `items_of`.

    Args:
        template: a state of the same network and optimiser.
        variables, training: as `items_of` has them.

    Raises:
        UserError: they are of another network or optimiser.
    """
    tracked = _like(template.tracked, named(variables), "")
    return TrainState(
        **(_like(template.live, training, "live/") if template.ema else tracked),
        opt_state=_like(template.opt_state, training, "optimizer/"),
        loss_scale=_like(template.loss_scale, training, "loss_scale/"),
        ema=tracked if template.ema else {},
        **{name: training[f"state/{name}"] for name in _COUNTERS},
    )


def _like(tree, values, prefix):
    """The tree with the values that have its leaves' names after `prefix`."""
    wanted = named(tree, prefix)
    given = {name: value for name, value in values.items() if name.startswith(prefix)}
    wrong = misfit(wanted, given)
    if wrong:
        raise UserError(f"the checkpoint is of another version or config: {wrong}")
    return jax.tree.unflatten(jax.tree.structure(tree), [given[name] for name in wanted])


def checksum(tree) -> int:
    """CRC-32C over names, types, shapes and values of a tree's arrays."""
    crc = 0
    for name, value in sorted(named(tree).items()):
        value = np.ascontiguousarray(value)
        crc = google_crc32c.extend(crc, f"{name} {value.dtype} {value.shape}".encode())
        crc = google_crc32c.extend(crc, value.tobytes())
    return crc


def read_meta(path: Path) -> dict[str, Any]:
    """What a checkpoint says about itself; any exception means that it can't be read.

    Raises:
        ValueError: damaged, or the folder has another name than the step in it.
    """
    text = (path / "meta" / "metadata").read_bytes()[: _MOST_TEXT + 1]
    if len(text) > _MOST_TEXT:
        raise ValueError("meta is too long")
    meta = json.loads(text)
    if not checksums.unseal(meta["crc32c"], "meta", meta):
        raise ValueError("checksum of meta differs")
    if meta["step"] != int(path.name):
        raise ValueError(f"it holds step {meta['step']}; give the folder that name")
    return meta


def read(path: Path, with_training: bool):
    """The items of one checkpoint; any exception means that it can't be read.

    Raises:
        ValueError: damaged.
    """
    path = Path(path).absolute()  # orbax takes no other
    meta = read_meta(path)
    items = {}
    claimed = _check_claim(path / "variables", _folder_bytes(path / "variables"))
    if with_training:
        _check_claim(path / "training", claimed)
    host = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(
        primary_host=host, active_processes={host}, barrier_sync_key_prefix=f"read{host}"
    )
    with ocp.StandardCheckpointer(multiprocessing_options=alone) as reader:
        for name in ("variables", "training") if with_training else ("variables",):
            items[name] = jax.tree.map(np.asarray, reader.restore(path / name))
            if checksum(items[name]) != meta["crc32c"][name]:
                raise ValueError(f"checksum of {name} differs")
    return items["variables"], items.get("training"), meta


def _check_claim(path: Path, known: int) -> int:
    """The bytes of the arrays that an item says it holds; they are taken when it is read.

    Raises:
        ValueError: far more than what is known to be there.
    """
    leaves = jax.tree.leaves(ocp.StandardCheckpointHandler().metadata(path))
    claimed = sum(math.prod(x.shape) * np.dtype(x.dtype).itemsize for x in leaves)
    if claimed > _EXPANSION * known + _SLACK:
        raise ValueError(f"{path.name} claims {claimed:,} bytes")
    return claimed


def _folder_bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def newest_readable(folder: Path, steps: list[int], with_training: bool):
    """(what `read` gave, step, newer steps that can't be read), or None where there are no steps.

    Raises:
        UserError: there are steps and none of them can be read.
    """
    broken = []
    for step in reversed(steps):
        path = folder / str(step)
        try:
            return read(path, with_training), step, broken
        except Exception as error:
            print(f"checkpoint {path} can't be read: {reason(error)}", file=sys.stderr)
            broken.append(step)
    if broken:
        raise UserError(f"{folder}: none of the checkpoints {steps} can be read")
    return None


def reason(error: Exception) -> str:
    """The beginning of its message, as one line."""
    return " ".join(str(error).split())[:300]
