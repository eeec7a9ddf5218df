"""The networks against the reference's numbers, stage by stage."""

import importlib.util

import jax
import numpy as np
import pytest

from siamjax.models import SiamRPN
from siamjax.models.import_torch import from_pysot, to_pysot

pytestmark = pytest.mark.reference

NETWORKS = {
    "siamrpn_r50_l234_dwxcorr": SiamRPN(),
    "siamrpn_alex_dwxcorr": SiamRPN(backbone="alexnet", levels=(5,), adjust_channels=()),
}
RELATIVE = 1e-4  # of the features, to the array's largest value
ABSOLUTE = 1e-4  # of the logits


def load_tensors(reference, name):
    spec = importlib.util.spec_from_file_location(
        "weights", reference / "conformance" / "weights.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.state_dict(reference / "conformance" / name)


@pytest.fixture(scope="module", params=NETWORKS)
def stages(request, reference):
    """Per stage: name, ours, the reference's; one program for the whole network."""
    name = request.param
    model = NETWORKS[name]
    variables, _ = from_pysot(model, load_tensors(reference, name), name)
    init = np.load(reference / "conformance" / name / "init.npz")
    step = np.load(reference / "conformance" / name / "step001.npz")
    z, x = (_nhwc(array) for array in (init["z_crop"], step["x_crop"]))

    @jax.jit
    def run(variables, z, x):
        bound = model.bind(variables)
        zf, xf = bound.template(z), bound.search(x)
        kernels = bound.kernels(zf)
        return {
            "z_backbone": bound.features(z),
            "x_backbone": bound.features(x),
            "z_neck": zf,
            "x_neck": xf,
            "maps": bound.maps(kernels, xf),
            "fused": bound.correlate(kernels, xf),
            "call": bound(z, x),
        }

    return name, model, init, step, jax.device_get(run(variables, z, x))


def test_network_stages(stages):
    name, model, init, step, ours = stages
    rows = []
    for i in range(len(model.level_indices())):
        for crop, arrays in (("z", init), ("x", step)):
            key = f"{crop}_backbone_p{i + 2}"
            rows.append((key, ours[f"{crop}_backbone"][i], arrays[key], True))
            key = f"{crop}_neck_{i + 2}"
            if key in arrays:
                rows.append((key, ours[f"{crop}_neck"][i], arrays[key], True))
        prefix = f"head/rpn{i + 2}." if model.adjust_channels else "head/"
        for j, branch in enumerate(("cls", "loc")):
            rows.append((prefix + branch, ours["maps"][i][j], step[prefix + branch], False))
    for j, branch in enumerate(("cls", "loc")):
        rows.append((branch, ours["fused"][j], step[branch], False))
        rows.append((f"{branch} (float64)", ours["call"][j], step[f"{branch}_f64"], False))

    print(f"\n{name}\n{'stage':<18}{'shape':<20}{'worst error':>12}{'allowed':>12}")
    failures = []
    for key, array, wanted, relative in rows:
        wanted = _nhwc(wanted)
        assert array.shape == wanted.shape, key
        allowed = RELATIVE * np.abs(wanted).max() if relative else ABSOLUTE
        error = np.abs(array - wanted).max()
        print(f"{key:<18}{array.shape!s:<20}{error:>12.2e}{allowed:>12.2e}")
        if not error <= allowed:
            failures.append(key)
    assert not failures


def test_network_call_is_the_staged_path(stages):
    _, _, _, _, ours = stages
    for staged, whole in zip(ours["fused"], ours["call"]):
        np.testing.assert_array_equal(staged, whole)


@pytest.mark.parametrize("name", NETWORKS)
def test_network_weights_there_and_back(name, reference):
    model, tensors = NETWORKS[name], load_tensors(reference, name)
    again = to_pysot(model, *from_pysot(model, tensors, name))
    assert list(again) == list(tensors)
    for key, array in tensors.items():
        assert again[key].dtype == array.dtype
        assert np.array_equal(again[key], array), key


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_network_in_bfloat16(name, reference):
    """Three real pairs: the tracked one and those of the training batch."""
    folder = reference / "conformance" / name
    model = NETWORKS[name]
    variables, _ = from_pysot(model, load_tensors(reference, name), name)
    batch, step = np.load(folder / "train_batch.npz"), np.load(folder / "step001.npz")
    z = [_nhwc(np.load(folder / "init.npz")["z_crop"]), *_nhwc(batch["template"])[:, None]]
    x = [_nhwc(step["x_crop"]), *_nhwc(batch["search"])[:, None]]
    exact, half = (jax.jit(model.clone(dtype=d).apply) for d in ("float32", "bfloat16"))
    print()
    for i, pair in enumerate(zip(z, x)):
        wanted, found = exact(variables, *pair), half(variables, *pair)
        for branch, ours, theirs in zip(("cls", "loc"), found, wanted):
            error = np.abs(ours - theirs).max() / np.abs(theirs).max()
            print(f"{name}, bfloat16, pair {i}, {branch}: {error:.2%} of the largest value")
            assert ours.dtype == np.float32
            assert error < 0.03


def _nhwc(array):
    return array.transpose(0, 2, 3, 1)
