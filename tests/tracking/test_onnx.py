"""The two halves of the network as ONNX: written here, run by onnxruntime beside JAX."""

import json
import os
import sys
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from siamjax import cli, models
from siamjax.errors import UserError
from siamjax.models import weights

pytest.importorskip("onnx", reason="onnx is not installed")
ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from siamjax.integrations import jaxpr_onnx, onnx  # noqa: E402


def changed(tiny, **fields):
    """The tiny network with another head, or another backbone of few channels, untrained."""
    config = tiny.config.copy_and_resolve_references()
    config.model.update(fields)
    return config, models.init_variables(models.build(config), seed=0)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        pytest.param({"correlation": "cross"}, marks=pytest.mark.slow),
        pytest.param({"correlation": "upchannel"}, marks=pytest.mark.slow),
        pytest.param({"backbone": "mobilenetv2", "blocks": ()}, marks=pytest.mark.slow),
        pytest.param(
            {"backbone": "mobilenetv3", "width": 0.5, "blocks": ()}, marks=pytest.mark.slow
        ),
        pytest.param({"backbone": "resnet50", "weighted": False}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_both_halves_give_the_networks_numbers(fields, tmp_path, tiny):
    """The module runs and compares them, and refuses what differs; here their form is checked."""
    config, variables = changed(tiny, **fields) if fields else tiny
    differences = onnx.export(tmp_path / "halves", config, variables)
    assert max(differences.values()) < 1e-5
    assert {"search cls", "search loc", "template kernel0"} <= differences.keys()
    names = {"search.onnx", "template.onnx", "tracker.json"}
    assert set(os.listdir(tmp_path / "halves")) == names
    session = ort.InferenceSession(tmp_path / "halves" / "search.onnx")
    assert session.get_inputs()[0].shape == [1, 255, 255, 3]
    assert [output.shape for output in session.get_outputs()] == [[1, 25, 25, 10], [1, 25, 25, 20]]
    constants = json.loads((tmp_path / "halves" / "tracker.json").read_text())
    assert constants["penalty_k"] == config.tracker.penalty_k
    assert constants["shapes"][2] == [64, 64]


@pytest.mark.slow
def test_a_long_term_tracker_has_a_third(tmp_path, tiny):
    config = tiny.config.copy_and_resolve_references()
    config.tracker.update(long_term=True, lost_instance=383)
    weights.save(tmp_path / "long.npz", config, tiny.variables)
    cli.dispatch(["export", f"--checkpoint={tmp_path / 'long.npz'}", f"--onnx={tmp_path / 'out'}"])
    session = ort.InferenceSession(tmp_path / "out" / "search_lost.onnx")
    assert session.get_outputs()[0].shape == [1, 41, 41, 10]


def test_what_differs_is_not_written(tmp_path, tiny, monkeypatch):
    monkeypatch.setattr(onnx, "_compare", lambda *_: {"cls": 2e-4})
    model = SimpleNamespace(SerializeToString=lambda: b"model")
    monkeypatch.setattr(jaxpr_onnx, "graph", lambda *_: model)
    with pytest.raises(UserError, match=r"differs from JAX by 2.0e-04; nothing written"):
        onnx.export(tmp_path / "halves", *tiny)
    assert os.listdir(tmp_path) == []


def run(function, *arrays):
    """A function's ONNX graph on arrays, and the function itself."""
    inputs = {f"x{i}": array.shape for i, array in enumerate(arrays)}
    model = jaxpr_onnx.graph(function, inputs, ["y"], "test")
    session = ort.InferenceSession(model.SerializeToString())
    (found,) = session.run(None, dict(zip(inputs, arrays)))
    (expected,) = function(*arrays)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    return [node.op_type for node in model.graph.node]


IMAGE = np.random.default_rng(0).normal(size=(1, 7, 9, 4)).astype(np.float32)
KERNEL = np.random.default_rng(1).normal(size=(3, 3, 4, 5)).astype(np.float32)


def convolved(x, kernel=KERNEL, groups=1):
    return jax.lax.conv_general_dilated(
        *(x, kernel, (2, 1), ((1, 0), (2, 2))),
        rhs_dilation=(1, 2),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


def pooled(x):
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "VALID")


def square(x):
    """A convolution that keeps the channels."""
    return convolved(x, KERNEL[..., :4])


TURNED = "Transpose"
OPERATIONS = {
    "convolution": (convolved, [TURNED, "Conv", TURNED, "Identity"]),
    "relu6": (
        lambda x: jax.nn.relu6(square(jax.nn.relu(square(x)))),
        [TURNED, "Conv", "Relu", "Conv", "Clip", TURNED, "Identity"],
    ),
    "gate": (lambda x: x.mean((1, 2), keepdims=True) * square(x), None),
    "padding": (lambda x: jnp.pad(x, ((0, 0), (1, 2), (0, 0), (0, 1)))[:, ::2], None),
    "softmax": (lambda x: jax.nn.softmax(x.reshape(7, -1)).T.reshape(9, 4, 7), None),
    "limits": (lambda x: jnp.maximum(x, 0.5) - jnp.minimum(square(x)[:, :1, :1], 0.2), None),
    "constants": (
        lambda x: x + jnp.arange(4.0)[None, None, None] * jnp.ones((1, 7, 9, 4)),
        ["Add", "Identity"],
    ),
    "pooling": (lambda x: pooled(square(x)), [TURNED, "Conv", "MaxPool", TURNED, "Identity"]),
    "part": (lambda x: square(square(x)[:, :, 1:4]), None),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_single_operations(name):
    function, operators = OPERATIONS[name]
    found = run(lambda x: [function(x)], IMAGE)
    assert operators is None or found == operators


def test_kernels_that_come_with_the_image():
    kernel = np.random.default_rng(2).normal(size=(3, 3, 1, 4)).astype(np.float32)
    assert "Conv" in run(lambda x, k: [convolved(x, k, groups=4)], IMAGE, kernel)


def test_what_is_not_known_is_named():
    with pytest.raises(UserError, match=r"no operator for JAX's sin in this network"):
        run(lambda x: [jnp.sin(x)], IMAGE)


def test_without_the_packages(tmp_path, monkeypatch):
    """Before: ONNX export wanted an environment of its own, with jax2onnx."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "siamjax.integrations.onnx")
    monkeypatch.delattr("siamjax.integrations.onnx")
    with pytest.raises(UserError, match=r"is not installed; ONNX needs it: .*\[onnx\]'"):
        cli.dispatch(["export", f"--onnx={tmp_path / 'out'}"])
    assert os.listdir(tmp_path) == []
