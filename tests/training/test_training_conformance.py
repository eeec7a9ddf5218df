"""Three steps of both phases against the reference's: losses, gradients, updates, statistics.

Losses agree within 1e-4, norms within 1e-3 of themselves. One case needs more: ResNet-50 with a
training backbone is so ill-conditioned (ReLUs between batch normalisations of two small images)
that float32 does not determine its gradients that well. In float64 the norms of 26 of its 203
tensors are further than 1e-3 from the reference's own, by up to 8.3e-3, and PyTorch on another
machine is up to 4.8e-3 from it. There the test measures what the last bit of the weights does
to each figure, and allows that on top.
"""

import importlib.util

import flax.traverse_util
import jax
import numpy as np
import pytest

from configs import base
from siamjax import models
from siamjax.models import import_torch
from siamjax.training import optimizer, parallel, schedule, state, step

STEPS_PER_EPOCH = 100
LOSSES = 1e-4  # absolute
NORMS = 1e-3  # relative
NEIGHBOURS = 4  # runs from weights with another last bit


def config_of(name):
    c = base.get_config()
    if name == "siamrpn_alex_dwxcorr":
        c.model.backbone = "alexnet"
        c.model.levels = (5,)
        c.model.adjust_channels = ()
        c.model.weighted = False
        c.train.epochs = 50
        c.train.warmup_start, c.train.warmup_end = 0.0025, 0.005
        c.train.lr_start, c.train.lr_end = 0.005, 0.00025
        c.train.backbone_lr = 1.0
        c.train.unfreeze_layers = ("layer4", "layer5")
    return c


def batch_of(folder):
    data = np.load(folder / "train_batch.npz")
    x1, y1, x2, y2 = data["bbox"].T
    box = np.stack([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], -1)
    return {
        "template": data["template"].transpose(0, 2, 3, 1),
        "search": data["search"].transpose(0, 2, 3, 1),
        "template_noise": np.zeros((2, 3), np.float32),
        "search_noise": np.zeros((2, 3), np.float32),
        "label": data["label_cls"].astype(np.int8),
        "box": box.astype(np.float32),
    }


def run_of_three_steps(folder, config, model, epoch):
    """Function of variables -> [(metrics, state)] of three steps from fresh momentum, compiled."""
    phase = optimizer.phase_of(config.train, epoch)
    batch = batch_of(folder)
    program = None

    def run(variables):
        nonlocal program
        labels = optimizer.label(variables["params"], config.train.unfreeze_layers)
        if program is None:
            program = parallel.compile_step(
                step.make_step(config, model, labels, phase, STEPS_PER_EPOCH, parallel.AXIS)
            )
        now = state.create(variables, optimizer.make(config.train, labels), False)
        now = parallel.replicate(now.replace(step=np.int32(epoch * STEPS_PER_EPOCH)))
        history = []
        for _ in range(3):
            now, metrics = program(now, parallel.put(batch))
            history.append((parallel.first(metrics), state.to_host(now)))
        return history

    return run


def neighbour(variables, seed):
    """The variables with every weight moved to the next float32, up or down by chance."""
    rng = np.random.default_rng(seed)

    def move(weight):
        way = np.where(rng.random(weight.shape) < 0.5, np.float32(-np.inf), np.float32(np.inf))
        return np.nextafter(np.asarray(weight), way)

    return {**variables, "params": jax.tree.map(move, variables["params"])}


def momentum(opt_state):
    """{path: first momentum} of the parameters that have one."""
    named = {}
    for group in (optimizer.REST, optimizer.BACKBONE):
        leaves, _ = jax.tree_util.tree_flatten_with_path(opt_state.inner_states[group])
        for path, leaf in leaves:
            keys = [key.key for key in path if isinstance(key, jax.tree_util.DictKey)]
            named["/".join(keys)] = leaf
    return named


def flat(tree):
    return flax.traverse_util.flatten_dict(tree, sep="/")


def norm(array):
    return np.linalg.norm(np.asarray(array, np.float64))


def updates(config, variables, history):
    """{path: (gradient in PyTorch's layout, update)} of what the first step changed, float64."""
    metrics, after = history[0]
    # The first momentum is clip * gradient + decay * parameter.
    clip = min(1.0, config.train.clip_norm / metrics["grad_norm"])
    first_momentum = momentum(after.opt_state)
    before, after = flat(variables["params"]), flat(after.params)
    found = {}
    for key, old in before.items():
        if not np.array_equal(old, after[key]):
            decay = config.train.weight_decay * np.asarray(old, np.float64)
            gradient = (first_momentum[key] - decay) / clip
            gradient = gradient.transpose(3, 2, 0, 1) if gradient.ndim == 4 else gradient
            found[key] = gradient, np.asarray(after[key], np.float64) - old
    return found


def rounding_of_update(parameter):
    """What float32 can add to the norm of an update: each new element is rounded to its spacing."""
    return 0.3 * norm(np.spacing(np.abs(parameter)))


