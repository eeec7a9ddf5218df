"""Checkpoints of a training run: `<workdir>/checkpoints/<step>`, written whole or not at all
(orbax).

Each holds three items: `variables` (the weights to track with and their batch norm statistics),
`training` (the rest of the state) and `meta` (JSON: step, position in the data, resolved config,
package versions, checksums).
"""

import contextlib
import json
import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import google_crc32c
import jax
import ml_collections
import numpy as np
from orbax import checkpoint as ocp
from orbax.checkpoint import checkpoint_managers as policies

from siamjax.config import from_json, to_json
from siamjax.errors import UserError
from siamjax.training.resources import Resources
from siamjax.training.state import TrainState, misfit, named, to_host

_COUNTERS = ("step", "skipped", "skipped_in_row")
_PACKAGES = "siamjax jax jaxlib flax optax orbax-checkpoint numpy opencv-python-headless"


class Checkpoints:
    """The checkpoints of one run.

    They are written in the background while training continues; `close` waits for it.

    Args:
        workdir: the run's folder.
        keep: newest checkpoints kept.
        keep_best: checkpoints with the best validation score kept besides.

    Raises:
        UserError: the folder can't be written.
    """

    def __init__(self, workdir, keep: int, keep_best: int):
        self._folder = Path(workdir).absolute() / "checkpoints"
        best = policies.BestN(
            get_metric_fn=lambda m: m["score"], n=keep_best, keep_checkpoints_without_metrics=False
        )
        policy = policies.AnyPreservationPolicy([policies.LatestN(max(keep, 1)), best])
        options = ocp.CheckpointManagerOptions(
            preservation_policy=policy, cleanup_tmp_directories=True
        )
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._manager = ocp.CheckpointManager(self._folder, options=options)
        except OSError as error:
            raise UserError(
                f"{self._folder}: can't be written ({error}); give another --workdir"
            ) from error

    def steps(self) -> list[int]:
        """Steps of the finished checkpoints, oldest first."""
        return sorted(self._manager.all_steps())

    def save(
        self, state: TrainState, config, extra: dict[str, Any], score: float | None = None
    ) -> None:
        """Saves the state under its step, unless that step is saved already.

        Args:
            state: the state; copied before this returns.
            config: the resolved config.
            extra: further JSON values, given back by `restore`.
            score: validation score, larger is better; None: not evaluated.

        Raises:
            UserError: this checkpoint, or the one before it, can't be written (disk full).
        """
        host = to_host(state)
        step = int(host.step)
        items = _items(host)
        meta = {
            "step": step,
            "position": step * config.train.batch_size,
            "config": json.loads(to_json(config)),
            "versions": _versions(),
            "crc32c": {name: _checksum(item) for name, item in items.items()},
            "extra": extra,
        }
        with self._disk_errors():
            self._manager.wait_until_finished()
            if step in self._manager.all_steps():
                return
            saves = {name: ocp.args.StandardSave(item) for name, item in items.items()}
            args = ocp.args.Composite(**saves, meta=ocp.args.JsonSave(meta))
            metrics = None if score is None else {"score": float(score)}
            self._manager.save(step, args=args, metrics=metrics, force=True)

    def restore(self, template: TrainState) -> tuple[TrainState, dict[str, Any]]:
        """The newest state that can be read, and its `step` and the `extra` it was saved with; the
        template and an empty dict where there is no checkpoint.

        Newer checkpoints that can't be read are named on stderr and moved to `<workdir>/corrupt`,
        so that the run can write them anew.

        Args:
            template: a state of the same network and optimiser.

        Raises:
            UserError: there are checkpoints and none of them can be read.
        """
        found = _newest_readable(self._folder, self.steps(), with_training=True)
        if found is None:
            return template, {}
        (variables, training, meta), step, broken = found
        state = _assemble(template, variables, training)
        for bad in broken if jax.process_index() == 0 else ():
            path = self._folder / str(bad)
            target = self._folder.parent / "corrupt" / path.name
            target.parent.mkdir(exist_ok=True)
            shutil.rmtree(target, ignore_errors=True)
            path.rename(target)
            print(f"moved {path} to {target}", file=sys.stderr)
        if broken:
            self._manager.reload()
        return state, meta["extra"] | {"step": step}

    def close(self) -> None:
        """Waits for the save in progress.

        Raises:
            UserError: it could not be written.
        """
        with Resources() as resources, self._disk_errors():
            resources.closing(self._manager)
            self._manager.wait_until_finished()

    @contextlib.contextmanager
    def _disk_errors(self):
        """Reports what the operating system refused as a UserError; other errors pass."""
        try:
            yield
        except Exception as error:
            # TensorStore raises ValueError and appends the system's code to the message.
            if not isinstance(error, OSError) and "os_error_code" not in str(error):
                raise
            good = self.steps()
            last = f"step {good[-1]} is safe" if good else "there is none yet"
            raise UserError(
                f"{self._folder}: the checkpoint could not be written ({_reason(error)}); free "
                "some space and give the same command again; the last good checkpoint: " + last
            ) from error


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
        UserError: no checkpoint there, or none that can be read.
    """
    path = Path(path).absolute()
    if (path / "meta").is_dir() and path.name.isdigit():
        folder, steps = path.parent, [int(path.name)]
    else:
        folder = path / "checkpoints" if (path / "checkpoints").is_dir() else path
        steps = saved_steps(folder)
    found = _newest_readable(folder, steps, with_training=False)
    if found is None:
        raise UserError(f"{path}: no checkpoint here; give a folder that run_train.py wrote to")
    (variables, _, meta), step, _ = found
    return from_json(json.dumps(meta["config"])), variables, step


def saved_steps(folder: Path) -> list[int]:
    """Steps of the checkpoints in a run's folder `checkpoints`, oldest first; none where it is
    missing."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return sorted(int(name) for name in names if name.isdigit())


