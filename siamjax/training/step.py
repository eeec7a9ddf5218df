"""One training step: a pure function that knows other devices only by an axis name.

`make_step` joins three parts: the gradients of a batch, the update they make, and the metrics.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Float32, Real

from siamjax.geometry.anchors import Anchors
from siamjax.models.formulations import PRODUCT
from siamjax.training import losses, optimizer, scaling, schedule
from siamjax.training.state import TrainState


def make_step(
    config, model, labels, phase: optimizer.Phase, steps_per_epoch: int, axis: str
) -> Callable:
    """Builds `train_step(state, batch) -> (state, metrics)` for one phase.

    The step runs under a mapped axis (`siamjax.training.parallel`): each device gets the whole
    state and its share of the batch, and every device returns the same state. The losses are
    divided by numbers counted over all devices and the gradients summed, so that n devices equal
    one device with the whole batch, where no batch norm stands between (or where it is
    synchronised).

    `train.reference_quirks` trains as the published models were trained, which differs in three
    places. Each device, and each part of an accumulated batch, divides its losses by its own
    counts; their gradients are then summed, not averaged: n parts make n times the step (the
    reference runs one process per GPU, and its all-reduce sums). A side (positives, negatives) with
    one anchor contributes 0: the reference selects them by squeezed indices, and one index squeezes
    to a scalar that it takes for none. The momentum is forgotten when the backbone begins to train:
    the reference builds a new optimiser.

    Args:
        config: the experiment.
        model: the network; its batch norm names `axis` where the statistics are to be synchronised.
        labels: the group of each parameter, from `optimizer.label`.
        phase: what trains.
        steps_per_epoch: steps after which the learning rate changes.
        axis: name of the mapped axis.

    Returns:
        train_step: state, batch -> state, metrics. The batch is one device's share of what
        `siamjax.data.loader` yields. Metrics are float32 scalars, equal on every device: loss,
        cls_loss, loc_loss, grad_norm (before clipping), positives (per pair), lr (of the state's
        epoch), skipped_in_row, skipped, and where the levels are fused by learned weights
        `fusion/<branch>_<level>`, their shares; `loss_scale` where the loss is scaled; with
        `data.mined` also `wrong`, an array (`losses.wrongness` of the pairs of all devices).
    """
    gradients = _make_gradients(config, model, labels, phase, axis)
    update = _make_update(config, labels, phase, steps_per_epoch)

    def train_step(state: TrainState, batch) -> tuple[TrainState, dict]:
        grads, batch_stats, metrics = gradients(state, dict(batch))
        new, lr = update(state, grads, batch_stats, metrics)
        counters = {"skipped": new.skipped, "skipped_in_row": new.skipped_in_row}
        metrics |= {"lr": lr} | jax.tree.map(jnp.float32, counters)
        if state.loss_scale:
            metrics["loss_scale"] = state.loss_scale["scale"]
        return new, metrics | _fusion_shares(new.params, config.model.levels)

    return train_step


def _make_loss(config, model, phase) -> Callable:
    """loss(active, params, batch_stats, scale, batch, targets, counts) -> scaled loss, (new
    batch_stats, the two losses, how wrong each pair is where that is asked for): of one part of
    the batch; `active` are the parameters that train, `scale` of the state is None for none."""
    train, mines = config.train, config.data.get("mined", 0.0) > 0
    minimum = 2 if train.reference_quirks else 1

    def forward(params, batch_stats, batch):
        return model.apply(
            {"params": params, "batch_stats": batch_stats},
            *images(batch),
            train=not train.freeze_bn,
            train_backbone=phase.layers,
            mutable=["batch_stats"],
        )

    if train.remat:
        # keeps what convolutions made, computes the cheap rest again
        policy = jax.checkpoint_policies.save_only_these_names(PRODUCT)
        forward = jax.checkpoint(forward, policy=policy)

    def loss(active, params, batch_stats, scale, batch, targets, counts):
        params = optimizer.join(active, params)
        (cls, loc), changed = forward(params, batch_stats, batch)
        cls_loss, loc_loss = losses.rpn_loss(cls, loc, *targets, counts, minimum)
        weighted = train.cls_weight * cls_loss + train.loc_weight * loc_loss
        weighted = weighted if scale is None else weighted * scale
        wrong = losses.wrongness(cls, targets[0]) if mines else None
        batch_stats = changed.get("batch_stats", batch_stats)
        return weighted, (batch_stats, jnp.stack([cls_loss, loc_loss]), wrong)

    return loss


def _make_gradients(config, model, labels, phase, axis) -> Callable:
    """gradients(state, batch) -> (gradients, batch_stats, metrics): of `train.accumulate` parts of
    the batch, one after the other, and summed over the devices. The gradients have None in the
    place of parameters that do not train."""
    train, anchors = config.train, Anchors(**config.anchors)
    gradient_of_part = jax.grad(_make_loss(config, model, phase), has_aux=True)

    def of_first(new, old):
        """The first device's statistics; those that are fixed are equal on all."""
        first = jax.lax.axis_index(axis) == 0
        return old if new is old else jax.lax.psum(jnp.where(first, new, 0), axis)

    def gradients(state, batch):
        targets = losses.targets_from_batch(anchors, batch, config.crops.search)
        counts = jax.lax.psum(losses.count(targets[0]), axis)
        active = optimizer.split(state.params, labels, phase.groups)
        scale = state.loss_scale.get("scale")
        divisors = None if train.reference_quirks else counts

        def add_part(carry, part):
            sums, batch_stats = carry
            grads, (batch_stats, part_losses, wrong) = gradient_of_part(
                active, state.params, batch_stats, scale, *part, divisors
            )
            return (jax.tree.map(jnp.add, sums, (grads, part_losses)), batch_stats), wrong

        carry = (jax.tree.map(jnp.zeros_like, active), jnp.zeros(2)), state.batch_stats
        if train.accumulate == 1:
            carry, wrong = add_part(carry, (batch, targets))
        else:
            parts = jax.tree.map(
                lambda x: x.reshape(train.accumulate, -1, *x.shape[1:]), (batch, targets)
            )
            carry, wrong = jax.lax.scan(add_part, carry, parts)
        sums, batch_stats = carry
        grads, (cls_loss, loc_loss) = jax.lax.psum(sums, axis)
        if scale is not None:
            grads = jax.tree.map(lambda g: g / scale, grads)
        if train.reference_quirks:  # a sum of means so far
            number = train.accumulate * jax.lax.psum(1, axis)
            cls_loss, loc_loss = cls_loss / number, loc_loss / number
        if not train.sync_bn:
            batch_stats = jax.tree.map(of_first, batch_stats, state.batch_stats)
        metrics = {
            "loss": train.cls_weight * cls_loss + train.loc_weight * loc_loss,
            "cls_loss": cls_loss,
            "loc_loss": loc_loss,
            "grad_norm": optax.tree.norm(grads),
            "positives": counts.positives / counts.pairs,
        }
        if wrong is not None:
            metrics["wrong"] = jax.lax.all_gather(wrong.reshape(-1), axis).reshape(-1)
        return grads, batch_stats, metrics

    return gradients


