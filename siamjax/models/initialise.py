"""Random variables of a network, drawn in NumPy: XLA would compile a generator for every shape."""

import functools
import zlib

import jax
import jax.numpy as jnp
import numpy as np


def shapes(model, exemplar: int = 127, search: int = 255) -> dict:
    """`{"params", "batch_stats"}` of a `SiamRPN` as shapes, without computing anything.

    Args:
        model: a `SiamRPN`.
        exemplar, search: px, sides of the crops (shapes do not depend on them).
    """
    fields = ("blocks", "levels", "adjust_channels")
    hashable = model.clone(**{name: tuple(getattr(model, name)) for name in fields})
    return jax.tree.map(lambda leaf: leaf, _shapes(hashable, exemplar, search))


@functools.lru_cache(maxsize=16)  # tracing a network takes a second
def _shapes(model, exemplar, search):
    z = jax.ShapeDtypeStruct((1, exemplar, exemplar, 3), jnp.float32)
    x = jax.ShapeDtypeStruct((1, search, search, 3), jnp.float32)
    return {"batch_stats": {}, **jax.eval_shape(model.init, jax.random.key(0), z, x)}


def init_variables(model, seed: int, exemplar: int = 127, search: int = 255) -> dict:
    """Fresh `{"params", "batch_stats"}` of a `SiamRPN`, NumPy float32.

    ResNet convolutions are normal with variance 2 / (k * k * out), all others PyTorch's default,
    uniform within +-1 / sqrt(fan in), biases likewise; batch normalisations start as the identity,
    fusion weights at 1. Each tensor is drawn from (seed, its name), whatever the others are.

    Args:
        model: a `SiamRPN`.
        seed: of all draws.
        exemplar, search: px, sides of the crops (shapes do not depend on them).
    """
    variables = shapes(model, exemplar, search)

    def draw(path, leaf):
        names = [key.key for key in path]
        rng = np.random.default_rng([seed, zlib.crc32("/".join(names).encode())])
        return _draw(rng, names, leaf.shape, variables["params"], model.backbone).astype(np.float32)

    return jax.tree_util.tree_map_with_path(draw, variables)


def _draw(rng, names, shape, params, backbone):
    kernel = _sibling_kernel(params, names)
    if kernel is None:  # of a batch normalisation, or a fusion weight
        return np.zeros(shape) if names[-1] in ("mean", "bias") else np.ones(shape)
    if names[-1] == "kernel" and names[1] == "backbone" and backbone.startswith("resnet"):
        return rng.standard_normal(shape) * np.sqrt(2 / (shape[0] * shape[1] * shape[3]))
    bound = 1 / np.sqrt(np.prod(kernel.shape[:3]))
    return rng.uniform(-bound, bound, shape)


def _sibling_kernel(params, names):
    for name in names[1:-1]:
        params = params[name]
    return params.get("kernel")