@pytest.mark.reference
@pytest.mark.parametrize("phase", ["frozen", "unfrozen"])
@pytest.mark.parametrize(
    "name",
    [
        "siamrpn_alex_dwxcorr",
        pytest.param("siamrpn_r50_l234_dwxcorr", marks=pytest.mark.slow),
    ],
)
def test_training_steps(reference, name, phase):
    if jax.device_count() != 1:  # several are test_devices.py's subject
        pytest.skip("the reference's batch of two was on one device")
    folder = reference / "conformance" / name
    spec = importlib.util.spec_from_file_location("weights", folder.parent / "weights.py")
    rule = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(rule)
    expected = np.load(folder / f"train_{phase}.npz")

    config = config_of(name)
    model = models.build(config)
    variables, _ = import_torch.from_pysot(model, rule.state_dict(folder), folder)
    names = {
        "/".join(ours): theirs
        for theirs, ours in import_torch.pysot_names(model, model.backbone == "alexnet").items()
        if ours is not None
    }
    epoch = {"frozen": 0, "unfrozen": config.train.unfreeze_epoch}[phase]
    run = run_of_three_steps(folder, config, model, epoch)
    history = run(variables)
    ours = updates(config, variables, history)

    rate = schedule.learning_rates(config.train)[epoch]
    groups = [rate * config.train.backbone_lr, rate, rate][-len(expected["lr"]) :]
    np.testing.assert_allclose(groups, expected["lr"], atol=1e-9)
    assert {names[f"params/{key}"] for key in ours} == set(expected["trainable"])

    # What the last bit of the weights does to each figure: 0 but for the ill-conditioned case.
    neighbours = []
    if (model.backbone, phase) == ("resnet50", "unfrozen"):
        for seed in range(NEIGHBOURS):
            moved = neighbour(variables, seed)
            moved_history = run(moved)
            neighbours.append((moved_history, updates(config, moved, moved_history)))

    def last_bit(figure):
        """figure: of (history, updates) -> array; four times the largest distance."""
        here = figure(history, ours)
        return 4 * max((norm(figure(*there) - here) for there in neighbours), default=0.0)

    noise = 1e-6 * expected["grad_norm"][0]  # norms of gradients that are zero but for rounding
    rows = []

    def compare(what, error, wanted, absolute, figure, relative=NORMS):
        allowed = relative * wanted + absolute + last_bit(figure)
        rows.append((error / allowed, error / wanted, allowed / wanted, what))

    for i in range(3):

        def grad_norm(history, _, i=i):
            return history[i][0]["grad_norm"]

        wanted = expected["grad_norm"][i]
        compare(f"norm {i}", abs(grad_norm(history, ours) - wanted), wanted, 0.0, grad_norm)
        for j, loss in enumerate(("cls_loss", "loc_loss", "loss")):

            def value(history, _, i=i, loss=loss):
                return history[i][0][loss]

            wanted = expected["losses"][i, j]
            error = abs(value(history, ours) - wanted)
            compare(f"{loss} {i}", error, wanted, LOSSES, value, relative=0.0)
    before = flat(variables["params"])
    for key, (gradient, update) in ours.items():
        theirs = names[f"params/{key}"]
        wanted = float(expected[f"gradnorm/{theirs}"])
        error = abs(norm(gradient) - wanted)
        compare(f"gradnorm/{theirs}", error, wanted, noise, lambda _, u, k=key: norm(u[k][0]))
        wanted = float(expected[f"delta_norm/{theirs}"])
        error, absolute = abs(norm(update) - wanted), rounding_of_update(before[key])
        compare(f"delta_norm/{theirs}", error, wanted, absolute, lambda _, u, k=key: norm(u[k][1]))
        if f"grad/{theirs}" in expected:
            array = expected[f"grad/{theirs}"]
            # A ReLU that rounding turns on or off shifts single elements: tensors are compared.
            error, absolute = norm(gradient - array), 10 * noise
            compare(f"grad/{theirs}", error, norm(array), absolute, lambda _, u, k=key: u[k][0])
    rows.sort(reverse=True)
    print(f"\n{name}, {phase}: error / allowed, relative error, relative allowance")
    for share, error, allowed, what in rows[:8]:
        print(f"{share:>8.3f}{error:>12.2e}{allowed:>12.2e}  {what}")
    assert not [row for row in rows if not row[0] <= 1.0]

    statistics, old = flat(history[0][1].batch_stats), flat(variables["batch_stats"])
    training = {k.rsplit("/", 1)[0] for k in old if not np.array_equal(old[k], statistics[k])}
    training = {names[f"batch_stats/{k}/mean"].removesuffix(".running_mean") for k in training}
    assert training == set(expected["bn_training"])
    for key, value in statistics.items():
        theirs = names[f"batch_stats/{key}"]
        if f"bn/{theirs}" in expected:
            bn = expected[f"bn/{theirs}"]
            np.testing.assert_allclose(value, bn, atol=1e-4 * np.abs(bn).max(), err_msg=theirs)
