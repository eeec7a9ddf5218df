"""The network as ONNX, in two halves, and beside them what a program around them has to know.

`template.onnx` turns the template crop `z` into correlation kernels, once per target; `search.onnx`
turns a search crop `x` and the kernels into `cls` and `loc`. A long-term tracker has a
`search_lost.onnx` for its large region. Crops are (1, side, side, 3) float32, BGR, 0..255.
`tracker.json` holds the tracker's constants; what is around the network (crop, decoding, state) is
in `siamjax.tracking.tracker`, and for browsers in `siamjax/assets/web/tracker.js`.
"""

import dataclasses
import hashlib
import json
import os
from pathlib import Path

import jax
import numpy as np
import onnxruntime

from siamjax import files, models
from siamjax.errors import UserError
from siamjax.integrations import jaxpr_onnx, web
from siamjax.models import folding
from siamjax.tracking import presence
from siamjax.tracking.config import TrackerConfig
from siamjax.version import __version__

_CLOSE = 1e-4  # largest difference from JAX, relative to an array's largest value


def export(folder: str | os.PathLike, config, variables) -> dict[str, float]:
    """Writes the files, and runs them with onnxruntime beside JAX before.

    Args:
        folder: made if it is not there.
        config: the experiment's config.
        variables: {"params", "batch_stats"} of its model; batch normalisations are folded.

    Returns:
        Largest difference of each output from JAX, relative to the output's largest value.

    Raises:
        UserError: the models do not give the same numbers, or cannot be written.
    """
    constants = TrackerConfig.of(config)
    model = models.build(config).clone(formulation="plain", dtype="float32")
    model, variables = folding.fold(model, variables)
    rng = np.random.default_rng(0)

    def crop(side):
        return rng.uniform(0, 255, (1, side, side, 3)).astype(np.float32)

    def template(z):
        return jax.tree.leaves(model.apply(variables, z, method="encode"))

    def search(x, *kernels):
        return model.apply(variables, jax.tree.unflatten(tree, kernels), x, method="respond")

    z = crop(constants.exemplar)
    tree = jax.tree.structure(jax.eval_shape(lambda: model.apply(variables, z, method="encode")))
    kernels = {f"kernel{i}": np.asarray(k) for i, k in enumerate(jax.jit(template)(z))}
    halves = {
        "template": (template, {"z": z}, [*kernels]),
        "search": (search, {"x": crop(constants.instance), **kernels}, ["cls", "loc"]),
    }
    if constants.long_term:
        x = crop(constants.lost_instance)
        halves["search_lost"] = (search, {"x": x, **kernels}, ["cls", "loc"])
    folder, differences, made = Path(folder), {}, {}
    for name, (half, fed, outputs) in halves.items():
        shapes = {each: array.shape for each, array in fed.items()}
        made[name] = jaxpr_onnx.graph(half, shapes, outputs, name).SerializeToString()
        for output, difference in _compare(made[name], half, fed, outputs).items():
            differences[f"{name} {output}"] = difference
    worst = max(differences.values())
    if not worst < _CLOSE:
        raise UserError(f"{folder}: onnxruntime differs from JAX by {worst:.1e}; nothing written")
    sums = {}
    for name, content in made.items():
        files.write_whole(folder / f"{name}.onnx", content)
        sums[f"{name}.onnx"] = hashlib.sha256(content).hexdigest()
    about = _constants(constants, config) | {web.SUMS: sums}
    files.write_whole(folder / web.CONSTANTS, json.dumps(about, indent=1))
    return differences


def _compare(model: bytes, half, fed, outputs) -> dict[str, float]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    differences = {}
    for name, ours, theirs in zip(outputs, jax.jit(half)(*fed.values()), session.run(None, fed)):
        scale = max(float(np.abs(ours).max()), 1e-12)
        differences[name] = float(np.abs(np.asarray(ours) - theirs).max()) / scale
    return differences


def _constants(constants: TrackerConfig, config) -> dict:
    """The tracker's constants, and what follows from them."""
    return {
        **dataclasses.asdict(constants),
        "shapes": constants.anchors.shapes().tolist(),  # width and height of the anchors of a cell
        "knots": presence.KNOTS,
        "memory": presence.MEMORY,
        "start": presence.START,
        "name": str(config.name),
        "siamjax": __version__,
    }
