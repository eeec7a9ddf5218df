"""The step's arithmetic with a network of three layers; `vmap` stands in for the devices."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from siamjax.config import to_json
from siamjax.geometry.anchors import Anchors
from siamjax.models.norm import BatchNorm
from siamjax.training import losses, optimizer, scaling, state, step

A, S, B = 5, 3, 8
PROGRAMS = {}  # compiled steps by config, phase and devices
PER_EPOCH = 2


class Backbone(nn.Module):
    axis: str | None

    @nn.compact
    def __call__(self, x, train_parts):
        x = nn.relu(nn.Dense(4, name="layer1")(x[:, 4::8, 4::8] / 255))
        # a bias before a normalisation would have no gradient but rounding
        x = nn.Dense(4, use_bias=False, name="layer2")(x)
        return BatchNorm(axis_name=self.axis, name="bn")(x, "layer2" in train_parts)


class Network(nn.Module):
    """Template and search features, pooled and added; maps of 3 x 3 cells."""

    bn_axis_name: str | None = None

    def setup(self):
        self.features = Backbone(self.bn_axis_name, name="backbone")
        self.maps = nn.Dense(6 * A, name="head")
        self.norm = BatchNorm(axis_name=self.bn_axis_name, name="neck")

    def __call__(self, z, x, train=False, train_backbone=()):
        z = self.features(z, train_backbone).mean((1, 2), keepdims=True)
        x = self.norm(self.features(x, train_backbone), train)
        maps = self.maps(x + z)
        return maps[..., : 2 * A], maps[..., 2 * A :]


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    return {
        "template": rng.integers(0, 256, (B, 16, 16, 3), np.uint8),
        "search": rng.integers(0, 256, (B, 24, 24, 3), np.uint8),
        "template_noise": rng.normal(size=(B, 3)).astype(np.float32),
        "search_noise": rng.normal(size=(B, 3)).astype(np.float32),
        "label": rng.integers(-1, 2, (B, A, S, S)).astype(np.int8),
        "box": np.float32([12, 12, 60, 50]) + rng.uniform(0, 9, (B, 4)).astype(np.float32),
    }


def run(config, batches, devices=1, start=0, momentum=None, scale=None):
    """State and metrics after the batches; each split over so many devices. `scale`: of the loss,
    at the start."""
    network = Network(bn_axis_name="devices" if config.train.sync_bn else None)
    z, x = (jnp.zeros((1, n, n, 3)) for n in (16, 24))
    variables = jax.tree.map(np.asarray, Network().init(jax.random.key(0), z, x))
    labels = optimizer.label(variables["params"], config.train.unfreeze_layers)
    transform, scaled = optimizer.make(config.train, labels), scaling.start(config.model)
    now = state.create(variables, transform, config.train.ema > 0, scaled)
    now = now.replace(step=jnp.int32(start))
    if scale is not None:
        now.loss_scale["scale"] = jnp.float32(scale)
    if momentum is not None:
        now = now.replace(opt_state=jax.tree.map(lambda m: m + momentum, now.opt_state))
    history = []
    for each in batches:
        phase = optimizer.phase_of(config.train, int(now.step) // PER_EPOCH)
        key = (to_json(config), phase, devices)
        if key not in PROGRAMS:
            one = step.make_step(config, network, labels, phase, PER_EPOCH, "devices")
            mapped = jax.vmap(one, (None, 0), (None, 0), axis_name="devices", axis_size=devices)
            quick = {"xla_backend_optimization_level": 0}  # to compile
            PROGRAMS[key] = jax.jit(mapped, compiler_options=quick)
        split = jax.tree.map(lambda x: x.reshape(devices, -1, *x.shape[1:]), each)
        now, metrics = PROGRAMS[key](now, split)
        history.append(jax.tree.map(lambda x: x[0], metrics))
    return now, history


def assert_close(a, b, rtol=1e-5):
    def close(x, y):
        np.testing.assert_allclose(x, y, rtol=rtol, atol=1e-6)

    jax.tree.map(close, a, b)


def differ(a, b, by=1e-4):
    return any(np.abs(x - y).max() > by for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b)))


@pytest.fixture(scope="module")
def config(tiny):
    def make(**fields):
        fields = {"unfreeze_epoch": 0, "warmup_epochs": 0, "lr_start": 0.1, "lr_end": 0.1} | fields
        return tiny(crops__search=24, **fields)

    return make


def test_devices_equal_one(config, batch):
    one = run(config(), [batch] * 4)
    four = run(config(), [batch] * 4, devices=4)
    assert_close(one, four)
    separate, _ = run(config(sync_bn=False), [batch] * 4, devices=4)
    assert differ(one[0].params, separate.params)


def test_how_wrong_pairs_are_is_in_the_batch_s_order(config, batch):
    """However the batch is split; the values are those of its pairs one by one."""
    fields = {"data__mined": 0.1, "freeze_bn": True}
    _, [whole] = run(config(**fields), [batch])
    assert whole["wrong"].shape == (B,)
    assert len({*whole["wrong"].tolist()}) == B
    for split in ({"devices": 4}, {"accumulate": 4}):
        devices = split.pop("devices", 1)
        _, [other] = run(config(**fields, **split), [batch], devices=devices)
        np.testing.assert_allclose(other["wrong"], whole["wrong"], atol=1e-6)
    for i in range(B):
        one = jax.tree.map(lambda x, i=i: x[i : i + 1], batch)
        _, [alone] = run(config(**fields), [one])
        np.testing.assert_allclose(alone["wrong"], whole["wrong"][i : i + 1], atol=1e-6)
    assert "wrong" not in run(config(), [batch])[1][0]


def test_statistics_without_synchronisation_are_the_first_devices(config, batch):
    halves = [jax.tree.map(lambda x, i=i: x[i * B // 2 :][: B // 2], batch) for i in range(2)]
    both, _ = run(config(sync_bn=False), [batch], devices=2)
    first, second = (run(config(sync_bn=False), [half])[0] for half in halves)
    assert_close(both.batch_stats, first.batch_stats)
    assert differ(both.batch_stats, second.batch_stats)


@pytest.mark.parametrize("quirks", [False, True])
def test_parts_of_a_batch(config, batch, quirks):
    """Accumulated parts equal one batch; with the quirks, as many devices."""
    fields = {"freeze_bn": True, "reference_quirks": quirks, "sync_bn": False}
    parts = run(config(**fields, accumulate=4), [batch] * 3)
    assert_close(parts, run(config(**fields), [batch] * 3, devices=4 if quirks else 1))
    whole, _ = run(config(**fields), [batch] * 3)
    assert differ(whole.params, parts[0].params) == quirks


def test_quirks_sum_the_gradients(config, batch):
    """Twice the same half on two devices: the clean rule sees one half, the quirk both."""
    half = jax.tree.map(lambda x: x[: B // 2], batch)
    twice = jax.tree.map(lambda x: np.concatenate([x, x]), half)
    fields = {"freeze_bn": True, "sync_bn": False, "clip_norm": 1e9}
    _, [clean] = run(config(**fields), [twice], devices=2)
    _, [alone] = run(config(**fields), [half])
    _, [quirk] = run(config(**fields, reference_quirks=True), [twice], devices=2)
    assert_close(clean, alone)
    assert quirk["grad_norm"] == pytest.approx(2 * float(alone["grad_norm"]), rel=1e-5)
    assert quirk["loss"] == pytest.approx(float(alone["loss"]), rel=1e-5)


def test_momentum_at_the_switch(config, batch):
    """The clean rule keeps the momentum of neck and head; the quirk loses it, at that step only."""
    fields = {"freeze_bn": True, "clip_norm": 1e9, "unfreeze_epoch": 1}
    for start, lost in ((PER_EPOCH, True), (PER_EPOCH + 1, False)):
        kept, _ = run(config(**fields), [batch], start=start, momentum=0.5)
        quirk, _ = run(config(**fields, reference_quirks=True), [batch], start=start, momentum=0.5)
        fresh, _ = run(config(**fields), [batch], start=start)
        assert_close(quirk.params, (fresh if lost else kept).params)
        assert differ(kept.params, fresh.params)


def test_phases_train_what_they_name(config, batch):
    c = config(unfreeze_epoch=1)
    start, _ = run(c, [])
    frozen, _ = run(c, [batch])
    full, _ = run(c, [batch] * 3)
    parts = ("layer1", "layer2", "bn")
    for after, moved in ((frozen, False), (full, True)):
        for part in parts:
            old, new = (s.params["backbone"][part] for s in (start, after))
            assert differ(old, new, 0) == (moved and part == "layer2")
        assert differ(start.batch_stats["backbone"], after.batch_stats["backbone"], 0) == moved
        assert differ(start.params["head"], after.params["head"], 0)
        assert differ(start.batch_stats["neck"], after.batch_stats["neck"], 0)


def test_a_training_backbone_can_keep_its_statistics(config, batch):
    c = config(unfreeze_epoch=0, freeze_backbone_bn=True)
    start, _ = run(c, [])
    now, _ = run(c, [batch])
    assert differ(start.params["backbone"]["layer2"], now.params["backbone"]["layer2"], 0)
    assert not differ(start.batch_stats["backbone"], now.batch_stats["backbone"], 0)
    assert differ(start.batch_stats["neck"], now.batch_stats["neck"], 0)


def test_update_by_hand(config, batch):
    """One step = clip, decay, momentum, group factor, learning rate, in this order."""
    c = config(freeze_bn=True, clip_norm=0.01, weight_decay=0.1, backbone_lr=0.5)
    start, _ = run(c, [])
    now, [metrics] = run(c, [batch], momentum=0.2)
    unclipped, _ = run(
        config(freeze_bn=True, clip_norm=1e9, weight_decay=0, unfreeze_epoch=0), [batch]
    )
    for path, factor, group in ((("head", "bias"), 1.0, 1.0), (("backbone", "layer2"), 0.5, 0.1)):
        old, new, free = start.params, now.params, unclipped.params
        for key in path:
            old, new, free = old[key], new[key], free[key]
        old, new, free = (np.asarray(jax.tree.leaves(x)[0]) for x in (old, new, free))
        gradient = (old - free) / (0.1 * group)
        assert metrics["grad_norm"] > 0.01
        clipped = gradient * 0.01 / float(metrics["grad_norm"])
        expected = old - 0.1 * factor * (0.9 * 0.2 + clipped + 0.1 * old)
        np.testing.assert_allclose(new, expected, atol=2e-6)


@pytest.mark.parametrize("fault", ["nan", "large"])
def test_a_bad_step_changes_nothing_but_the_counters(config, batch, fault):
    bad = dict(batch)
    fields = {"max_loss": 1e-3} if fault == "large" else {"ema": 0.5}
    if fault == "nan":
        bad["search_noise"] = np.full_like(batch["search_noise"], np.nan)
    before, _ = run(config(**fields), [])
    after, [metrics] = run(config(**fields), [bad])
    for field in ("params", "batch_stats", "opt_state", "ema"):
        jax.tree.map(np.testing.assert_array_equal, getattr(before, field), getattr(after, field))
    assert (after.step, after.skipped, after.skipped_in_row) == (1, 1, 1)
    assert metrics["skipped_in_row"] == 1
    if fault == "nan":
        good, _ = run(config(**fields), [bad, batch])
        assert (good.step, good.skipped, good.skipped_in_row) == (2, 1, 0)


def test_a_loss_at_the_limit_is_good(config, batch):
    _, [metrics] = run(config(), [batch])
    limit = float(metrics["loss"])
    now, _ = run(config(max_loss=limit), [batch])
    assert now.skipped == 0
    now, _ = run(config(max_loss=limit * (1 - 1e-6)), [batch])
    assert now.skipped == 1


def test_metrics_by_hand(config, batch):
    """The losses of the network's answers, weighted; anchors of all pairs are counted."""
    c = config(freeze_bn=True, cls_weight=0.5, loc_weight=3.0)
    start, _ = run(c, [])
    cls, loc = Network().apply(
        start.live,
        step.image(batch["template"], batch["template_noise"]),
        step.image(batch["search"], batch["search_noise"]),
    )
    targets = losses.targets_from_batch(Anchors(**c.anchors), batch, 24)
    cls_loss, loc_loss = map(float, losses.rpn_loss(cls, loc, *targets))
    for devices in (1, 2):
        _, [metrics] = run(c, [batch], devices=devices)
        assert metrics["cls_loss"] == pytest.approx(cls_loss, rel=1e-5)
        assert metrics["loc_loss"] == pytest.approx(loc_loss, rel=1e-5)
        assert metrics["loss"] == pytest.approx(0.5 * cls_loss + 3 * loc_loss, rel=1e-5)
        assert metrics["positives"] == (batch["label"] == 1).sum() / B


