"""What `import siamjax` offers to scripts: `siamjax.load`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from siamjax import constants as settable
from siamjax.errors import UserError
from siamjax.remote import weights as remote

if TYPE_CHECKING:
    from siamjax.tracking.session import Tracker

ASSETS = remote.ASSETS


def load(
    path: str | os.PathLike | None = None,
    *,
    rgb: bool = False,
    constants: Mapping[str, float] | None = None,
) -> Tracker:
    """A tracker from trained weights, compiled and ready.

    What was compiled is kept on disk for the next time (see `siamjax.compile_cache`).

        tracker = siamjax.load()
        tracker.init(frame, (x, y, w, h))
        prediction = tracker.update(next_frame)  # prediction.box, prediction.score

    Args:
        path: the folder of a training run or of `siamjax demo` (the newest checkpoint is taken),
            the folder of one checkpoint, or a weights file (.npz) of `siamjax convert`; or the
            address of one of them, `s3://...`, `hf://...`, with `#sha256=DIGEST` of a file if it
            must be that one. The config stored there is used. None or "bundled": the small bundled
            checkpoint.
        rgb: frames will be given as RGB; the default is BGR, as OpenCV reads them.
        constants: fields of the config's section `tracker` to replace, as
            `siamjax.constants.parse` gives them: {"penalty_k": 0.1}.

    Raises:
        UserError: nothing there, not a checkpoint, weights that do not fit their config, a
            constant without effect, or an address from which it cannot be fetched.
    """
    from siamjax import compile_cache

    compile_cache.enable()
    config, variables = load_variables(path, constants)
    return make_tracker(config, variables, rgb=rgb)


def make_tracker(config, variables, *, rgb: bool = False) -> Tracker:
    """A tracker from a config and its network's variables; loads JAX only now.

    Raises:
        UserError: variables that do not fit the config's model.
    """
    from siamjax.tracking.session import Tracker

    return Tracker(config, variables, rgb=rgb)


def load_variables(
    path: str | os.PathLike | None = None, constants: Mapping[str, float] | None = None
) -> tuple:
    """Config and weights ({"params", "batch_stats"}) of what `load` takes, checked for fit.

    Args:
        path, constants: as `load` takes them.

    Raises:
        UserError: as `load`.
    """
    from siamjax.models import weights

    path = default_checkpoint() if path is None else training_folder(path)
    if path.is_dir():
        from siamjax.training import checkpoint

        config, variables, _ = checkpoint.load_variables(path)
    elif path.is_file():
        config, variables = weights.load(path)
    else:
        raise UserError(f"{path}: no such checkpoint folder or weights file")
    weights.check_matches(config, variables, path)
    settable.apply(config, constants or {})
    return config, variables


def training_folder(path: str | os.PathLike) -> Path:
    """The training folder in what `siamjax demo` leaves, the local copy of what lies at an address,
    the bundled checkpoint; any other path as it is.

    Raises:
        UserError: it cannot be fetched; the path is itself a training folder, too.
    """
    path = remote.local(path)
    inner = path / "train"
    if not (inner / "checkpoints").is_dir():
        return path
    if (path / "checkpoints").is_dir():
        raise UserError(f"{path}: two trainings, {path / 'checkpoints'} and {inner}; move one away")
    return inner


def default_checkpoint() -> Path:
    """The bundled weights file (its model card lies beside it).

    Raises:
        UserError: this installation has none.
    """
    return remote.bundled()
