"""The whole network: its methods, its training switches, bad input."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from siamjax.errors import UserError
from siamjax.geometry.anchors import score_map_size
from siamjax.models import SiamRPN, build, init_variables
from siamjax.models.folding import fold
from siamjax.models.initialise import shapes


def paths(tree):
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {"/".join(key.key for key in path): leaf for path, leaf in leaves}


def test_shapes(family, small):
    model = small(family, anchors_per_cell=3)
    z, x = (jax.ShapeDtypeStruct((2, n, n, 3), jnp.uint8) for n in (127, 255))
    variables = shapes(model)

    def apply(*args, method):
        return jax.eval_shape(lambda v, *a: model.apply(v, *a, method=method), variables, *args)

    zf, xf = apply(z, method="template"), apply(x, method="search")
    side, cells, size = (6, 22, 17) if family == "alexnet" else (7, 31, 25)
    assert len(zf) == len(xf) == len(model.levels)
    assert all(level.shape[:3] == (2, side, side) for level in zf)
    assert all(level.shape[:3] == (2, cells, cells) for level in xf)
    kernels = apply(zf, method="kernels")
    for cls, loc in (apply(kernels, xf, method="correlate"), apply(z, x, method="__call__")):
        assert cls.shape == (2, size, size, 6)
        assert loc.shape == (2, size, size, 12)
        assert cls.dtype == loc.dtype == jnp.float32


@pytest.mark.parametrize(
    "stride, dilated, kept, cells, size, dilations",
    [
        # the specification: 15 and 31 cells, the middle 7 of the template's, 25 scores a side
        (8, True, 7, (15, 31), 25, {1, 2, 4}),
        (8, False, 7, (15, 31), 25, {1}),
        (8, True, 15, (15, 31), 17, {1, 2, 4}),
        # an unpadded 3x3 at stride 2 makes 7 of 15 and 15 of 31 cells, 3 of 7 and 7 of 15
        (16, True, 7, (7, 15), 9, {1, 2}),
        (16, False, 7, (7, 15), 9, {1}),
        (32, True, 3, (3, 7), 5, {1}),
    ],
)
def test_strides_and_dilations(stride, dilated, kept, cells, size, dilations, small):
    fields = {"levels": (4,), "stride": stride, "dilated": dilated, "template_cells": kept}
    for family in ("resnet18", "resnet50"):
        model = small(family, **fields, formulation="plain", blocks=(1, 1, 2, 2))
        z, x = (jax.ShapeDtypeStruct((1, n, n, 3), jnp.uint8) for n in (127, 255))
        variables = shapes(model)
        features = functools.partial(model.apply, method="features")
        sides = [jax.eval_shape(features, variables, i)[0].shape[1] for i in (z, x)]
        assert tuple(sides) == cells
        cls, loc = jax.eval_shape(model.apply, variables, z, x)
        assert cls.shape == (1, size, size, 10)
        assert loc.shape == (1, size, size, 20)
        assert score_map_size(255, 127, stride, 8 if (stride, kept) == (8, 7) else 0) == size
        text = str(jax.make_jaxpr(model.apply)(variables, z, x))
        assert set(map(int, re.findall(r"rhs_dilation=\((\d),", text))) == dilations


def test_the_anchors_have_the_networks_stride():
    from configs import base

    config = base.get_config()
    config.model.stride = 16
    with pytest.raises(UserError, match=r"model\.stride=16: .*anchors\.stride=8; set both"):
        build(config)
    config.anchors.stride = 16
    assert build(config).stride == 16


def test_fusion_is_a_softmax_of_the_weights(small, random_variables, crops):
    model = small("resnet18")
    variables = random_variables(model)
    z, x = crops(search=191)
    plain = small("resnet18", weighted=False)
    head = {k: v for k, v in variables["params"]["head"].items() if not k.endswith("_weight")}
    unweighted = {**variables, "params": {**variables["params"], "head": head}}

    @jax.jit
    def run(z, x):
        bound = model.bind(variables)
        kernels, xf = bound.kernels(bound.template(z)), bound.search(x)
        mean = plain.apply(unweighted, kernels, xf, method="correlate")
        return bound.maps(kernels, xf), bound.correlate(kernels, xf), mean

    levels, fused, mean = run(z, x)
    for i, branch in enumerate(("cls", "loc")):
        share = np.exp(variables["params"]["head"][f"{branch}_weight"])
        share /= share.sum()
        wanted = share[0] * levels[0][i] + share[1] * levels[1][i]
        np.testing.assert_allclose(fused[i], wanted, atol=1e-6 * np.abs(wanted).max())
        wanted = (levels[0][i] + levels[1][i]) / 2
        np.testing.assert_allclose(mean[i], wanted, atol=1e-6 * np.abs(wanted).max())
        assert np.abs(fused[i] - mean[i]).max() > 1e-2 * np.abs(wanted).max()


def test_training_moves_the_statistics_of_the_named_parts_only(small, random_variables, crops):
    model = small("alexnet")
    variables = random_variables(model)
    z, x = crops(2, search=191)

    def changed(train_backbone):
        @jax.jit
        def run(variables):
            return model.apply(
                variables, z, x, True, train_backbone=train_backbone, mutable=["batch_stats"]
            )[1]

        new = run(variables)
        before, after = paths(variables["batch_stats"]), paths(new["batch_stats"])
        names = {name for name in before if not np.array_equal(before[name], after[name])}
        return {"/".join(name.split("/")[:2]) for name in names}, names, before

    parts, names, before = changed(())
    assert not any(part.startswith("backbone") for part in parts)
    assert names == {name for name in before if not name.startswith("backbone")}
    parts, names, _ = changed(("layer4",))
    assert {part for part in parts if part.startswith("backbone")} == {"backbone/layer4"}


def test_template_statistics_move_before_the_searchs(small, random_variables, crops):
    model = small("alexnet", levels=(1,))
    variables = random_variables(model)
    z, x = crops(2, search=159)

    @jax.jit
    def both(variables):
        return model.apply(
            variables, z, x, True, train_backbone=("layer1",), mutable=["batch_stats"]
        )[1]

    @jax.jit
    def one_after_the_other(variables):
        for image, method in ((z, "template"), (x, "search")):
            _, stats = model.apply(
                variables, image, True, ("layer1",), method=method, mutable=["batch_stats"]
            )
            variables = {**variables, **stats}
        return variables

    found, wanted = (
        run(variables)["batch_stats"]["backbone"]["layer1"]["bn"]["mean"]
        for run in (both, one_after_the_other)
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_unused_levels_are_not_built(small):
    full = set(shapes(small("resnet50"))["params"]["backbone"])
    short = set(shapes(small("resnet50", levels=(2,)))["params"]["backbone"])
    assert full - short == {"layer3", "layer4"}
    assert shapes(small("resnet50", levels=("layer3",)))["params"]["head"].keys() == {"level3"}


@pytest.mark.parametrize("correlation", ["depthwise", "upchannel", "cross"])
def test_bfloat16_computes_close_to_float32_on_float32_parameters(
    correlation, small, random_variables, crops
):
    model = small("alexnet", correlation=correlation)
    variables = random_variables(model)
    half = model.clone(dtype="bfloat16")
    z, x = crops(search=191)
    for ours, wanted in zip(*(jax.jit(net.apply)(variables, z, x) for net in (half, model))):
        assert ours.dtype == jnp.float32
        assert np.abs(ours - wanted).max() < 0.05 * np.abs(wanted).max()
    assert {str(leaf.dtype) for leaf in jax.tree.leaves(shapes(half))} == {"float32"}
    zf, (_, new) = jax.eval_shape(
        lambda v: (
            half.apply(v, z, method="template"),
            half.apply(v, z, x, True, mutable=["batch_stats"]),
        ),
        variables,
    )
    assert {str(level.dtype) for level in zf} == {"bfloat16"}
    assert {str(leaf.dtype) for leaf in jax.tree.leaves(new)} <= {"float32"}


def test_first_layers_have_a_type_of_their_own(small, random_variables, crops):
    """Up to layer2 of a ResNet; on float32 parameters, near float32's maps."""
    both = {"dtype": "bfloat16", "early_dtype": "float16"}
    model = small("resnet18", levels=(2, 3), **both)
    x = jnp.zeros((1, 127, 127, 3))
    levels = jax.eval_shape(lambda v: model.apply(v, x, method="features"), shapes(model))
    assert [str(level.dtype) for level in levels] == ["float16", "bfloat16"]
    assert {str(leaf.dtype) for leaf in jax.tree.leaves(shapes(model))} == {"float32"}
    plain = small("alexnet")
    variables, (z, x) = random_variables(plain), crops(search=191)
    wanted, ours = (
        jax.jit(net.apply)(variables, z, x) for net in (plain, plain.clone(early_dtype="float16"))
    )
    for theirs, our in zip(wanted, ours):
        assert our.dtype == jnp.float32
        assert 0 < np.abs(our - theirs).max() < 0.01 * np.abs(theirs).max()


