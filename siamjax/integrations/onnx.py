"""The two halves of the network as ONNX: `python -m siamjax.integrations.onnx`.

`template.onnx` turns the template crop into correlation kernels, once per target; `search.onnx`
turns a search crop and kernels into cls and loc. Crops are (1, side, side, 3) float32, BGR, 0..255.
What is around them (crop, decoding, state) is in `siamjax.tracking.tracker`.

jax2onnx needs an older orbax than training does, so this runs in an environment of its own:

    python3 -m venv onnxenv
    onnxenv/bin/pip install jax2onnx onnxruntime -e . --no-deps
    onnxenv/bin/pip install absl-py flax google-crc32c jaxtyping ml-collections tqdm
    onnxenv/bin/pip install opencv-contrib-python-headless
"""

import argparse
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from siamjax import api, files, models
from siamjax.errors import UserError, run_main
from siamjax.models import folding

_MISSING = ""
try:  # jax2onnx needs other versions of JAX's neighbours
    import onnx
    import onnxruntime
    from jax2onnx import to_onnx
except ImportError as error:
    _MISSING = error.name

_CLOSE = 1e-4  # largest difference from JAX, relative to an array's largest value


def export(folder: str | os.PathLike, config, variables) -> dict[str, float]:
    """Writes both files, then runs them with onnxruntime beside JAX.

    Args:
        folder: for template.onnx and search.onnx; made if it is not there.
        config: the experiment's config.
        variables: {"params", "batch_stats"} of its model; batch normalisations are folded.

    Returns:
        Largest difference of each output from JAX, relative to the output's largest value.

    Raises:
        UserError: the packages are missing, or the files do not give the same numbers.
    """
    if _MISSING:
        fix = "ONNX export has an environment of its own, see siamjax/integrations/onnx.py"
        raise UserError(f"{_MISSING} is not installed; {fix}")
    model = models.build(config).clone(formulation="plain")
    model, variables = folding.fold(model, variables)
    rng = np.random.default_rng(0)
    z, x = (
        rng.uniform(0, 255, (1, side, side, 3)).astype(np.float32)
        for side in (config.crops.exemplar, config.tracker.instance)
    )
    encode = jax.jit(lambda z: model.apply(variables, z, method="encode"))
    kernels, tree = jax.tree.flatten(encode(z))

    def template(z):
        return tuple(jax.tree.leaves(model.apply(variables, z, method="encode")))

    def search(x, *kernels):
        return model.apply(variables, jax.tree.unflatten(tree, kernels), x, method="respond")

    halves = {"template": (template, [z]), "search": (search, [x, *kernels])}
    differences = {}
    for name, (half, inputs) in halves.items():
        shapes = [jax.ShapeDtypeStruct(a.shape, jnp.float32) for a in inputs]
        graph = to_onnx(half, shapes, model_name=name, return_mode="proto")
        with files.replacing(Path(folder) / f"{name}.onnx") as partial:
            onnx.save(graph, str(partial))
            session = onnxruntime.InferenceSession(str(partial))
        fed = {node.name: np.asarray(a) for node, a in zip(session.get_inputs(), inputs)}
        expected = jax.jit(half)(*inputs)
        for i, (ours, theirs) in enumerate(zip(expected, session.run(None, fed))):
            scale = max(float(np.abs(ours).max()), 1e-12)
            differences[f"{name} {i}"] = float(np.abs(ours - theirs).max()) / scale
    worst = max(differences.values())
    if not worst < _CLOSE:
        raise UserError(f"{folder}: onnxruntime differs from JAX by {worst:.1e}; do not use it")
    return differences


def main() -> None:
    """Writes the files that the flags name."""
    parser = argparse.ArgumentParser(description="The two halves of the network as ONNX.")
    parser.add_argument("--checkpoint", required=True, help="a .npz weights file")
    parser.add_argument("--out", default="onnx", help="folder; default %(default)s")
    args = parser.parse_args()
    differences = export(args.out, *api.load_variables(args.checkpoint))
    for name, difference in differences.items():
        print(f"{name}: {difference:.1e} from JAX, relative")


if __name__ == "__main__":
    run_main(main)
