"""Losses and targets against values worked out by hand, and against the reference's labels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from siamjax.data.targets import BOX_ALONE
from siamjax.geometry.anchors import Anchors
from siamjax.training import losses

A, S = 2, 3


@pytest.fixture
def maps():
    """Random cls (B, S, S, 2A), loc (B, S, S, 4A), label, delta and weight of four pairs."""
    rng = np.random.default_rng(0)
    cls = rng.normal(size=(4, S, S, 2 * A)).astype(np.float32)
    loc = rng.normal(size=(4, S, S, 4 * A)).astype(np.float32)
    label = rng.integers(-1, 2, (4, A, S, S)).astype(np.int8)
    delta = rng.normal(size=(4, A, S, S, 4)).astype(np.float32)
    weight = rng.uniform(size=(4, A, S, S)).astype(np.float32)
    return cls, loc, label, delta, weight


def slow_loss(cls, loc, label, delta, weight):
    positive, negative, offsets = [], [], 0.0
    for b, a, y, x in np.ndindex(label.shape):
        background, target = cls[b, y, x, a], cls[b, y, x, A + a]
        total = np.logaddexp(background, target)
        if label[b, a, y, x] == 1:
            positive.append(total - target)
        if label[b, a, y, x] == 0:
            negative.append(total - background)
        for k in range(4):
            error = abs(loc[b, y, x, k * A + a] - delta[b, a, y, x, k])
            offsets += error * weight[b, a, y, x]
    return 0.5 * np.mean(positive) + 0.5 * np.mean(negative), offsets / len(label)


def test_losses_by_hand(maps):
    np.testing.assert_allclose(losses.rpn_loss(*maps), slow_loss(*maps), rtol=1e-5)


def test_parts_sum_to_the_whole(maps):
    counts = losses.count(maps[2])
    parts = [losses.rpn_loss(*(m[i : i + 1] for m in maps), counts) for i in range(4)]
    np.testing.assert_allclose(np.sum(parts, 0), losses.rpn_loss(*maps), rtol=1e-5)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_sides_with_few_elements(maps, number):
    cls, loc, label, delta, weight = maps
    label = np.full_like(label, -1)
    label[0, 0, 0, :number] = 1
    clean, _ = losses.rpn_loss(cls, loc, label, delta, weight)
    quirk, _ = losses.rpn_loss(cls, loc, label, delta, weight, minimum=2)
    p = jax.nn.softmax(cls.reshape(4, S, S, 2, A), 3)[0, 0, :number, 1, 0]
    expected = -0.5 * np.mean(np.log(p)) if number else 0.0
    np.testing.assert_allclose(clean, expected, rtol=1e-5)
    np.testing.assert_allclose(quirk, expected if number > 1 else 0.0, rtol=1e-5)


def test_gradient_is_finite_without_labels(maps):
    cls, loc, label, delta, weight = maps
    grads = jax.grad(
        lambda c, l: sum(losses.rpn_loss(c, l, np.full_like(label, -1), delta, 0 * weight)), (0, 1)
    )(cls, loc)
    assert all(np.array_equal(g, np.zeros_like(g)) for g in grads)


def test_targets_by_hand():
    anchors = Anchors(stride=8, ratios=(1.0,), scales=(8,))
    label = np.zeros((2, 1, 3, 3), np.int8)
    label[0, 0, 1, 2] = label[0, 0, 0, 0] = 1
    box = np.float32([[130, 120, 32, 64], [0, 0, 0, 0]])
    batch = {"label": label, "box": box}
    _, delta, weight = losses.targets_from_batch(anchors, batch, search=255)
    # The middle anchor is centred at 255 // 2; rows and columns are 8 px apart; sides are 64 px.
    np.testing.assert_allclose(
        delta[0, 0, 1, 2], [(130 - 135) / 64, (120 - 127) / 64, np.log(0.5), 0]
    )
    np.testing.assert_allclose(
        delta[0, 0, 0, 0], [(130 - 119) / 64, (120 - 119) / 64, np.log(0.5), 0]
    )
    np.testing.assert_allclose(weight[0, 0, [1, 0], [2, 0]], 0.5, rtol=1e-5)
    assert float(weight.sum()) == pytest.approx(1, rel=1e-5)
    assert np.isfinite(delta).all()
    assert not np.asarray(delta[1]).any()
    _, of_default, _ = losses.targets_from_batch(anchors, batch)
    np.testing.assert_array_equal(of_default, delta)


def test_an_anchor_that_learns_the_box_alone(maps):
    """Its class takes no part; its offsets have the weight of a positive's."""
    cls, loc, *_ = maps
    box = np.tile(np.float32([130, 120, 32, 64]), (4, 1))
    labels = {value: np.full((4, A, S, S), -1, np.int8) for value in (1, BOX_ALONE)}
    for value, label in labels.items():
        label[:, 0, 1, 2], label[:, 1, 0, 1] = 1, value
    anchors = Anchors(stride=8, ratios=(0.5, 1.0))

    def both(value, cls, loc):
        targets = losses.targets_from_batch(anchors, {"label": labels[value], "box": box})
        return losses.rpn_loss(cls, loc, *targets)

    np.testing.assert_array_equal(both(BOX_ALONE, cls, loc)[1], both(1, cls, loc)[1])
    of_cls = jax.grad(lambda cls: sum(both(BOX_ALONE, cls, loc)))(cls)
    assert of_cls[:, 1, 2, [0, A]].all()
    assert not of_cls[:, 0, 1, [1, A + 1]].any()


@pytest.mark.reference
@pytest.mark.parametrize("config", ["siamrpn_r50_l234_dwxcorr", "siamrpn_alex_dwxcorr"])
def test_targets_of_the_reference(reference, config):
    data = np.load(reference / "conformance" / config / "train_batch.npz")
    x1, y1, x2, y2 = data["bbox"].T
    box = np.stack([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], -1).astype(np.float32)
    batch = {"label": data["label_cls"].astype(np.int8), "box": box}
    label, delta, weight = losses.targets_from_batch(Anchors(), batch)
    np.testing.assert_allclose(weight, data["label_loc_weight"], atol=1e-6)
    positive = label == 1
    assert positive.sum() > 0
    expected = np.moveaxis(data["label_loc"], 1, -1)
    np.testing.assert_allclose(delta[positive], expected[positive], atol=1e-5)
    cls = jnp.zeros((*label.shape[:1], *label.shape[2:], 2 * label.shape[1]))
    loc = jnp.zeros((*cls.shape[:3], 2 * cls.shape[3]))
    cls_loss, loc_loss = losses.rpn_loss(cls, loc, label, delta, weight)
    assert float(cls_loss) == pytest.approx(np.log(2), rel=1e-5)
    summed = np.abs(data["label_loc"]).sum(1) * data["label_loc_weight"]
    assert float(loc_loss) == pytest.approx(summed.sum() / 2, rel=1e-4)
