"""The whole tracker as one file for other programs: StableHLO of both steps, and the weights.

The file is a zip archive, which `siamjax.tracking.exported` reads: `init` and `update`
(`jax.export`, for CPU, CUDA and TPU, any frame size), `weights` (float32, little-endian, one array
after the other), `config.json`, and `archive.json`: length and SHA-256 of the others, names and
shapes of the weights in the order of the steps' first argument, date and version of jax, and the
numbers of `Settings`, which may be changed without exporting again. Each platform has its own
formulation of the convolutions.
"""

import datetime
import functools
import hashlib
import json
import os
import zipfile
from pathlib import Path

import jax
import jax.export
import jax.numpy as jnp
import numpy as np

from siamjax import models
from siamjax.config import to_json
from siamjax.errors import UserError
from siamjax.files import write_whole
from siamjax.tracking import exported, tracker
from siamjax.tracking.config import Settings, TrackerConfig
from siamjax.version import __version__

PLATFORMS = ("cpu", "cuda", "tpu")


def export(path: str | os.PathLike, config, variables) -> Path:
    """Writes the tracker and its runner.

    Args:
        path: of the archive, to end in .zip.
        config: the experiment's config.
        variables: {"params", "batch_stats"} of its model.

    Returns:
        The runner's path: a Python file beside the archive, with the same stem.

    Raises:
        UserError: another suffix, a place that cannot be written to, or another file in the
            runner's place.
    """
    path = Path(path)
    if path.suffix != ".zip":
        raise UserError(f"--out={path}: name a .zip file")
    runner, program = path.with_suffix(".py"), Path(exported.__file__).read_bytes()
    first = program.partition(b"\n")[0]
    if runner.is_file() and not runner.read_bytes().startswith(first):
        raise UserError(
            f"{runner}: a file of yours, which the runner would replace; choose another --out"
        )
    constants = TrackerConfig.of(config)
    init, update = _exported(models.build(config), constants.structure(), variables)
    named = jax.tree_util.tree_flatten_with_path(variables)[0]
    weights = [
        (jax.tree_util.keystr(key, simple=True, separator="/"), np.asarray(leaf, "<f4"))
        for key, leaf in named
    ]
    members = {
        "init": init.serialize(),
        "update": update.serialize(),
        "weights": b"".join(array.tobytes() for _, array in weights),
        "config.json": to_json(config).encode(),
    }
    head = {
        "format": exported.FORMAT,
        "siamjax": __version__,
        "jax": jax.__version__,
        "exported": datetime.date.today().isoformat(),
        "calling_convention": init.calling_convention_version,
        "platforms": PLATFORMS,
        "settings": [*constants.settings()._asdict().items()],
        "members": {
            name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in members.items()
        },
        "weights": [(name, array.shape) for name, array in weights],
    }
    members = {exported.HEAD: json.dumps(head, indent=1).encode(), **members}

    def archive(file):
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)

    write_whole(path, archive)
    return write_whole(runner, program)


def _exported(model, config, variables):
    """Both steps on plain lists of arrays, which need no registration with `jax.export`."""
    leaves, tree = jax.tree.flatten(variables)
    blank = jnp.zeros((64, 64, 3), jnp.uint8)
    start = functools.partial(tracker.init, model, config)
    example, state_tree = jax.tree.flatten(jax.eval_shape(start, variables, blank, jnp.ones(4)))

    def init(weights, frame, box):
        return jax.tree.leaves(start(jax.tree.unflatten(tree, weights), frame, box))

    def update(weights, settings, state, frame):
        variables, state = jax.tree.unflatten(tree, weights), jax.tree.unflatten(state_tree, state)
        state, step = tracker.update(model, config, variables, Settings(*settings), state, frame)
        more = () if step.presence is None else (step.presence,)
        return jax.tree.leaves(state), step.box, step.score, *more

    height, width = jax.export.symbolic_shape("h, w", constraints=["h >= 1", "w >= 1"])
    frame = jax.ShapeDtypeStruct((height, width, 3), jnp.uint8)
    box = jax.ShapeDtypeStruct((4,), jnp.float32)
    settings = jax.ShapeDtypeStruct((len(Settings._fields),), jnp.float32)
    weights = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves]
    make = jax.export.export
    return (
        make(jax.jit(init), platforms=PLATFORMS)(weights, frame, box),
        make(jax.jit(update), platforms=PLATFORMS)(weights, settings, example, frame),
    )
