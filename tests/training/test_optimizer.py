"""Parameter groups and updates."""

import jax
import numpy as np
import pytest

from siamjax import models
from siamjax.errors import UserError
from siamjax.training import optimizer, state


@pytest.fixture(scope="module")
def params():
    model = models.SiamRPN(
        backbone="resnet18", width=0.05, blocks=(1, 1, 1, 1), adjust_channels=(4,)
    )
    return models.init_variables(model, 0)["params"]


def groups(params, layers):
    labels = optimizer.label(params, layers)
    return state.named(labels)


def test_every_parameter_has_one_group(params):
    found = groups(params, ("layer2", "layer3", "layer4"))
    for name, group in found.items():
        if name.startswith(("neck/", "head/")):
            assert group == optimizer.REST
        elif name.split("/")[1] in ("layer2", "layer3", "layer4"):
            assert group == optimizer.BACKBONE
        else:
            assert name.split("/")[1] in ("conv1", "bn1", "layer1")
            assert group == optimizer.FROZEN
    assert set(found.values()) == {optimizer.REST, optimizer.BACKBONE, optimizer.FROZEN}
    assert optimizer.BACKBONE not in groups(params, ()).values()


def test_a_parameter_without_a_group_is_refused(params):
    with pytest.raises(ValueError, match="parameter tail/x matches 0"):
        optimizer.label({**params, "tail": {"x": np.zeros(1)}}, ())


def test_layers_that_do_not_exist(params):
    with pytest.raises(UserError, match="no 'layer5'; its parts are"):
        optimizer.label(params, ("layer2", "layer5"))


def test_phases(tiny):
    train = tiny(unfreeze_epoch=2, unfreeze_layers=("layer2",)).train
    assert optimizer.phase_of(train, 1) == ("frozen", (optimizer.REST,), ())
    full = ("full", (optimizer.REST, optimizer.BACKBONE), ("layer2",))
    assert optimizer.phase_of(train, 2) == full
    assert optimizer.phase_of(tiny(unfreeze_layers=()).train, 9).name == "frozen"
    for field in ("freeze_bn", "freeze_backbone_bn"):
        phase = optimizer.phase_of(tiny(**{field: True}).train, 1)
        assert phase.groups == ("rest", "backbone")
        assert phase.layers == ()


def test_updates_are_those_of_torch_sgd(tiny):
    train = tiny(momentum=0.9, weight_decay=0.01, backbone_lr=0.1).train
    params = {"a": np.float32([1, -2]), "b": np.float32([3.0]), "c": np.float32([4.0])}
    labels = {"a": optimizer.REST, "b": optimizer.BACKBONE, "c": optimizer.FROZEN}
    transform = optimizer.make(train, labels)
    state = transform.init(params)
    momentum = {name: np.zeros_like(p) for name, p in params.items()}
    rng = np.random.default_rng(0)
    for _ in range(3):
        grads = {name: rng.normal(size=p.shape).astype(np.float32) for name, p in params.items()}
        updates, state = transform.update(grads, state, params)
        for name, factor in (("a", 1.0), ("b", 0.1), ("c", 0.0)):
            momentum[name] = 0.9 * momentum[name] + grads[name] + 0.01 * params[name]
            np.testing.assert_allclose(updates[name], factor * momentum[name], rtol=1e-5)
        params = {name: p - 0.1 * np.asarray(updates[name]) for name, p in params.items()}
    assert sum(x.size for x in jax.tree.leaves(state)) == 3  # none for what never trains


def test_resting_groups_keep_their_momentum(tiny):
    params = {"a": np.float32([1.0]), "b": np.float32([3.0])}
    labels = {"a": optimizer.REST, "b": optimizer.BACKBONE}
    full = optimizer.make(tiny().train, labels)
    frozen = optimizer.make(tiny().train, labels, (optimizer.REST,))
    _, state = full.update(params, full.init(params), params)
    updates, after = frozen.update(params, state, params)
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert updates["b"] == 0
    assert updates["a"] != 0
    before = state.inner_states
    assert jax.tree.leaves(after.inner_states[optimizer.BACKBONE]) == jax.tree.leaves(
        before[optimizer.BACKBONE]
    )
    assert jax.tree.leaves(after.inner_states[optimizer.REST]) != jax.tree.leaves(
        before[optimizer.REST]
    )


def test_split_and_join(params):
    labels = optimizer.label(params, ("layer2",))
    chosen = optimizer.split(params, labels, (optimizer.REST,))
    assert len(jax.tree.leaves(chosen)) < len(jax.tree.leaves(params))
    joined = optimizer.join(chosen, params)
    jax.tree.map(np.testing.assert_array_equal, joined, params)
    zeros = optimizer.join(chosen, params, np.zeros_like)
    assert not any(x.any() for x in jax.tree.leaves(zeros["backbone"]))
