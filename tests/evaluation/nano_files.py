"""Two small ONNX files with the interface of NanoTrack's, written without the package onnx.

OpenCV's `TrackerNano` puts crops of 127 and 255 px, (1, 3, H, W) float32, into the backbone, gives
its answers to the neckhead as `input1` and `input2`, and reads `output1` (1, 2, 16, 16), background
and target, and `output2` (1, 4, 16, 16), distances in px to the left, top, right and bottom edge.
These follow the cell whose colour is nearest to that of the template's centre.

Numbers of fields: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

import itertools
import struct
from pathlib import Path


def write(folder: Path, side: float = 25.0) -> dict[str, str]:
    """Writes backbone.onnx and neckhead.onnx, paths by OpenCV's names; boxes of 2 * side px."""
    pool = _node(
        "AveragePool", ["in"], ["out"], kernel_shape=[16, 16], strides=[16, 16], pads=[0, 0, 1, 1]
    )
    backbone = _model([pool], [], {"in": (1, 3, "h", "w")}, {"out": (1, 3, "i", "j")})
    centre = [
        0.25 if a == b and {row, column} <= {3, 4} else 0.0
        for a, b, row, column in itertools.product(range(3), range(3), range(8), range(8))
    ]
    nodes = [
        _node("Conv", ["input1", "centre"], ["colour"], kernel_shape=[8, 8]),
        _node("Sub", ["input2", "colour"], ["difference"]),
        _node("Abs", ["difference"], ["distance"]),
        _node("Conv", ["distance", "cls_w"], ["output1"], kernel_shape=[1, 1]),
        _node("Conv", ["distance", "loc_w", "loc_b"], ["output2"], kernel_shape=[1, 1]),
    ]
    tensors = [
        _tensor("centre", (3, 3, 8, 8), centre),
        _tensor("cls_w", (2, 3, 1, 1), [0.2] * 3 + [-0.2] * 3),
        _tensor("loc_w", (4, 3, 1, 1), [0.0] * 12),
        _tensor("loc_b", (4,), [side] * 4),
    ]
    inputs = {"input1": (1, 3, 8, 8), "input2": (1, 3, 16, 16)}
    outputs = {"output1": (1, 2, 16, 16), "output2": (1, 4, 16, 16)}
    files = {"backbone": backbone, "neckhead": _model(nodes, tensors, inputs, outputs)}
    for name, content in files.items():
        (folder / f"{name}.onnx").write_bytes(content)
    return {name: str(folder / f"{name}.onnx") for name in files}


def _model(nodes, tensors, inputs, outputs) -> bytes:
    graph = b"".join(_field(1, node) for node in nodes) + _field(2, "graph")
    graph += b"".join(_field(5, tensor) for tensor in tensors)
    graph += b"".join(_field(11, _value(*pair)) for pair in inputs.items())
    graph += b"".join(_field(12, _value(*pair)) for pair in outputs.items())
    return _field(1, 7) + _field(7, graph) + _field(8, _field(1, "") + _field(2, 11))


def _node(kind: str, inputs, outputs, **attributes) -> bytes:
    content = b"".join(_field(1, name) for name in inputs)
    content += b"".join(_field(2, name) for name in outputs) + _field(4, kind)
    for name, values in attributes.items():
        numbers = b"".join(_field(8, value) for value in values)
        content += _field(5, _field(1, name) + numbers + _field(20, 7))  # 7: a list of integers
    return content


def _tensor(name: str, shape, values) -> bytes:
    content = b"".join(_field(1, size) for size in shape) + _field(2, 1)  # 1: float32
    return content + _field(8, name) + _field(9, struct.pack(f"<{len(values)}f", *values))


def _value(name: str, shape) -> bytes:
    sizes = [_field(1 if isinstance(size, int) else 2, size) for size in shape]
    tensor = _field(1, 1) + _field(2, b"".join(_field(1, size) for size in sizes))
    return _field(1, name) + _field(2, _field(1, tensor))


def _field(number: int, value: int | str | bytes) -> bytes:
    """A field of a protocol buffer message: an integer, or a text or message with its length."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])