@pytest.mark.parametrize(
    "family, fields",
    [
        ("resnet50", {"levels": (2,)}),
        ("resnet18", {"levels": (2,)}),
        ("mobilenetv2", {"levels": (3,)}),
        ("alexnet", {"levels": (5,)}),
        ("alexnet", {"correlation": "cross"}),
        ("mobilenetv3", {"levels": (4,)}),
    ],
)
def test_folding_keeps_the_function(family, fields, small, random_variables, crops):
    model = small(family, **fields)
    variables = random_variables(model)
    folded, folded_variables = fold(model, variables)
    assert not any("/bn" in f"/{name}" for name in paths(folded_variables))
    assert paths(shapes(folded)).keys() == paths(folded_variables).keys()
    z, x = crops(search=191)
    results = jax.jit(folded.apply)(folded_variables, z, x), jax.jit(model.apply)(variables, z, x)
    for ours, wanted in zip(*results):
        np.testing.assert_allclose(ours, wanted, atol=2e-4 * np.abs(wanted).max())


def test_folded_networks_do_not_train(small, random_variables, crops):
    folded, variables = fold(*(lambda m: (m, random_variables(m)))(small("alexnet")))
    with pytest.raises(UserError, match="folded"):
        folded.apply(variables, *crops(), True, mutable=["batch_stats"])


