"""A traced JAX function as an ONNX graph: the few operators that the networks are made of.

What depends on weights alone is computed here and stored. Images are (B, H, W, C) in JAX and
(B, C, H, W) in ONNX's convolutions: values between convolutions stay as ONNX has them, so that a
graph has few transpositions.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import onnx
from onnx import helper, numpy_helper

from siamjax.errors import UserError

OPSET, IR = 17, 8  # read by every onnxruntime since 1.14
_FROM_IMAGES, _TO_IMAGES = (0, 3, 1, 2), (0, 2, 3, 1)
_SAME = {"convert_element_type", "copy", "name", "stop_gradient"}  # float32 throughout
_ELEMENTWISE = {
    **{"add": "Add", "add_any": "Add", "sub": "Sub", "mul": "Mul", "div": "Div"},
    **{"max": "Max", "min": "Min", "exp": "Exp", "neg": "Neg", "sqrt": "Sqrt"},
}
_REDUCTIONS = {"reduce_max": "ReduceMax", "reduce_sum": "ReduceSum"}


class _Value(NamedTuple):
    """A value of the graph that is computed when it runs; others are NumPy arrays.

    Attributes:
        name: in the graph.
        shape: in JAX.
        turned: whether it is (B, C, H, W) where JAX has (B, H, W, C).
    """

    name: str
    shape: tuple[int, ...]
    turned: bool = False


def graph(
    function: Callable, inputs: dict[str, Sequence[int]], outputs: Sequence[str], title: str
) -> onnx.ModelProto:
    """A function of float32 arrays as a model.

    Args:
        function: takes one array per input, returns one per output.
        inputs: names and shapes.
        outputs: names.
        title: of the graph.

    Raises:
        UserError: an operation that is not known here.
    """
    shapes = [jax.ShapeDtypeStruct(tuple(shape), jnp.float32) for shape in inputs.values()]
    traced = jax.make_jaxpr(function)(*shapes)
    writer = _Writer()
    given = [_Value(name, tuple(shape)) for name, shape in inputs.items()]
    found = writer.run(traced.jaxpr, traced.consts, given)
    for name, value in zip(outputs, found, strict=True):
        writer.node("Identity", [writer.plain(value)], name=name)
    infos = [helper.make_tensor_value_info(name, 1, list(shape)) for name, shape in inputs.items()]
    results = [
        helper.make_tensor_value_info(name, 1, list(value.aval.shape))
        for name, value in zip(outputs, traced.jaxpr.outvars)
    ]
    made = helper.make_graph(_read(writer.nodes, outputs), title, infos, results, writer.stored)
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(made, opset_imports=opsets, ir_version=IR, producer_name="siamjax")
    onnx.checker.check_model(model)
    return model


class _Writer:
    """Collects nodes and stored arrays while it walks through traced functions."""

    def __init__(self):
        self.nodes: list[onnx.NodeProto] = []
        self.stored: list[onnx.TensorProto] = []
        self._turned: dict[tuple[str, tuple[int, ...]], str] = {}
        self._rectified: dict[str, str] = {}  # of a ReLU: its input

    def node(self, operator: str, inputs: Sequence[str], name: str = "", **attributes) -> str:
        """Adds a node with one output; its name."""
        name = name or f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def store(self, array: np.ndarray) -> str:
        """Adds an array; its name."""
        name = f"w{len(self.stored)}"
        self.stored.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def turn(self, name: str, order: Sequence[int]) -> str:
        """A value with its axes in another order, which is made once."""
        key = name, tuple(order)
        if key not in self._turned:
            self._turned[key] = self.node("Transpose", [name], perm=list(order))
        return self._turned[key]

    def plain(self, value) -> str:
        """The name of a value with the axes that it has in JAX."""
        if isinstance(value, _Value):
            return self.turn(value.name, _TO_IMAGES) if value.turned else value.name
        return self.store(value)

    def turned(self, value) -> str:
        """The name of an image as convolutions take it."""
        if isinstance(value, _Value):
            return value.name if value.turned else self.turn(value.name, _FROM_IMAGES)
        return self.store(np.transpose(value, _FROM_IMAGES))

    def run(self, jaxpr, consts, values) -> list:
        """Walks through a traced function; what it returns."""
        known: dict[Any, Any] = dict(zip(jaxpr.constvars, map(np.asarray, consts)))
        known.update(zip(jaxpr.invars, values))

        def read(atom):
            if hasattr(atom, "val"):  # a literal
                return np.asarray(atom.val, atom.aval.dtype)
            return known[atom]

        for equation in jaxpr.eqns:
            results = self._equation(equation, [read(atom) for atom in equation.invars])
            known.update(zip(equation.outvars, results, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def _equation(self, equation, values) -> list:
        name, parameters = equation.primitive.name, equation.params
        inner = parameters.get("jaxpr") or parameters.get("call_jaxpr")
        if inner is not None:
            return self.run(inner.jaxpr, inner.consts, values)
        if not any(isinstance(value, _Value) for value in values):
            return [np.asarray(equation.primitive.bind(*values, **parameters))]
        shape = tuple(equation.outvars[0].aval.shape)
        if name in _SAME:
            return values
        if name in _ELEMENTWISE:
            return [self._elementwise(_ELEMENTWISE[name], values, shape)]
        if name in _REDUCTIONS:
            return [self._reduce(_REDUCTIONS[name], *values, parameters["axes"], shape)]
        operation = getattr(self, f"_{name}", None)
        if operation is None:
            raise UserError(f"ONNX export: no operator for JAX's {name} in this network")
        return [operation(values, parameters, shape)]

    def _elementwise(self, operator, values, shape) -> _Value:
        turned = any(isinstance(value, _Value) and value.turned for value in values)
        values = [value if isinstance(value, _Value) else _narrow(value) for value in values]
        limits = [value for value in values if not isinstance(value, _Value) and value.size == 1]
        if operator in ("Max", "Min") and limits:
            (value,) = (value for value in values if isinstance(value, _Value))
            return value._replace(name=self._limited(operator, value.name, limits[0].ravel()))
        place = self.turned if turned else self.plain
        names = [
            place(value)
            if isinstance(value, _Value) or value.size > 1
            else self.store(value.ravel())
            for value in values
        ]
        return _Value(self.node(operator, names), shape, turned)

    def _limited(self, operator, name, limit) -> str:
        """ReLU and ReLU6 as onnxruntime joins them with a convolution."""
        if operator == "Max":
            return self.node("Max", [name, self.store(limit)]) if limit[0] else self._relu(name)
        if name in self._rectified:
            zero = self.store(np.zeros((), np.float32))
            return self.node("Clip", [self._rectified[name], zero, self.store(limit[0])])
        return self.node("Min", [name, self.store(limit)])

    def _relu(self, name) -> str:
        made = self.node("Relu", [name])
        self._rectified[made] = name
        return made

    def _reduce(self, operator, value, axes, shape) -> _Value:
        axes = list(axes)
        if value.turned and axes == [1, 2]:
            name, axes = value.name, [2, 3]
        else:
            name = self.plain(value)
        if operator == "ReduceSum":
            inputs = [name, self.store(np.array(axes, np.int64))]
            return _Value(self.node(operator, inputs, keepdims=0), shape)
        return _Value(self.node(operator, [name], axes=axes, keepdims=0), shape)

    def _conv_general_dilated(self, values, parameters, shape) -> _Value:
        image, kernel = values
        numbers = parameters["dimension_numbers"]
        if isinstance(kernel, _Value):
            weights = self.turn(self.plain(kernel), numbers.rhs_spec)
        else:
            weights = self.store(np.transpose(kernel, numbers.rhs_spec))
        if numbers.lhs_spec == _FROM_IMAGES:
            inputs = self.turned(image)
        else:
            inputs = self.turn(self.plain(image), numbers.lhs_spec)
        before, behind = zip(*parameters["padding"])
        name = self.node(
            "Conv",
            [inputs, weights],
            strides=list(parameters["window_strides"]),
            pads=[*before, *behind],
            dilations=list(parameters["rhs_dilation"]),
            group=parameters["feature_group_count"],
        )
        if numbers.out_spec == _FROM_IMAGES:
            return _Value(name, shape, turned=True)
        return _Value(self.turn(name, np.argsort(numbers.out_spec).tolist()), shape)

    def _reduce_window_max(self, values, parameters, shape) -> _Value:
        before, behind = zip(*parameters["padding"][1:3])
        name = self.node(
            "MaxPool",
            [self.turned(values[0])],
            kernel_shape=list(parameters["window_dimensions"][1:3]),
            strides=list(parameters["window_strides"][1:3]),
            pads=[*before, *behind],
        )
        return _Value(name, shape, turned=True)

    def _slice(self, values, parameters, shape) -> _Value:
        (value,) = values
        starts, ends = parameters["start_indices"], parameters["limit_indices"]
        steps = parameters["strides"] or (1,) * len(starts)
        axes = _FROM_IMAGES if value.turned else range(len(starts))
        limits = [[each[axis] for axis in axes] for each in (starts, ends, steps)]
        starts, ends, steps = (self.store(np.array(each, np.int64)) for each in limits)
        every = self.store(np.arange(len(limits[0])))
        return _Value(
            self.node("Slice", [value.name, starts, ends, every, steps]), shape, value.turned
        )

    def _pad(self, values, parameters, shape) -> _Value:
        value, fill = values
        before, behind, inside = zip(*parameters["padding_config"])
        if any(inside) or isinstance(fill, _Value):
            raise UserError("ONNX export: a kind of padding that ONNX has not")
        if not any(before + behind):
            return value
        pads = self.store(np.array([*before, *behind], np.int64))
        return _Value(self.node("Pad", [self.plain(value), pads, self.store(fill)]), shape)

    def _transpose(self, values, parameters, shape) -> _Value:
        return _Value(self.turn(self.plain(values[0]), parameters["permutation"]), shape)

    def _reshape(self, values, parameters, shape) -> _Value:
        (value,) = values
        if value.shape == shape:
            return value
        wanted = self.store(np.array(shape, np.int64))
        return _Value(self.node("Reshape", [self.plain(value), wanted]), shape)

    _squeeze = _expand_dims = _reshape

    def _broadcast_in_dim(self, values, parameters, shape) -> _Value:
        (value,) = values
        around = [1] * len(shape)
        for axis, place in enumerate(parameters["broadcast_dimensions"]):
            around[place] = value.shape[axis]
        value = self._reshape([value], {}, tuple(around))
        if value.shape == shape:
            return value
        wanted = self.store(np.array(shape, np.int64))
        return _Value(self.node("Expand", [self.plain(value), wanted]), shape)


def _read(nodes: Sequence[onnx.NodeProto], outputs: Sequence[str]) -> list[onnx.NodeProto]:
    """The nodes that the outputs depend on."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if node.output[0] in wanted:
            wanted.update(node.input)
            kept.append(node)
    return kept[::-1]


def _narrow(array: np.ndarray) -> np.ndarray:
    """An array without the axes along which it repeats one value: ONNX broadcasts them."""
    for axis, length in enumerate(array.shape):
        first = array.take([0], axis)
        if length > 1 and (array == first).all():
            array = first
    return array
