"""What a network consists of: modules, shapes, parameters, multiply-adds, strides."""

import functools
from dataclasses import dataclass

import flax.linen as nn
import flax.traverse_util
import jax
import jax.numpy as jnp

from siamjax.models.conv import Conv
from siamjax.models.import_torch import pysot_names
from siamjax.models.initialise import shapes
from siamjax.models.rpn import DepthwiseBranch, UpChannelBranch
from siamjax.models.siamrpn import SiamRPN

_GROWTH = 64  # px, a multiple of every stride
PARTS = {"backbone": "backbone", "adjust": "neck", "head": "head"}


@dataclass(frozen=True)
class Row:
    """One module of the network.

    Attributes:
        name: path of the module.
        output: (H, W, C) on the search crop; None where the module sees the template alone.
        stride: px of the search crop per cell of the output; None likewise.
        parameters: numbers in it.
        template, search: multiply-adds on one template and one search crop.
    """

    name: str
    output: tuple[int, int, int] | None
    stride: int | None
    parameters: int
    template: int
    search: int


def rows(model: SiamRPN, exemplar: int, search: int) -> list[Row]:
    """The network's modules in the order in which the search crop passes through them.

    Backbone parts, neck levels and the heads' branches are a row each.

    Args:
        exemplar, search: px, sides of the crops.
    """
    parameters = parameter_counts(model)
    template, search_side = _record(model, exemplar, search)
    # Borders cost cells, a larger crop adds one per stride.
    _, larger = _record(model, exemplar, search + _GROWTH)
    names = dict.fromkeys([*search_side.outputs, *template.outputs, *parameters])
    table = []
    for name in names:
        output = search_side.outputs.get(name)
        stride = _GROWTH // (larger.outputs[name][0] - output[0]) if output else None
        work = template.work.get(name, 0), search_side.work.get(name, 0)
        table.append(Row(name, output, stride, parameters.get(name, 0), *work))
    return table


def _record(model, exemplar, search):
    """Recorders of the template's and of the search crop's way through the network."""
    z = jax.ShapeDtypeStruct((1, exemplar, exemplar, 3), jnp.float32)
    x = jax.ShapeDtypeStruct((1, search, search, 3), jnp.float32)
    template, search_side = _Recorder(), _Recorder()

    def trace(recorder, method, *arguments):
        with nn.intercept_methods(recorder):
            call = functools.partial(model.apply, method=method)
            return jax.eval_shape(call, shapes(model), *arguments)

    kernels = trace(template, "encode", z)
    trace(search_side, "respond", kernels, x)
    return template, search_side


def parameter_counts(model: SiamRPN) -> dict[str, int]:
    """Parameters of each row's module."""
    counts: dict[str, int] = {}
    for path, leaf in flax.traverse_util.flatten_dict(shapes(model)["params"]).items():
        name = _row(path)
        counts[name] = counts.get(name, 0) + leaf.size
    return counts


def totals(model: SiamRPN) -> dict[str, int]:
    """{"total", "backbone", "adjust", "head", "tensors"}: parameters, and tensors of a checkpoint.

    `tensors` counts what a PySOT state dict of the network holds: parameters, running statistics
    and one step counter per batch normalisation.
    """
    params = shapes(model)["params"]
    counts = {
        key: sum(leaf.size for leaf in jax.tree.leaves(params.get(part, {})))
        for key, part in PARTS.items()
    }
    return {"total": sum(counts.values()), **counts, "tensors": len(pysot_names(model))}


def _row(path):
    """The row a module or parameter belongs to: two names deep, three in the head."""
    depth = 3 if path[0] == "head" else 2
    if len(path) <= depth and path[0] == "head":
        return "head/fusion"
    name = "/".join(path[:depth])
    return name.replace("backbone/bn1", "backbone/conv1")


class _Recorder:
    """Interceptor of module calls: multiply-adds per row, and each row's last output."""

    def __init__(self):
        self.work: dict[str, int] = {}
        self.outputs: dict[str, tuple[int, int, int]] = {}

    def __call__(self, call, args, kwargs, context):
        result = call(*args, **kwargs)
        module, method = context.module, context.method_name
        row = _row((*module.path, "")) if len(module.path) > 1 else None
        if isinstance(module, Conv) and method == "__call__":
            inputs = 1 if module.depthwise else args[0].shape[-1]
            work = result.shape[1] * result.shape[2] * result.shape[3] * inputs * module.size**2
            self._add(row, work, result)
        elif isinstance(module, DepthwiseBranch | UpChannelBranch) and method == "correlate":
            kernels, (cells, _) = args[0], result.shape[1:3]
            self._add(row, cells * cells * kernels[0].size, result)
        elif row is not None and hasattr(result, "shape") and method != "kernels":
            self._add(row, 0, result)
        return result

    def _add(self, row, work, result):
        self.work[row] = self.work.get(row, 0) + work
        self.outputs[row] = tuple(result.shape[1:])
