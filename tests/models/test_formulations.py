"""A program made on one platform holds each platform's own formulation of the network."""

import re

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

from siamjax.errors import UserError
from siamjax.models.convolutions import dilated_on_gpu, lax_conv
from siamjax.models.folding import fold
from siamjax.models.formulations import PRODUCT, conv2d
from siamjax.models.initialise import shapes


def program(model, *platforms):
    """StableHLO of template and search side, lowered here for other platforms."""
    z, x = (jax.ShapeDtypeStruct((1, n, n, 3), jnp.float32) for n in (127, 255))
    step = jax.jit(lambda variables, z, x: model.apply(variables, z, x))
    return jax.export.export(step, platforms=platforms)(shapes(model), z, x).mlir_module()


def group_counts(text):
    """Of the convolutions: how many have one group, how many more."""
    groups = [int(n) for n in re.findall(r"feature_group_count = (\d+)", text)]
    return groups.count(1), len(groups) - groups.count(1)


@pytest.fixture(scope="module")
def exported(small_network):
    """{(family, platform): StableHLO}."""
    models = {
        "resnet18": small_network("resnet18", width=1.0, blocks=(1, 1, 1, 1), levels=(2,)),
        "mobilenetv2": small_network("mobilenetv2", levels=(3,)),
    }
    return {
        (family, platform): program(model, platform)
        for family, model in models.items()
        for platform in ("cpu", "cuda", "tpu")
    }


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_accelerators_get_plain_convolutions(exported, platform):
    text = exported["resnet18", platform]
    plain, grouped = group_counts(text)
    # both crops: stem, 2 in layer1, 2 and the projection in layer2; adjust layer; in each branch
    # kernel or search, and on the search side two more
    assert (plain, grouped) == (2 * (1 + 2 + 3 + 1) + 2 * (1 + 1 + 2), 0)
    assert "stablehlo.dot_general" not in text


def test_products_in_place_of_1x1_convolutions(small_network):
    """As a choice, on accelerators too: each crop's adjust layer, two 1x1 layers in each branch."""
    fields = {"width": 1.0, "blocks": (1, 1, 1, 1), "levels": (2,), "formulation": "products"}
    text = program(small_network("resnet18", **fields), "cuda")
    assert group_counts(text) == (2 * (1 + 2 + 3) + 2 * (1 + 1), 0)
    assert len(re.findall("stablehlo.dot_general", text)) == 2 * 1 + 2 * 2


def test_cpus_get_their_own(exported):
    text = exported["resnet18", "cpu"]
    plain, _ = group_counts(text)
    # the stem and what is narrower than 64 channels: the heads' 3x3
    assert plain == 2 * 1 + 2 * 2
    # Winograd's 16 products per wide 3x3 of stride 1, one per 1x1 and 3x3 of stride 2
    assert len(re.findall("stablehlo.dot_general", text)) == 2 * (3 * 16 + 2 + 1) + 2 * 2
    assert "stablehlo.reduce_window" not in text


def test_depthwise_layers(exported):
    grouped = {name: group_counts(exported["mobilenetv2", name])[1] for name in ("cpu", "cuda")}
    assert grouped == {"cpu": 0, "cuda": 0}
    # each crop: one per block of layer1 to layer3
    assert group_counts(exported["mobilenetv2", "tpu"])[1] == 2 * (1 + 2 + 3)
    for platform in ("cuda", "tpu"):
        assert "stablehlo.dot_general" not in exported["mobilenetv2", platform]


def test_one_program_for_all_platforms_holds_them_all(small_network):
    text = program(small_network("mobilenetv2", levels=(3,)), "cpu", "cuda", "tpu")
    assert group_counts(text)[1] > 0  # the TPU's
    assert "stablehlo.dot_general" in text  # the CPU's
    assert "stablehlo.case" in text