def test_initial_values_follow_the_rules():
    model = SiamRPN(levels=(2,))
    variables = init_variables(model, 3)
    params = paths(variables["params"])
    kernel = params["backbone/layer2/block0/shortcut_conv/kernel"]
    assert kernel.dtype == np.float32
    np.testing.assert_allclose(kernel.std(), np.sqrt(2 / (9 * 512)), rtol=0.01)
    kernel = params["head/level2/cls/search/conv/kernel"]
    bound = 1 / np.sqrt(9 * 256)
    assert 0.99 * bound < np.abs(kernel).max() <= bound
    assert 0 < np.abs(params["head/level2/cls/out/bias"]).max() <= 1 / 16
    stats = paths(variables["batch_stats"])
    assert all(np.all(leaf == name.endswith("var")) for name, leaf in stats.items())
    again = paths(init_variables(model, 3)["params"])
    other = paths(init_variables(model, 4)["params"])
    assert np.array_equal(kernel, again["head/level2/cls/search/conv/kernel"])
    assert not np.array_equal(kernel, other["head/level2/cls/search/conv/kernel"])


@pytest.mark.parametrize("backbone", [pytest.param("resnet18", marks=pytest.mark.slow), "alexnet"])
def test_flax_draws_from_the_same_distributions(backbone, small, crops):
    model = small(backbone, width=0.25)
    ours = paths(init_variables(model, 0))
    found = paths(jax.jit(model.init)(jax.random.key(0), *crops(search=191)))
    assert found.keys() == ours.keys()
    for name, array in found.items():
        wanted = ours[name]
        assert (array.shape, array.dtype) == (wanted.shape, wanted.dtype), name
        if np.ptp(wanted) == 0:
            np.testing.assert_array_equal(array, wanted, name)
        elif wanted.size > 500:
            spread = wanted.std()
            assert abs(array.mean()) < 5 * spread / np.sqrt(wanted.size), name
            # of a fourth moment up to the normal distribution's
            for order in (2, 4):
                moments = [np.mean((a / spread) ** order) for a in (array, wanted)]
                assert abs(moments[0] / moments[1] - 1) < 15 * order / np.sqrt(wanted.size), name
        else:
            assert 0 < np.abs(array).max() < 2 * np.abs(wanted).max(), name


