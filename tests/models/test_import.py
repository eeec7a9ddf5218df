"""Weights of other programs: names, layouts, folds and refusals."""

import sys
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from siamjax.errors import UserError
from siamjax.models import SiamRPN, init_variables, torch_files
from siamjax.models.import_imagenet import (
    MEAN,
    STD,
    backbone_from_mobilenetv2,
    backbone_from_torchvision,
)
from siamjax.models.import_torch import backbone_from_pysot, from_pysot, pysot_names, to_pysot
from siamjax.models.mobilenetv2 import LAYERS


def test_there_and_back(family, small, random_variables):
    model = small(family)
    variables = random_variables(model)
    tensors = to_pysot(model, variables)
    again, metadata = from_pysot(model, tensors, "a.pth")
    jax.tree.map(np.testing.assert_array_equal, again, variables)
    assert all(count == 0 for count in metadata["num_batches_tracked"].values())
    kernel = variables["params"]["head"][f"level{model.levels[0]}"]["cls"]["search"]["conv"]
    name = next(name for name in tensors if name.endswith("cls.conv_search.0.weight"))
    np.testing.assert_array_equal(tensors[name][1, 2], kernel["kernel"][:, :, 2, 1])


def test_state_dicts_of_torch(tmp_path, monkeypatch):
    """With a stand-in for torch, which the default tests do not need."""
    path = tmp_path / "a.pth"
    content, asked = {}, []

    def load(path, **how):
        asked.append(how)
        return content["all"]

    stand_in = SimpleNamespace(load=load, is_tensor=lambda value: isinstance(value, Tensor))
    monkeypatch.setitem(sys.modules, "torch", stand_in)
    with pytest.raises(UserError, match="no such file"):
        torch_files.read(path)
    path.touch()
    tensors = {"a.weight": Tensor([1.0, 2.0])}
    for content["all"] in (tensors, {"state_dict": tensors, "epoch": 3}):
        (read,) = torch_files.read(path).items()
        assert read[0] == "a.weight"
        np.testing.assert_array_equal(read[1], [1, 2])
    assert all(how["weights_only"] for how in asked)
    for content["all"] in ({}, [tensors], {"state_dict": {}}, {"state_dict": [1]}):
        with pytest.raises(UserError, match="holds no state dict"):
            torch_files.read(path)
    content["all"] = tensors | {"epoch": 3}
    with pytest.raises(UserError, match="epoch are no tensors"):
        torch_files.read(path)


class Tensor(list):
    def numpy(self):
        return np.array(self)


def test_counters_and_prefixes(small):
    model = small("resnet18")
    tensors = to_pysot(model, init_variables(model, 0))
    tensors["neck.downsample2.downsample.1.num_batches_tracked"] = np.array(7)
    prefixed = {f"module.{name}": array for name, array in tensors.items()}
    variables, metadata = from_pysot(model, prefixed, "a.pth")
    again = to_pysot(model, variables, metadata)
    assert list(again) == list(tensors)
    for name, array in again.items():
        assert array.shape == np.shape(tensors[name])
        np.testing.assert_array_equal(array, tensors[name])
    old = {n: a for n, a in tensors.items() if not n.endswith("num_batches_tracked")}
    variables, metadata = from_pysot(model, old, "old.pth")
    assert list(to_pysot(model, variables, metadata)) == list(old)


def test_alexnets_two_forms(small):
    model = small("alexnet")
    variables = init_variables(model, 0)
    published = to_pysot(model, variables)
    assert "backbone.features.11.bias" in published
    training = to_pysot(model, variables, {"training_form": True})
    assert "backbone.layer4.0.bias" in training
    assert len(training) == len(published)
    np.testing.assert_array_equal(
        training["backbone.layer5.1.running_var"], published["backbone.features.15.running_var"]
    )
    again, metadata = from_pysot(model, training, "a.pth")
    jax.tree.map(np.testing.assert_array_equal, again, variables)
    assert list(to_pysot(model, again, metadata)) == list(training)


def test_pysots_names_of_alexnets_layers(small):
    """The places of the five convolutions among the layers of its `features`, counted by hand:
    convolution, normalisation, pooling, ReLU twice; then convolution, normalisation, ReLU."""
    model = small("alexnet")
    names = to_pysot(model, init_variables(model, 0))
    kernels = [n for n in names if n.startswith("backbone.features.") and names[n].ndim == 4]
    assert kernels == [f"backbone.features.{i}.weight" for i in (0, 4, 8, 11, 14)]
    sides = [names[name].shape[-1] for name in kernels]
    assert sides == [11, 5, 3, 3, 3]


def test_mobilenetv2_of_rgb_takes_raw_bgr():
    """The stem of made arrays, by hand: weight * (rgb - 128) / 128 + bias is what it computes."""
    rng = np.random.default_rng(0)
    shapes = {"conv0": (32, 3, 3, 3), "block0.dw": (32, 1, 3, 3), "block0.project": (16, 32, 1, 1)}
    expected = [f"block{i}.{part}" for i in range(1, 17) for part in ("expand", "dw", "project")]
    shapes |= dict.fromkeys(expected, (1, 1, 1, 1))  # of layers that this network lacks
    arrays = {f"{name}.w": rng.standard_normal(shape) for name, shape in shapes.items()}
    arrays |= {f"{name}.b": rng.standard_normal(shape[0]) for name, shape in shapes.items()}
    model = SiamRPN(backbone="mobilenetv2", width=1.0, levels=(1,), adjust_channels=(8,))
    part = backbone_from_mobilenetv2(model, arrays, "mobile.npz")
    params, stats = part["params"]["backbone"], part["batch_stats"]["backbone"]

    bgr = rng.uniform(0, 255, (3, 3, 3))  # rows, columns, channels: one position of the stem
    rgb = np.moveaxis(bgr[..., ::-1], -1, 0)
    wanted = (arrays["conv0.w"] * ((rgb - 128) / 128)).sum((1, 2, 3)) + arrays["conv0.b"]
    stem = params["layer0"]
    product = (stem["conv"]["kernel"] * bgr[..., None]).sum((0, 1, 2))
    deviation = np.sqrt(stats["layer0"]["bn"]["var"] + 1e-5)
    found = (product - stats["layer0"]["bn"]["mean"]) / deviation * stem["bn"]["scale"]
    np.testing.assert_allclose(found + stem["bn"]["bias"], wanted, rtol=1e-4, atol=1e-4)

    block = params["layer1"]["block0"]
    np.testing.assert_array_equal(block["expand_conv"]["kernel"][0, 0], np.eye(32))
    np.testing.assert_array_equal(block["expand_bn"]["bias"], np.zeros(32))
    bias = arrays["block0.project.b"].astype(np.float32)
    np.testing.assert_array_equal(block["project_bn"]["bias"], bias)


def test_nothing_is_dropped_in_silence(small):
    model = small("alexnet")
    tensors = to_pysot(model, init_variables(model, 0))
    name = "rpn_head.cls.head.3.bias"
    with pytest.raises(UserError, match=f"a.pth: 1 missing tensors: {name}"):
        from_pysot(model, {n: a for n, a in tensors.items() if n != name}, "a.pth")
    with pytest.raises(UserError, match=r"1 unknown tensors: mask_head\.x"):
        from_pysot(model, tensors | {"mask_head.x": np.zeros(3)}, "a.pth")
    with pytest.raises(
        UserError, match=r"1 wrongly shaped tensors: params/head/level5/cls/out/bias"
    ):
        from_pysot(model, tensors | {name: np.zeros(3)}, "a.pth")
    with pytest.raises(UserError, match=r"1 unknown tensors: backbone\.layer9"):
        from_pysot(model, tensors | {"backbone.layer9.bn.num_batches_tracked": 1}, "a.pth")


@pytest.mark.parametrize(
    "changes, count",
    [
        (dict(), 458),
        (dict(weighted=False), 456),
        (dict(adjust_channels=(128, 256, 512)), 458),
        (dict(backbone="mobilenetv2", width=1.4, levels=(3, 5, 7), weighted=False), 450),
        (dict(backbone="alexnet", levels=(5,), adjust_channels=()), 75),
    ],
)
def test_tensor_counts(changes, count):
    assert len(pysot_names(SiamRPN(**changes))) == count


def torchvision_backbone(small, level):
    """Random tensors in torchvision's form, with 1x1 projections, and the network they are for."""
    model = small("resnet50", levels=(level,))
    arrays = to_pysot(model, init_variables(model, 5))
    names = [name for name in arrays if "backbone" in name]
    tensors = {name.removeprefix("backbone."): arrays[name] for name in names}
    for name, array in tensors.items():
        if "downsample.0" in name:
            tensors[name] = array[:, :, :1, :1]
    rng = np.random.default_rng(0)
    tensors["bn1.running_mean"] = rng.standard_normal(4).astype(np.float32)
    tensors["fc.weight"] = np.zeros((10, 4))
    tensors["layer4.0.conv1.weight"] = np.zeros((4, 4, 1, 1))
    return model, tensors


def test_torchvisions_normalisation_is_folded_exactly(small):
    model, tensors = torchvision_backbone(small, 0)
    part = backbone_from_torchvision(model, tensors, "resnet.pth")
    variables = init_variables(model, 0)
    for collection in part:
        variables[collection]["backbone"] = part[collection]["backbone"]
    bgr = np.random.default_rng(1).uniform(0, 255, (1, 65, 65, 3)).astype(np.float32)
    ours = model.apply(variables, bgr, method="features")[0]

    rgb = (bgr[..., ::-1] / 255 - MEAN) / STD
    kernel = tensors["conv1.weight"].transpose(2, 3, 1, 0)
    with jax.enable_x64(True):
        y = jax.lax.conv_general_dilated(
            jnp.float64(rgb),
            jnp.float64(kernel),
            (2, 2),
            "VALID",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        y = (np.asarray(y) - tensors["bn1.running_mean"]) / np.sqrt(
            tensors["bn1.running_var"] + 1e-5
        )
        wanted = np.maximum(y, 0)
    np.testing.assert_allclose(ours, wanted, atol=1e-5 * wanted.max())


def test_torchvisions_projections_become_centre_taps(small):
    model, tensors = torchvision_backbone(small, 3)
    params = backbone_from_torchvision(model, tensors, "resnet.pth")["params"]["backbone"]
    assert params["layer1"]["block0"]["shortcut_conv"]["kernel"].shape[:2] == (1, 1)
    for layer in ("layer2", "layer3"):
        kernel = params[layer]["block0"]["shortcut_conv"]["kernel"]
        single = tensors[f"{layer}.0.downsample.0.weight"][:, :, 0, 0].T
        np.testing.assert_array_equal(kernel[1, 1], single)
        assert np.count_nonzero(kernel) == np.count_nonzero(single)


def test_backbones_that_do_not_fit(small):
    model, tensors = torchvision_backbone(small, 3)
    with pytest.raises(UserError, match="a ResNet does not fit"):
        backbone_from_torchvision(small("alexnet"), tensors, "resnet.pth")
    with pytest.raises(UserError, match=r"fits --config\.model\.backbone=mobilenetv2"):
        backbone_from_mobilenetv2(small("mobilenetv2"), {}, "mobile.npz")
    wide = SiamRPN(backbone="mobilenetv2", levels=(3,))
    with pytest.raises(UserError, match=r"mobile\.npz: \d+ missing tensors: block0\.dw\.b"):
        backbone_from_mobilenetv2(wide, {"conv0.w": np.zeros(1)}, "mobile.npz")
    with pytest.raises(UserError, match="wrongly shaped"):
        backbone_from_pysot(model, tensors, "resnet50.model")


@pytest.mark.reference
def test_network_mobilenetv2_equals_the_imagenet_one_away_from_the_border(reference):
    """Level 3 against a plain implementation with TensorFlow's padding."""
    path = reference / "data" / "weights" / "mobilenetv2_imagenet.npz"
    with np.load(path) as file:
        arrays = dict(file)
    model = SiamRPN(backbone="mobilenetv2", width=1.0, levels=(3,), adjust_channels=(8,))
    variables = init_variables(model, 0)
    part = backbone_from_mobilenetv2(model, arrays, path)
    for collection in part:
        variables[collection]["backbone"] = part[collection]["backbone"]
    bgr = np.random.default_rng(0).uniform(0, 255, (1, 16, 16, 3)).repeat(16, 1).repeat(16, 2)
    bgr = bgr.astype(np.float32)
    ours = np.asarray(model.apply(variables, bgr, method="features")[0])[0]
    wanted = np.asarray(same_padded_mobilenetv2(arrays, bgr[..., ::-1], layers=3))[0]
    # 256 px: 32 cells with SAME padding; the unpadded layers lose the last
    assert (ours.shape[:2], wanted.shape[:2]) == ((31, 31), (32, 32))
    error = np.abs(ours - wanted[:31, :31]).max(-1) / np.abs(wanted).max()
    far = error > 1e-4
    rim = max(min(i, j, 30 - i, 30 - j) for i, j in zip(*np.nonzero(far)))
    inside = error[rim + 1 : 30 - rim, rim + 1 : 30 - rim].max()
    print(f"\nMobileNetV2 level 3: {far.mean():.1%} of the cells, {rim + 1} from the border,")
    print(f"feel the padding, by {error.max():.1%} of the largest value; inside: {inside:.1e}")
    assert rim <= 3
    assert error.max() > 1e-3


def same_padded_mobilenetv2(arrays, rgb, layers):
    """The ImageNet network's first layers, by XLA's convolution with SAME padding."""

    def conv(x, name, stride=1, groups=1, relu=True):
        kernel = arrays[f"{name}.w"].transpose(2, 3, 1, 0)
        y = jax.lax.conv_general_dilated(
            x,
            kernel,
            (stride, stride),
            "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=groups,
        )
        y = y + arrays[f"{name}.b"][None, None, None]
        return jnp.clip(y, 0, 6) if relu else y

    x = conv((rgb - 128) / 128, "conv0", 2)
    index = 0
    for expansion, _, blocks, stride, _ in LAYERS[:layers]:
        for block in range(blocks):
            name, y = f"block{index}", x
            if expansion > 1:
                y = conv(y, f"{name}.expand")
            y = conv(y, f"{name}.dw", stride if block == 0 else 1, groups=y.shape[-1])
            y = conv(y, f"{name}.project", relu=False)
            x = x + y if block else y
            index += 1
    return x