def test_plain_is_one_formulation_and_the_same_function(family, small, random_variables, crops):
    model = small(family)
    variables = random_variables(model)
    plain = model.clone(formulation="plain")
    text = str(jax.make_jaxpr(plain.apply)(variables, *crops()))
    assert "platform_index" not in text
    assert "dot_general" not in text
    assert "platform_index" in str(jax.make_jaxpr(model.apply)(variables, *crops()))
    network, folded = fold(plain, variables)
    assert network.formulation == "plain"
    wanted = jax.jit(model.apply)(variables, *crops(search=191))
    for ours, theirs in zip(jax.jit(network.apply)(folded, *crops(search=191)), wanted):
        np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max())


def test_unknown_formulation(small):
    with pytest.raises(UserError, match="did you mean plain"):
        shapes(small("alexnet", formulation="plane"))


@pytest.mark.parametrize("platform", ["cpu", "cuda"])
def test_rematerialisation_computes_no_convolution_again(platform, small):
    model = small("resnet18", width=1.0, blocks=(1, 1, 1, 1), levels=(2,))
    variables = shapes(model)
    stats = jax.tree.map(lambda leaf: jnp.ones(leaf.shape), variables["batch_stats"])
    z, x = (jnp.zeros((1, n, n, 3)) for n in (127, 135))

    def products(policy):
        def forward(params):
            return model.apply({"params": params, "batch_stats": stats}, z, x)

        def loss(params):
            cls, loc = jax.checkpoint(forward, policy=policy)(params)
            return jnp.sum(cls) + jnp.sum(loc)

        step = jax.export.export(jax.jit(jax.value_and_grad(loss)), platforms=(platform,))
        text = step(variables["params"]).mlir_module()
        return len(re.findall(r"stablehlo\.(?:convolution|dot_general)", text))

    policies = jax.checkpoint_policies
    everything = products(policies.everything_saveable)
    assert products(policies.save_only_these_names(PRODUCT)) == everything
    assert products(policies.nothing_saveable) > everything


@pytest.mark.parametrize("side, dilation", [(31, 2), (31, 4), (15, 2), (15, 4)])
@pytest.mark.parametrize("padded", [True, False])
def test_gradient_of_dilated_convolutions(side, dilation, padded):
    """By phases it is the automatic one, of an odd batch, too."""
    rng = np.random.default_rng(side + dilation)
    padding = dilation if padded else 0
    x = jnp.asarray(rng.standard_normal((3, side, side + 1, 5)), jnp.float32)
    kernel = jnp.asarray(rng.standard_normal((3, 3, 5, 4)), jnp.float32)

    def gradients(convolve):
        y, pullback = jax.vjp(convolve, x, kernel)
        upstream = np.random.default_rng(0).standard_normal(y.shape)
        return y, *pullback(jnp.asarray(upstream, jnp.float32))

    found = gradients(lambda x, kernel: dilated_on_gpu(x, kernel, padding, dilation))
    wanted = gradients(lambda x, kernel: lax_conv(x, kernel, 1, padding, dilation))
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("channels", [8, 64])
@pytest.mark.parametrize("dilation", [2, 4])
def test_gpus_take_no_window_as_large_as_an_image(dtype, channels, dilation):
    """Lowered for CUDA the gradient by a dilated kernel is that of a plain convolution."""
    x = jax.ShapeDtypeStruct((3, 31, 31, channels), dtype)
    kernel = jax.ShapeDtypeStruct((3, 3, channels, channels), dtype)

    def loss(kernel, x):
        return conv2d(x, kernel, 1, dilation, dilation).sum()

    def windows(platform):
        text = jax.export.export(jax.jit(jax.grad(loss)), platforms=[platform])(kernel, x)
        form = r"dim_numbers = \[.*?\]x\[(.*?)\]->.* : \(tensor<\S+>, tensor<([\dx]+)x\w+>\)"
        for axes, sizes in re.findall(form, text.mlir_module()):
            sides = dict(zip(axes.split(", "), map(int, sizes.split("x")), strict=True))
            yield sides["0"], sides["1"]

    assert (31, 31) in windows("tpu")
    padded = -(-(31 + 2 * dilation) // dilation)
    assert set(windows("cuda")) == {(padded - 2, padded - 2)}
