"""MobileNetV3-small: the published numbers, its blocks by hand, the dilated form, the import."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from siamjax.errors import UserError
from siamjax.models import SiamRPN, init_variables
from siamjax.models.conv import Numerics
from siamjax.models.import_nanotrack import backbone_from_nanotrack
from siamjax.models.import_torch import to_pysot
from siamjax.models.mobilenetv3 import InvertedResidual, MobileNetV3, SqueezeExcite


def narrow(**fields):
    return SiamRPN(backbone="mobilenetv3", width=0.25, adjust_channels=(8,), **fields)


def backbone_variables(variables):
    return {name: variables[name]["backbone"] for name in ("params", "batch_stats")}


@pytest.mark.reference
def test_published_features(reference):
    """NanoTrackV3's features of a search crop, at stride 16."""
    folder = reference / "data" / "weights"
    with np.load(folder / "nanotrackv3_backbone.npz") as file:
        tensors = dict(file)
    model = SiamRPN(backbone="mobilenetv3", levels=(9,), adjust_channels=(8,))
    variables = backbone_variables(backbone_from_nanotrack(model, tensors, "nano.npz"))
    with np.load(folder / "nanotrackv3_backbone_check.npz") as check:
        search, wanted = check["search"], check["search_features"].transpose(0, 2, 3, 1)
    found = MobileNetV3(levels=(9,), stride=16).apply(variables, jnp.asarray(search[None]))[9]
    assert np.abs(found - wanted).max() < 1e-5 * np.abs(wanted).max()


def test_squeeze_and_excite_by_hand():
    """x * hard sigmoid(excite(ReLU(squeeze(mean)))): with 16 channels, 8 between them."""
    layer = SqueezeExcite(Numerics())
    x = np.random.default_rng(0).uniform(-2, 2, (2, 3, 4, 16)).astype(np.float32)
    params = layer.init(jax.random.key(0), x)["params"]
    assert params["squeeze"]["kernel"].shape == (1, 1, 16, 8)
    squeeze, excite = (
        (np.asarray(params[name]["kernel"])[0, 0], np.asarray(params[name]["bias"]))
        for name in ("squeeze", "excite")
    )
    inner = np.maximum(x.mean((1, 2)) @ squeeze[0] + squeeze[1], 0)
    scale = np.clip(inner @ excite[0] + excite[1] + 3, 0, 6) / 6
    wanted = x * scale[:, None, None].astype(np.float32)
    np.testing.assert_allclose(layer.apply({"params": params}, x), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("hidden, squeezed", [(16, 8), (72, 24), (96, 24), (240, 64), (120, 32)])
def test_channels_of_the_squeeze(hidden, squeezed):
    """A quarter, to the nearest multiple of 8 unless that is less than 0.9 of it (18: 24)."""
    x = jnp.zeros((1, 1, 1, hidden))
    params = SqueezeExcite(Numerics()).init(jax.random.key(0), x)["params"]
    assert params["squeeze"]["bias"].shape == (squeezed,)


@pytest.mark.parametrize("stride, features, added", [(1, 8, 1), (2, 8, 0), (1, 4, 0)])
def test_a_block_adds_its_input_where_shapes_agree(stride, features, added):
    block = InvertedResidual(
        3, 16, features, True, jax.nn.relu, stride, dilation=1, padding=1, numerics=Numerics()
    )
    x = jnp.asarray(np.random.default_rng(0).standard_normal((1, 5, 5, 8)), jnp.float32)
    variables = block.init(jax.random.key(0), x)
    last = variables["params"]["project_bn"]
    last["scale"], last["bias"] = jnp.zeros(features), jnp.full(features, 2.0)
    y = block.apply(variables, x)
    np.testing.assert_allclose(y, x + 2 if added else np.full_like(y, 2.0), rtol=1e-6)


@pytest.mark.slow
def test_the_dilated_form_is_the_strided_one_between_its_cells():
    """Every second cell of stride 8 is a cell of stride 16: the same taps, the same numbers. The
    squeeze's means are over other cells, so the scales are made constant here."""
    model = narrow(levels=(9,))
    variables = backbone_variables(init_variables(model, 0))
    for i in (1, *range(4, 10)):
        excite = variables["params"][f"layer{i}"]["gate"]["excite"]
        excite["kernel"] = np.zeros_like(excite["kernel"])
    for path, leaf in jax.tree_util.tree_leaves_with_path(variables["params"]):
        if path[-1].key == "scale":
            leaf[:] = 2.5  # keeps the features' size from layer to layer
    image = np.random.default_rng(0).uniform(0, 255, (1, 511, 511, 3)).astype(np.float32)

    def features(stride, image):
        backbone = MobileNetV3(width=0.25, levels=(3, 9), stride=stride)
        return [np.asarray(a)[0] for a in backbone.apply(variables, jnp.asarray(image)).values()]

    # an unpadded layer's cell lies a cell of its input further than a padded one's: 1 + 2 + 4 px
    (near, dilated), (padded, strided) = features(8, image), features(16, image[:, 7:, 7:])
    assert near.shape == padded.shape == (63, 63, 6)
    assert (dilated.shape, strided.shape) == ((63, 63, 24), (32, 32, 24))
    # what lies beyond the image reaches 2 cells at level 3, 22 more at level 9
    np.testing.assert_allclose(padded[2:-2, 2:-2], near[2:-2, 2:-2], atol=1e-4)
    np.testing.assert_allclose(strided[12:19, 12:19], dilated[24:38:2, 24:38:2], atol=1e-4)
    assert np.abs(strided[12:19, 12:19]).max() > 0.1
    assert np.abs(strided[:2] - dilated[:3:2, ::2]).max() > 1e-3


def test_import_of_the_whole_tracker_and_of_its_backbone():
    """Names with and without prefixes; matrices of channel means become 1x1 convolutions."""
    model = narrow(levels=(3, 6))
    variables = init_variables(model, 3)
    names = to_pysot(model, variables)
    backbone = {name: a for name, a in names.items() if name.startswith("backbone.features.")}
    assert "backbone.features.4.conv.5.fc.2.weight" in backbone
    assert "backbone.features.1.conv.3.fc.0.bias" in backbone
    tensors = {n: a[:, :, 0, 0] if ".fc." in n and a.ndim == 4 else a for n, a in backbone.items()}
    tensors |= {"backbone.features.9.conv.0.weight": np.zeros(1), "ban_head.x": np.zeros(1)}
    for prefix, cut in (("", ""), ("module.", ""), ("", "backbone.")):
        given = {prefix + name.removeprefix(cut): array for name, array in tensors.items()}
        part = backbone_from_nanotrack(model, given, "nano.pth")
        jax.tree.map(
            np.testing.assert_array_equal, backbone_variables(part), backbone_variables(variables)
        )
    del given["features.4.conv.5.fc.2.weight"]
    with pytest.raises(UserError, match=r"1 missing tensors: .*features\.4\.conv\.5\.fc\.2"):
        backbone_from_nanotrack(model, given, "nano.pth")
    with pytest.raises(UserError, match="backbone=mobilenetv3 alone"):
        backbone_from_nanotrack(model.clone(backbone="alexnet", levels=(5,)), given, "nano.pth")
