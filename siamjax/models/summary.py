"""What a network consists of: modules, shapes, parameters, multiply-adds, strides."""

import functools
import math
import re
from dataclasses import dataclass

import flax.linen as nn
import flax.traverse_util
import jax
import jax.numpy as jnp

from siamjax.models.conv import Conv
from siamjax.models.import_torch import has_names, pysot_names
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
    parameters: dict[str, int] = {}
    for path, leaf in flax.traverse_util.flatten_dict(shapes(model)["params"]).items():
        name = _row(path)
        parameters[name] = parameters.get(name, 0) + leaf.size
    template, search_side = _record(model, exemplar, search)
    # Borders cost cells, a larger crop adds one per stride.
    _, larger = _record(model, exemplar, search + _GROWTH)
    table = []
    for name in dict.fromkeys([*search_side, *template, *parameters]):
        work, output = search_side.get(name, (0, None))
        stride = _GROWTH // (larger[name][1][0] - output[0]) if output else None
        template_work, _ = template.get(name, (0, None))
        table.append(Row(name, output, stride, parameters.get(name, 0), template_work, work))
    return table


def _record(model, exemplar, search):
    """{row: (multiply-adds, last output)} on the template's and on the search crop's way."""
    z = jax.ShapeDtypeStruct((1, exemplar, exemplar, 3), jnp.float32)
    x = jax.ShapeDtypeStruct((1, search, search, 3), jnp.float32)
    template, search_side = {}, {}

    def trace(table, method, *arguments):
        with nn.intercept_methods(functools.partial(_count, table)):
            call = functools.partial(model.apply, method=method)
            return jax.eval_shape(call, shapes(model), *arguments)

    kernels = trace(template, "encode", z)
    trace(search_side, "respond", kernels, x)
    return template, search_side


def _count(table, call, args, kwargs, context):
    """Interceptor of module calls."""
    result = call(*args, **kwargs)
    module, method, work = context.module, context.method_name, 0
    if len(module.path) < 2 or method in ("kernels", "responses") or not hasattr(result, "shape"):
        return result
    _, *output = result.shape
    if isinstance(module, Conv):
        inputs = 1 if module.depthwise else args[0].shape[-1]
        work = math.prod(output) * inputs * module.size**2
    elif isinstance(module, DepthwiseBranch | UpChannelBranch):
        work = output[0] ** 2 * args[0][0].size
    row = _row((*module.path, ""))
    table[row] = (table.get(row, (0,))[0] + work, tuple(output))
    return result


def totals(model: SiamRPN) -> dict[str, int]:
    """{"total", "backbone", "adjust", "head", "tensors"}: parameters, and tensors of a checkpoint.

    `tensors` counts what a PySOT state dict of the network holds: parameters, running statistics
    and one step counter per batch normalisation; it is left out where PySOT lacks the backbone.
    """
    params = shapes(model)["params"]
    counts = {
        key: sum(leaf.size for leaf in jax.tree.leaves(params.get(part, {})))
        for key, part in PARTS.items()
    }
    tensors = {"tensors": len(pysot_names(model))} if has_names(model) else {}
    return {"total": sum(counts.values()), **counts, **tensors}


def _row(path):
    """The row a module or parameter belongs to: two names deep, three in the head."""
    depth = 3 if path[0] == "head" else 2
    if len(path) <= depth and path[0] == "head":
        return "head/fusion"
    name = "/".join(path[:depth])
    return re.sub(r"^backbone/bn(\d+)$", r"backbone/conv\1", name)