def _items(state: TrainState):
    """The arrays of a checkpoint: variables to track with, everything else by name."""
    training = {f"state/{name}": getattr(state, name) for name in _COUNTERS}
    training |= named(state.opt_state, "optimizer/")
    if state.ema:
        training |= named(state.live, "live/")
    return {"variables": state.tracked, "training": training}


def _assemble(template: TrainState, variables, training) -> TrainState:
    """The inverse of `_items`."""
    tracked = _like(template.tracked, named(variables), "")
    return TrainState(
        **(_like(template.live, training, "live/") if template.ema else tracked),
        opt_state=_like(template.opt_state, training, "optimizer/"),
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


def _checksum(tree) -> int:
    """CRC-32C over names, types, shapes and values of a tree's arrays."""
    crc = 0
    for name, value in sorted(named(tree).items()):
        value = np.ascontiguousarray(value)
        crc = google_crc32c.extend(crc, f"{name} {value.dtype} {value.shape}".encode())
        crc = google_crc32c.extend(crc, value.tobytes())
    return crc


def _read(path: Path, with_training: bool):
    """The items of one checkpoint; any exception means that it can't be read."""
    with ocp.Checkpointer(ocp.JsonCheckpointHandler()) as reader:
        meta = reader.restore(path / "meta")
    items = {}
    with ocp.StandardCheckpointer() as reader:
        for name in ("variables", "training") if with_training else ("variables",):
            items[name] = jax.tree.map(np.asarray, reader.restore(path / name))
            if _checksum(items[name]) != meta["crc32c"][name]:
                raise ValueError(f"checksum of {name} differs")
    return items["variables"], items.get("training"), meta


def _newest_readable(folder: Path, steps: list[int], with_training: bool):
    """(what `_read` gave, step, newer steps that can't be read), or None where there are no
    steps."""
    broken = []
    for step in reversed(steps):
        path = folder / str(step)
        try:
            return _read(path, with_training), step, broken
        except Exception as error:
            print(f"checkpoint {path} can't be read: {_reason(error)}", file=sys.stderr)
            broken.append(step)
    if broken:
        raise UserError(f"{folder}: none of the checkpoints {steps} can be read")
    return None


def _reason(error: Exception) -> str:
    """The beginning of its message, as one line."""
    return " ".join(str(error).split())[:300]


def _versions() -> dict[str, str]:
    versions = {"python": sys.version.split()[0]}
    for name in _PACKAGES.split():
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions
