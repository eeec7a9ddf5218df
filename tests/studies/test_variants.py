"""What each study varies: networks that fit their anchors, counts, shapes, figures by hand."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from siamjax import models
from siamjax.config import load_config
from siamjax.errors import UserError
from siamjax.geometry.anchors import score_map_size
from siamjax.models.initialise import shapes
from siamjax.studies import STUDIES, constants, correlation, driver, layers, session
from siamjax.studies.runs import Run, Setting, resolve
from siamjax.training import optimizer

NAMES = list(session.trained())
FLAGS = {
    name: {flag[2:]: default for flag, (default, _) in flags.items()}
    for name, (_, _, flags) in STUDIES.items()
}


def setting(name, tmp_path, full=False, overrides=(), **flags):
    config = load_config(session.trained()[name].CONFIG, overrides)
    benchmarks = session.scores.benchmarks("synthetic", None, 1)
    return Setting(tmp_path, config, {}, benchmarks, FLAGS[name] | flags, full)


def variants(name, tmp_path, **more):
    return session.trained()[name].variants(setting(name, tmp_path, **more))


@pytest.mark.parametrize("name", NAMES)
def test_a_study_is_small_and_says_what_it_asks(name, tmp_path):
    study, found = session.trained()[name], variants(name, tmp_path)
    assert 1 <= len(found) <= driver.MOST_VARIANTS
    assert len({variant.name for variant in found}) == len(found)
    assert 1 <= sum(variant.main for variant in found) <= 2
    assert study.QUESTION.endswith("?")
    assert study.SOURCE
    assert len(variants(name, tmp_path, full=True)) >= len(found)


def distinct(tmp_path):
    """Studies' networks, each once."""
    found = {}
    for name in NAMES:
        base = setting(name, tmp_path)
        for variant in session.trained()[name].variants(base):
            config = resolve(base, variant, 0)
            found.setdefault(str((config.model, config.anchors, config.crops)), config)
    return list(found.values())


@pytest.mark.slow
def test_every_network_fits_its_anchors_and_trains(tmp_path):
    for config in distinct(tmp_path):
        model = models.build(config)
        tree = shapes(model)
        optimizer.label(tree["params"], config.train.unfreeze_layers)
        crops, anchors = config.crops, config.anchors
        sides = crops.exemplar, crops.search
        z, x = (jax.ShapeDtypeStruct((1, side, side, 3), jnp.uint8) for side in sides)
        cls, _ = jax.eval_shape(model.apply, tree, z, x)
        size = score_map_size(*sides[::-1], anchors.stride, config.tracker.base_size)
        assert cls.shape[1] == size, config.name


def test_equal_networks_are_shared(tmp_path):
    """Of four studies one run: the narrow network as it is."""
    keys = {}
    for name in ("layers", "correlation", "channels", "constants"):
        base = setting(name, tmp_path)
        first = session.trained()[name].variants(base)[0]
        keys[name] = Run.of(base, first, 0).key
    assert len(set(keys.values())) == 1


def test_layers_by_name(tmp_path):
    names = [variant.name for variant in variants("layers", tmp_path)]
    assert names == ["(3, 4, 5)", "(4, 5)", "(3)", "(4)", "(5)", "(4, 5) mean", "(3, 4, 5) mean"]
    every = [variant.name for variant in variants("layers", tmp_path, full=True)]
    assert len(every) == 7 + 4
    lone = ["--config.model.backbone=alexnet"]
    with pytest.raises(UserError, match="layers 3, 4, 5 are a ResNet's, not alexnet's"):
        variants("layers", tmp_path, overrides=lone)


def test_parameters_of_heads_equal_the_references():
    """The specification: up-channel 18,882,980, depthwise 2,501,150, a ratio of 7.55."""
    counts = {}
    for head in correlation.HEADS:
        config = load_config("alexnet", [f"--config.model.correlation={head}"])
        counts[head] = correlation.parameters(config)
    assert counts["upchannel"] == 18_882_980
    assert counts["depthwise"] == 2_501_150
    assert counts["upchannel"] / counts["depthwise"] == pytest.approx(7.55, abs=0.005)


def test_full_width_is_the_bundled_experiments(tmp_path):
    weights = ["--config.model.width=1.0", "--config.train.init_from=w/{backbone}.npz"]
    found = variants("backbone", tmp_path, overrides=weights)
    fields = {variant.name: variant.fields for variant in found}
    assert fields["mobilenetv2, trained"]["model.width"] == 1.4
    assert fields["mobilenetv2, trained"]["train.init_from"] == "w/mobilenetv2.npz"
    assert fields["alexnet, frozen"]["train.unfreeze_layers"] == ()
    with pytest.raises(UserError, match="need trained weights"):
        variants("backbone", tmp_path, overrides=weights[:1])


def test_transfer_of_constants_by_hand():
    """Two penalties, two windows, one rate; the best of `a` is in the corner, of `b` opposite."""
    a = np.array([[[0.1], [0.2]], [[0.3], [0.5]]])
    b = np.array([[[0.4], [0.3]], [[0.2], [0.1]]])
    rows = constants.figures({"a": a, "b": b}, (1, 0, 0))
    assert rows["a"] == pytest.approx(
        {"best": 0.5, "carried": 0.1, "configured": 0.3}
        | {"penalty_k": 0.3, "window_influence": 0.2, "lr": 0}
    )
    assert rows["b"] == pytest.approx(
        {"best": 0.4, "carried": 0.1, "configured": 0.2}
        | {"penalty_k": 0.2, "window_influence": 0.1, "lr": 0}
    )


def test_constants_need_two_sets(tmp_path):
    one = session.scores.benchmarks("synthetic", None, 1)
    base = setting("constants", tmp_path)
    assert [b.name for b in constants.sets_of(base)] == ["synthetic", "synthetic zoom"]
    assert len(constants.PUBLISHED.settings()) == 504
    with pytest.raises(UserError, match="--grid=large: choose one of small, published"):
        variants("constants", tmp_path, grid="large")
    other = replace(one[0], dataset=replace(one[0].dataset, name="other"))
    with pytest.raises(UserError, match=r"--dataset=other: .*name two"):
        constants.sets_of(replace(base, benchmarks=(other,)))


def test_weights_over_the_training(tmp_path):
    base = setting("layers", tmp_path)
    run = Run.of(base, layers.variants(base)[0], 0)
    run.folder.mkdir(parents=True)
    lines = '{"step": 5, "loss": 1.0, "grad_norm": 2.0, "fusion/cls_2": 0.4}\n'
    lines += '{"step": 9, "scores": {}}\n'
    (run.folder / "metrics.jsonl").write_text(lines)
    assert layers.history(run) == [{"step": 5, "fusion/cls_2": 0.4}]
    wanted = {"loss": 1.0, "loss_spread": 0.0, "gradient_spread": 0.0}
    assert correlation.stability(run) == wanted