def _make_update(config, labels, phase, steps_per_epoch) -> Callable:
    """update(state, gradients, batch_stats, metrics) -> (state, learning rate): clipping,
    optimiser, moving averages. A step whose loss or gradient is not finite, or whose loss is too
    large, changes the counters alone."""
    train = config.train
    transform = optimizer.make(train, labels, phase.groups)
    rates = np.asarray(schedule.learning_rates(train), np.float32)
    switch = train.unfreeze_epoch * steps_per_epoch

    def update(state, grads, batch_stats, metrics):
        loss, norm = metrics["loss"], metrics["grad_norm"]
        # optax.clip_by_global_norm rounds otherwise and does not bound the divisor
        clip = jnp.minimum(1.0, train.clip_norm / (norm + 1e-6))
        clipped = jax.tree.map(lambda g: g * clip, grads)
        opt_state = state.opt_state
        if train.reference_quirks and phase.name == "full":
            opt_state = jax.tree.map(lambda m: jnp.where(state.step == switch, 0, m), opt_state)
        updates, opt_state = transform.update(
            optimizer.join(clipped, state.params, jnp.zeros_like), opt_state, state.params
        )
        lr = jnp.take(rates, state.step // steps_per_epoch, mode="clip")
        params = jax.tree.map(
            lambda p, u, g: p - lr * u if g in phase.groups else p, state.params, updates, labels
        )
        good = jnp.isfinite(loss) & (loss <= train.max_loss) & jnp.isfinite(norm)

        def keep(new, old):
            def pick(new, old):
                return old if new is old else jnp.where(good, new, old)

            return jax.tree.map(pick, new, old)

        new = state.replace(params=params, batch_stats=batch_stats, opt_state=opt_state)
        new = keep(new, state).replace(
            step=state.step + 1,
            skipped=jnp.where(good, state.skipped, state.skipped + 1),
            skipped_in_row=jnp.where(good, 0, state.skipped_in_row + 1),
            loss_scale=scaling.after(state.loss_scale, jnp.isfinite(norm)),
        )
        if train.ema:
            # this order of arguments: ema * average + (1 - ema) * new
            averages = optax.incremental_update(state.ema, new.live, train.ema)
            new = new.replace(ema=keep(averages, state.ema))
        return new, lr

    return update


def image(
    pixels: Real[np.ndarray | Array, "b h w 3"], noise: Float[np.ndarray | Array, "b 3"]
) -> Float32[Array, "b h w 3"]:
    """The network's input: grey levels 0..255, minus each image's colour noise."""
    return jnp.asarray(pixels, jnp.float32) - noise[:, None, None, :]


def images(batch) -> tuple[Float32[Array, "b z z 3"], Float32[Array, "b x x 3"]]:
    """The network's two inputs, template and search."""
    return tuple(image(batch[name], batch[f"{name}_noise"]) for name in ("template", "search"))


def _fusion_shares(params, levels):
    shares = {}
    for branch in ("cls", "loc"):
        if f"{branch}_weight" in params["head"]:
            weight = jax.nn.softmax(params["head"][f"{branch}_weight"])
            shares |= {f"fusion/{branch}_{level}": weight[i] for i, level in enumerate(levels)}
    return shares