@pytest.mark.parametrize("positives", [1, 2])
def test_quirk_of_a_single_anchor(config, batch, positives):
    """One positive anchor counts; with the quirks it takes two."""
    label = np.full_like(batch["label"], -1)
    label[0, :positives, 1, 1] = 1
    few = {**batch, "label": label}
    _, [plain] = run(config(freeze_bn=True), [few])
    _, [quirk] = run(config(freeze_bn=True, reference_quirks=True), [few])
    assert plain["cls_loss"] > 0
    assert quirk["cls_loss"] == (plain["cls_loss"] if positives == 2 else 0)


def test_two_parts_have_their_own_statistics(config, batch):
    """A batch norm sees the parts one after the other."""
    parts, _ = run(config(accumulate=2, lr_start=1e-9, lr_end=1e-9), [batch])
    halves = [jax.tree.map(lambda x, i=i: x[i * B // 2 :][: B // 2], batch) for i in range(2)]
    after, _ = run(config(lr_start=1e-9, lr_end=1e-9), halves)
    assert_close(parts.batch_stats, after.batch_stats)
    whole, _ = run(config(lr_start=1e-9, lr_end=1e-9), [batch])
    assert differ(parts.batch_stats, whole.batch_stats)


def test_moving_averages_by_hand(config, batch):
    start, _ = run(config(ema=0.75), [])
    after, _ = run(config(ema=0.75), [batch])
    expected = jax.tree.map(lambda m, x: 0.75 * m + 0.25 * x, start.ema, after.live)
    assert_close(after.ema, expected)
    assert differ(after.ema, after.live)
    assert after.tracked is after.ema


def test_clipping_bounds_the_step(config, batch):
    """A gradient of norm n is multiplied by limit / (n + 1e-6), one below the limit by 1."""
    fields = {"freeze_bn": True, "weight_decay": 0.0}
    start, _ = run(config(**fields), [])
    free, [metrics] = run(config(**fields, clip_norm=1e9), [batch])
    clipped, _ = run(config(**fields, clip_norm=0.5 * float(metrics["grad_norm"])), [batch])
    for old, far, near in zip(*map(jax.tree.leaves, (start.params, free.params, clipped.params))):
        np.testing.assert_allclose(near - old, 0.5 * (far - old), rtol=1e-3, atol=3e-7)


def test_clipping_of_tiny_gradients(config, batch):
    """The same rule where 1e-6 is of the norm's size; a first step's momentum is its gradient."""
    fields = {"freeze_bn": True, "weight_decay": 0.0, "cls_weight": 1e-6, "loc_weight": 1e-6}
    free, [metrics] = run(config(**fields, clip_norm=1e9), [batch])
    norm = float(metrics["grad_norm"])
    assert 1e-8 < norm < 1e-4
    clipped, _ = run(config(**fields, clip_norm=0.5 * norm), [batch])
    wanted = jax.tree.map(lambda m: m * 0.5 * norm / (norm + 1e-6), free.opt_state)
    for ours, theirs in zip(*map(jax.tree.leaves, (clipped.opt_state, wanted))):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4)


def test_rematerialisation_changes_nothing(config, batch):
    assert_close(run(config(), [batch] * 3), run(config(remat=True), [batch] * 3))


def test_learning_rate_follows_the_epoch(config, batch):
    c = config(epochs=3, warmup_epochs=1, warmup_start=0.01, lr_start=0.1, lr_end=0.05)
    _, history = run(c, [batch] * 7)
    rates = [float(m["lr"]) for m in history]
    np.testing.assert_allclose(rates, [0.01, 0.01, 0.1, 0.1, 0.05, 0.05, 0.05], rtol=1e-6)


def test_gradient_norm_is_of_what_trains(config, batch):
    """Against optax, on the gradient recovered from the momentum."""
    now, [metrics] = run(config(clip_norm=1e9, weight_decay=0.0), [batch])
    assert optax.tree.norm(now.opt_state) == pytest.approx(float(metrics["grad_norm"]), rel=1e-5)


@pytest.mark.parametrize("fields", [{}, {"accumulate": 2, "freeze_bn": True}])
def test_a_scaled_loss_is_the_same_step(config, batch, fields):
    """Bit for bit where nothing overflows: the factor is a power of two."""
    plain, wanted = run(config(**fields), [batch] * 3)
    scaled, found = run(config(model__early_dtype="float16", **fields), [batch] * 3)
    assert [metrics.pop("loss_scale") for metrics in found] == [2.0**16] * 3
    jax.tree.map(np.testing.assert_array_equal, found, wanted)
    assert scaled.loss_scale == {"scale": 2.0**16, "good": 3}
    assert plain.loss_scale == {}
    same = scaled.replace(loss_scale={})
    jax.tree.map(np.testing.assert_array_equal, same, plain)


def test_a_gradient_that_overflows_is_skipped(config, batch):
    """As all do by an infinite factor; the loss is finite all the same, and the next step takes a
    smaller factor."""
    c = config(model__early_dtype="float16")
    before, _ = run(c, [])
    after, [bad, good] = run(c, [batch] * 2, scale=np.inf)
    assert (bad["skipped"], bad["skipped_in_row"]) == (1, 1)
    assert np.isfinite(bad["loss"])
    assert good["loss_scale"] == scaling.LARGEST
    assert (good["skipped"], good["skipped_in_row"]) == (1, 0)
    assert differ(before.params["head"], after.params["head"], 0)
    skipped, _ = run(c, [batch], scale=np.inf)
    jax.tree.map(np.testing.assert_array_equal, skipped.params, before.params)


def test_factors_of_the_loss_by_hand():
    """Halved by an overflow, doubled after 2000 good steps, within 1 and 2^24."""
    now = scaling.start({"dtype": "bfloat16", "early_dtype": "float16"})
    for finite, times, expected in (
        (True, 1999, (2.0**16, 1999)),
        (True, 1, (2.0**17, 0)),
        (True, 5, (2.0**17, 5)),
        (False, 2, (2.0**15, 0)),
        (False, 20, (1.0, 0)),
        (True, 2000, (2.0, 0)),
    ):
        now = jax.lax.fori_loop(
            0, times, lambda _, x, f=finite: scaling.after(x, jnp.bool_(f)), now
        )
        assert (now["scale"], now["good"]) == expected
    highest = {"scale": jnp.float32(2.0**24), "good": jnp.int32(1999)}
    assert scaling.after(highest, jnp.bool_(True))["scale"] == 2.0**24
    assert scaling.start({"dtype": "bfloat16"}) == {}
    assert scaling.start({"dtype": "float16"}) != {}


def test_colour_noise_is_subtracted():
    pixels = np.full((2, 1, 1, 3), 10, np.uint8)
    noise = np.float32([[1, 2, 3], [0, 0, 20]])
    image = step.image(pixels, noise)
    assert image.dtype == jnp.float32
    np.testing.assert_array_equal(image[:, 0, 0], [[9, 8, 7], [10, 10, -10]])
