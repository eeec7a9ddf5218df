"""Checkpoints of a training run: `<workdir>/checkpoints/<step>`, written whole or not at all
(orbax).

Each holds three items: `variables` (the weights to track with and their batch norm statistics),
`training` (the rest of the state) and `meta` (JSON: step, position in the data, resolved config,
package versions, checksums).
"""

import json
import shutil
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import google_crc32c
import jax
import ml_collections
import numpy as np

from siamjax.config import from_json, to_json
from siamjax.errors import UserError
from siamjax.training.state import TrainState, to_host

_PACKAGES = (
    "siamjax",
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "orbax-checkpoint",
    "numpy",
    "opencv-python-headless",
)


class Checkpoints:
    """The checkpoints of one run.

    Saving goes on in the background while training continues; `close` waits for it.

    Args:
        workdir: the run's folder.
        keep: newest checkpoints kept.
        keep_best: checkpoints with the best validation score kept besides.

    Raises:
        UserError: the folder can't be written.
    """

    def __init__(self, workdir, keep: int = 3, keep_best: int = 1):
        from orbax import checkpoint as ocp
        from orbax.checkpoint import checkpoint_managers as policies

        self._ocp = ocp
        self._folder = Path(workdir).absolute() / "checkpoints"
        best = policies.BestN(
            get_metric_fn=lambda metrics: metrics["score"],
            n=keep_best,
            keep_checkpoints_without_metrics=False,
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
        variables, training = _items(host)
        meta = {
            "step": step,
            "position": step * config.train.batch_size,
            "config": json.loads(to_json(config)),
            "versions": _versions(),
            "crc32c": {"variables": _checksum(variables), "training": _checksum(training)},
            "extra": extra,
        }
        save = self._ocp.args
        self._guard(self._manager.wait_until_finished)
        if step in self._manager.all_steps():
            return
        self._guard(
            lambda: self._manager.save(
                step,
                args=save.Composite(
                    variables=save.StandardSave(variables),
                    training=save.StandardSave(training),
                    meta=save.JsonSave(meta),
                ),
                metrics=None if score is None else {"score": float(score)},
                force=True,
            )
        )

    def restore(self, template: TrainState) -> tuple[TrainState, dict[str, Any]] | None:
        """The newest state that can be read, and the `extra` it was saved with; None where there is
        none.

        Newer checkpoints that can't be read are named on stderr and moved to `<workdir>/corrupt`,
        so that the run can write them anew.

        Args:
            template: a state of the same network and optimiser.

        Raises:
            UserError: there are checkpoints and none of them can be read.
        """
        found = _newest_readable(self._folder, self.steps(), lambda path: _read(path, True))
        if found is None:
            return None
        (variables, training, meta), step, broken = found
        state = _assemble(template, variables, training)
        for bad in broken:
            _set_aside(self._folder / str(bad))
        if broken:
            self._manager.reload()
        return state, meta["extra"] | {"step": step}

    def close(self) -> None:
        """Waits for the save in progress.

        Raises:
            UserError: it failed.
        """
        try:
            self._guard(self._manager.wait_until_finished)
        finally:
            self._manager.close()

    def _guard(self, action: Callable[[], Any]) -> None:
        try:
            action()
        except Exception as error:
            good = self.steps()
            last = f"step {good[-1]} is safe" if good else "there is none yet"
            reason = " ".join(str(error).split())[:300]
            raise UserError(
                f"{self._folder}: the checkpoint could not be written ({reason}); free some space "
                f"and give the same command again; the last good checkpoint: {last}"
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
    found = _newest_readable(folder, steps, lambda step: _read(step, False))
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
    """(variables to track with, everything else) as trees of named arrays."""
    variables = {"params": state.params, "batch_stats": state.batch_stats}
    rest = {"step": state.step, "skipped": state.skipped, "skipped_in_row": state.skipped_in_row}
    training = {f"state/{name}": value for name, value in rest.items()}
    training |= _named(state.opt_state, "optimizer/")
    if state.ema:
        training |= _named(variables, "live/")
        variables = state.ema
    return variables, training


def _assemble(template: TrainState, variables, training) -> TrainState:
    live = template.replace(ema={}) if template.ema else template
    both = {"params": live.params, "batch_stats": live.batch_stats}
    ema = {}
    if template.ema:
        ema = variables
        variables = _like(both, training, "live/")
    return TrainState(
        step=training["state/step"],
        params=_check(template.params, variables["params"]),
        batch_stats=_check(template.batch_stats, variables["batch_stats"]),
        opt_state=_like(template.opt_state, training, "optimizer/"),
        ema=_check(template.ema, ema),
        skipped=training["state/skipped"],
        skipped_in_row=training["state/skipped_in_row"],
    )


def _named(tree, prefix):
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {
        prefix + jax.tree_util.keystr(path, simple=True, separator="/"): x for path, x in leaves
    }


def _like(tree, named, prefix):
    leaves, structure = jax.tree_util.tree_flatten_with_path(tree)
    names = [prefix + jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in leaves]
    missing = [name for name in names if name not in named]
    if missing:
        raise UserError(
            f"the checkpoint lacks {missing[0]}: it was made by another version or config"
        )
    return jax.tree.unflatten(structure, [named[name] for name in names])


def _check(template, tree):
    """`tree`, after seeing that it has the template's names and shapes."""
    want = {name: np.shape(x) for name, x in _named(template, "").items()}
    have = {name: np.shape(x) for name, x in _named(tree, "").items()}
    wrong = sorted(name for name in want.keys() | have.keys() if want.get(name) != have.get(name))
    if wrong:
        name = wrong[0]
        raise UserError(
            f"the checkpoint does not fit the network: {name} is {have.get(name, 'absent')} there, "
            f"{want.get(name, 'absent')} here"
        )
    return tree


def _checksum(tree) -> int:
    """CRC-32C over names, types, shapes and values of a tree's arrays."""
    crc = 0
    for name, value in sorted(_named(tree, "").items()):
        value = np.ascontiguousarray(value)
        crc = google_crc32c.extend(crc, f"{name} {value.dtype} {value.shape}".encode())
        crc = google_crc32c.extend(crc, value.tobytes())
    return crc


def _read(path: Path, with_training: bool):
    """The items of one checkpoint; any exception means that it can't be read."""
    from orbax import checkpoint as ocp

    with ocp.Checkpointer(ocp.JsonCheckpointHandler()) as reader:
        meta = reader.restore(path / "meta")
    items = {}
    with ocp.StandardCheckpointer() as reader:
        for name in ("variables", "training") if with_training else ("variables",):
            items[name] = jax.tree.map(np.asarray, reader.restore(path / name))
            if _checksum(items[name]) != meta["crc32c"][name]:
                raise ValueError(f"checksum of {name} differs")
    return items["variables"], items.get("training"), meta


def _newest_readable(folder: Path, steps: list[int], read):
    """(what `read` gave, step, newer steps that can't be read), or None where there are no
    steps."""
    broken = []
    for step in reversed(steps):
        try:
            return read(folder / str(step)), step, broken
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            print(f"checkpoint {folder / str(step)} can't be read: {reason}", file=sys.stderr)
            broken.append(step)
    if broken:
        raise UserError(f"{folder}: none of the checkpoints {steps} can be read")
    return None


def _set_aside(path: Path) -> None:
    if jax.process_index() != 0:
        return
    target = path.parent.parent / "corrupt" / path.name
    target.parent.mkdir(exist_ok=True)
    if target.exists():
        shutil.rmtree(target)
    path.rename(target)
    print(f"moved {path} to {target}", file=sys.stderr)


def _versions() -> dict[str, str]:
    versions = {"python": sys.version.split()[0]}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
