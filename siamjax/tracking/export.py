"""The whole tracker as one file for other programs: StableHLO of both steps, and the weights.

The file is a zip archive, which `siamjax.tracking.exported` reads: `init` and `update`
(`jax.export`, for CPU, CUDA and TPU, any frame size), `weights.npz` (their first argument, in
order), `settings.npy` (the numbers of `Settings`, which may be changed without exporting again) and
`config.json`. The convolutions are formulated for the backend that exports, slower on another.
"""

import io
import os
import shutil
import zipfile
from pathlib import Path

import jax
import jax.export
import jax.numpy as jnp
import numpy as np

from siamjax.config import to_json
from siamjax.errors import UserError
from siamjax.tracking import exported, tracker
from siamjax.tracking.config import Settings, TrackerConfig
from siamjax.tracking.tracker import Motion, Network, State

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
        UserError: another suffix, or a place that cannot be written to.
    """
    from siamjax import models

    path = Path(path)
    if path.suffix != ".zip":
        raise UserError(f"--out={path}: name a .zip file")
    network = Network(models.build(config))
    constants = TrackerConfig.of(config)
    init, update = _exported(network, constants.structure(), variables)
    named = jax.tree_util.tree_flatten_with_path(variables)[0]
    weights = {jax.tree_util.keystr(key, simple=True, separator="/"): leaf for key, leaf in named}
    members = {
        "init": init.serialize(),
        "update": update.serialize(),
        "weights.npz": _numpy_file(np.savez, **weights),
        "settings.npy": _numpy_file(np.save, np.array(constants.settings(), np.float32)),
        "config.json": to_json(config).encode(),
    }
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as file:
            for name, content in members.items():
                file.writestr(name, content)
        os.replace(partial, path)
        return Path(shutil.copyfile(exported.__file__, path.with_suffix(".py")))
    except OSError as error:
        raise UserError(f"--out={path}: cannot be written ({error.strerror})") from error
    finally:
        partial.unlink(missing_ok=True)


def _exported(network, config, variables):
    """Both steps on plain lists of arrays, which need no registration with `jax.export`."""
    leaves, tree = jax.tree.flatten(variables)
    blank = jnp.zeros((64, 64, 3), jnp.uint8)
    example = jax.eval_shape(
        lambda variables: tracker.init(network, config, variables, blank, jnp.ones(4)), variables
    )
    kernel_tree = jax.tree.structure(example.kernels)

    def flat(state):
        return [*state.motion, state.average, *jax.tree.leaves(state.kernels)]

    def unflat(values):
        kernels = jax.tree.unflatten(kernel_tree, values[4:])
        return State(Motion(*values[:3]), values[3], kernels)

    def init(weights, frame, box):
        variables = jax.tree.unflatten(tree, weights)
        return flat(tracker.init(network, config, variables, frame, box))

    def update(weights, settings, state, frame):
        variables = jax.tree.unflatten(tree, weights)
        state, step = tracker.update(
            network, config, variables, Settings(*settings), unflat(state), frame
        )
        return flat(state), step.box, step.score

    height, width = jax.export.symbolic_shape("h, w", constraints=["h >= 1", "w >= 1"])
    frame = jax.ShapeDtypeStruct((height, width, 3), jnp.uint8)
    box = jax.ShapeDtypeStruct((4,), jnp.float32)
    settings = jax.ShapeDtypeStruct((len(Settings._fields),), jnp.float32)
    weights = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves]
    make = jax.export.export
    return (
        make(jax.jit(init), platforms=PLATFORMS)(weights, frame, box),
        make(jax.jit(update), platforms=PLATFORMS)(weights, settings, flat(example), frame),
    )


def _numpy_file(save, *arrays, **named) -> bytes:
    content = io.BytesIO()
    save(content, *arrays, **named)
    return content.getvalue()
