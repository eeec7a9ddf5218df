"""Random variables of a network, drawn in NumPy: XLA would compile a generator for every shape."""

import functools
import zlib
from collections.abc import Callable

import flax.linen as nn
import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from siamjax import compile_cache


def shapes(model, exemplar: int = 127, search: int = 255) -> dict:
    """`{"params", "batch_stats"}` of a `SiamRPN` as shapes, without computing anything.

    Args:
        model: a `SiamRPN`.
        exemplar, search: px, sides of the crops (shapes do not depend on them).
    """
    fields = ("blocks", "levels", "adjust_channels")
    hashable = model.clone(**{name: tuple(getattr(model, name)) for name in fields})
    leaves = {
        tuple(name.split("/")): jax.ShapeDtypeStruct(shape, dtype)
        for name, shape, dtype in _kept_shapes(hashable, exemplar, search)
    }
    return {"batch_stats": {}, **flax.traverse_util.unflatten_dict(leaves)}


@functools.lru_cache(maxsize=16)
def _kept_shapes(model, exemplar, search) -> list:
    """Names, shapes and types; tracing a network takes a second."""
    parts = [repr(model), repr((exemplar, search))]

    def trace():
        leaves = flax.traverse_util.flatten_dict(_shapes(model, exemplar, search), sep="/")
        return [[name, leaf.shape, leaf.dtype.name] for name, leaf in leaves.items()]

    return compile_cache.kept_json("shapes", ("geometry", "models"), parts, trace)


def _shapes(model, exemplar, search):
    z = jax.ShapeDtypeStruct((1, exemplar, exemplar, 3), jnp.float32)
    x = jax.ShapeDtypeStruct((1, search, search, 3), jnp.float32)
    return jax.eval_shape(model.init, jax.random.key(0), z, x)


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
    leaves = flax.traverse_util.flatten_dict(shapes(model, exemplar, search))
    variables = {}
    for path, leaf in leaves.items():
        rng = np.random.default_rng([seed, zlib.crc32("/".join(path).encode())])
        kernel = leaves.get((*path[:-1], "kernel"))
        if kernel is None:  # of a batch normalisation, or a fusion weight
            draw = np.zeros if path[-1] in ("mean", "bias") else np.ones
            values = draw(leaf.shape)
        elif path[-1] == "kernel" and path[1] == "backbone" and model.backbone.startswith("resnet"):
            height, width, _, outputs = leaf.shape
            values = rng.standard_normal(leaf.shape) * np.sqrt(2 / (height * width * outputs))
        else:
            bound = 1 / np.sqrt(np.prod(kernel.shape[:3]))
            values = rng.uniform(-bound, bound, leaf.shape)
        variables[path] = values.astype(np.float32)
    return {"batch_stats": {}, **flax.traverse_util.unflatten_dict(variables)}


def parameter(module: nn.Module, name: str, init: Callable, shape: tuple[int, ...]):
    """As `module.param`, without its check of the shape: Flax traces the initialiser for it, at
    every call, which took a third of the time of tracing a network."""
    if module.has_variable("params", name):
        return module.get_variable("params", name)
    return module.param(name, init, shape)