@pytest.mark.parametrize(
    "field, value, hint",
    [
        ("backbone", "resnet51", "did you mean resnet50"),
        ("correlation", "depth", "did you mean depthwise"),
        ("correlation", "q", "choose from depthwise, upchannel"),  # nothing is like it
        ("dtype", "float64", "bfloat16"),
        ("early_dtype", "half", "choose from float32, bfloat16, float16"),
        ("formulation", "product", "did you mean products"),
        ("levels", (2, 7), "7 given, resnet18 has 0"),
        ("levels", ("layer5",), "'layer5' given"),
        ("levels", (4, 2), "rising order"),
        ("levels", (), "no level"),
        ("adjust_channels", (8, 8, 8), "one per level"),
        ("blocks", (1, 1), "layer1..layer4"),
        ("stride", 4, "choose from 8, 16, 32"),
    ],
)
def test_fields_that_make_no_network(field, value, hint, small):
    with pytest.raises(UserError, match=hint) as caught:
        shapes(small("resnet18", **{field: value}))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"model.{field}=")


@pytest.mark.parametrize(
    "image, hint",
    [
        (np.zeros((1, 127, 127, 1), np.uint8), "grey"),
        (np.zeros((1, 127, 127), np.uint8), "grey"),
        (np.zeros((1, 3, 127, 127), np.uint8), "NHWC"),
        (np.zeros((127, 127, 3), np.uint8), "batch axis"),
        (np.zeros((1, 127, 127, 3), np.int64), "int64"),
        (np.zeros((1, 60, 60, 3), np.uint8), "too small"),
    ],
)
def test_images_of_the_wrong_kind(image, hint, small):
    model = small("resnet18")
    with pytest.raises(UserError, match=hint) as caught:
        jax.eval_shape(lambda v: model.apply(v, image, method="template"), shapes(model))
    assert "\n" not in str(caught.value)


def test_the_smallest_template(small):
    """63 px give seven cells, all of which are kept."""
    model, z = small("resnet18"), np.zeros((1, 63, 63, 3), np.uint8)
    levels = jax.eval_shape(lambda v: model.apply(v, z, method="template"), shapes(model))
    assert [level.shape[1:3] for level in levels] == [(7, 7)] * 2


def test_template_larger_than_search(small, crops):
    model = small("resnet18")
    z, x = crops(search=191)
    with pytest.raises(UserError, match=r"larger than the search crop.*\(z, x\)"):
        jax.eval_shape(lambda v: model.apply(v, x, z), shapes(model))
    with pytest.raises(UserError, match="larger than the search"):
        jax.eval_shape(
            lambda v: model.apply(
                v,
                model.apply(v, model.apply(v, x, method="search"), method="kernels"),
                model.apply(v, z, method="template"),
                method="correlate",
            ),
            shapes(model),
        )


def test_a_width_that_leaves_no_channels(small, family):
    """Before: ZeroDivisionError: float division by zero."""
    with pytest.raises(UserError, match=r"^backbone/\w+(/\w+)*: no channels .* model\.width or"):
        init_variables(small(family, width=0.01), 0)


def test_levels_of_different_strides_are_not_fused(small):
    with pytest.raises(UserError, match=r"levels=\(1, 2\).*\[25, 57\].*one stride"):
        shapes(small("resnet18", levels=(1, 2)))


def test_build_takes_the_anchors_from_the_config():
    from configs import base

    config = base.get_config()
    config.anchors.scales = (4, 8)
    assert build(config).anchors_per_cell == 10


def test_a_built_network_is_hashable():
    from configs import base

    config = base.get_config()
    config.model.levels = [2, 3]
    model = build(config)
    assert model.levels == (2, 3)
    assert hash(model) == hash(build(config))
