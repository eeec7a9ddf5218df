"""What a step does not do: no work for what is frozen."""

import re

import jax
import numpy as np
import pytest

from siamjax import models
from siamjax.training import optimizer, scaling, state, step

# Convolutions of the tiny network (ResNet-18, a block per layer, level 2, one head of two branches)
# on each crop: the stem, two in layer1, two and a projection in layer2, the adjust layer; a branch
# has one on the template's side and three on the search side. Each gradient is one more.
FORWARD = 2 * (1 + 2 + 3 + 1) + 2 * (1 + 3)
HEADS = 2 * 2 * (1 + 3)  # by kernel and by input
# by the kernel alone: the adjust layer where the backbone is frozen; where layer2 trains, its first
# convolution and its projection
FROZEN = FORWARD + HEADS + 2 * 1
TRAINING = FORWARD + HEADS + 2 * (2 + (1 + 2 + 1))


def traced(config, epoch):
    """The step of an epoch's phase, mapped over one device, and its arguments."""
    model = models.build(config)
    variables = models.init_variables(model, 0)
    labels = optimizer.label(variables["params"], config.train.unfreeze_layers)
    made = optimizer.make(config.train, labels), False, scaling.start(config.model)
    start = state.create(variables, *made)
    phase = optimizer.phase_of(config.train, epoch)
    one = step.make_step(config, model.clone(bn_axis_name="d"), labels, phase, 4, "d")
    batch = {
        "template": np.zeros((1, 2, 127, 127, 3), np.uint8),
        "search": np.zeros((1, 2, 255, 255, 3), np.uint8),
        "template_noise": np.zeros((1, 2, 3), np.float32),
        "search_noise": np.zeros((1, 2, 3), np.float32),
        "label": np.zeros((1, 2, 5, 25, 25), np.int8),
        "box": np.ones((1, 2, 4), np.float32),
    }
    mapped = jax.vmap(one, (None, 0), (None, 0), axis_name="d", axis_size=1)
    return jax.jit(mapped).trace(start, batch), start


def operations(program, name):
    text = program.lower(lowering_platforms=("tpu",)).as_text()
    return len(re.findall(rf"stablehlo\.{name}\b", text))


@pytest.mark.parametrize(
    "epoch, fields, expected",
    [
        (0, {}, FROZEN),
        (1, {}, TRAINING),
        pytest.param(1, {"remat": True}, TRAINING, marks=pytest.mark.slow),
        pytest.param(1, {"freeze_bn": True, "sync_bn": False}, TRAINING, marks=pytest.mark.slow),
    ],
)
def test_no_gradient_of_frozen_layers(tiny, epoch, fields, expected):
    """Neither by their kernels nor by their inputs, and what is frozen is not written anew."""
    program, start = traced(tiny(**fields), epoch)
    assert operations(program, "convolution") == expected
    if fields.get("remat"):
        return
    names = list(state.named(start))
    jaxpr = program.jaxpr.jaxpr
    inputs = dict(zip(jaxpr.invars, names))
    kept = {name for name, x in zip(names, jaxpr.outvars) if inputs.get(x) == name}
    trains = ("layer2",) if epoch else ()
    part = re.compile(r"(?:params|batch_stats)/backbone/([^/]+)/")
    frozen = {n for n in names if (m := part.match(n)) and m[1] not in trains}
    assert frozen <= kept
    if fields.get("freeze_bn"):
        frozen |= {name for name in names if name.startswith("batch_stats/")}
    assert {name for name in kept if "opt_state" not in name} == frozen
    assert any(name.startswith("opt_state") for name in kept) == (epoch == 0)


@pytest.mark.slow
def test_rematerialisation_of_what_trains_alone(tiny):
    """No normalisation of a frozen layer is computed again."""
    counts = [operations(traced(tiny(remat=remat), 0)[0], "rsqrt") for remat in (False, True)]
    # the adjust layer's of both crops, and in both branches those of kernel, search, hidden layer
    assert counts[1] - counts[0] == 2 + 2 * 3
