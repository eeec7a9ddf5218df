"""One training step: a pure function that knows of other devices only by an axis name."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from siamjax.geometry.anchors import Anchors
from siamjax.training import losses, optimizer, schedule
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

    With `train.reference_quirks` each device, and each part of an accumulated batch, has losses of
    its own means (0 for a side with fewer than two elements), their gradients are summed and not
    averaged, and the momentum is lost at the switch of phases, as in the training of the published
    models.

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
        epoch), skipped_in_row, skipped, and
        where the levels are fused by learned weights `fusion/<branch>_<level>`, their shares.
    """
    train, quirks = config.train, config.train.reference_quirks
    anchors = Anchors(**config.anchors)
    transform = optimizer.make(train, labels, phase.groups)
    rates = np.asarray(schedule.from_config(config), np.float32)
    switch = train.unfreeze_epoch * steps_per_epoch

    def forward(params, batch_stats, batch):
        return model.apply(
            {"params": params, "batch_stats": batch_stats},
            image(batch["template"], batch["template_noise"]),
            image(batch["search"], batch["search_noise"]),
            train=not train.freeze_bn,
            train_backbone=phase.layers,
            mutable=["batch_stats"],
        )

    if train.remat:
        forward = jax.checkpoint(forward, policy=_save_products_only)

    def loss_of_part(active, params, batch_stats, batch, targets, counts):
        params = optimizer.join(active, params)
        (cls, loc), changed = forward(params, batch_stats, batch)
        cls_loss, loc_loss = losses.rpn_loss(cls, loc, *targets, counts, minimum=2 if quirks else 1)
        loss = train.cls_weight * cls_loss + train.loc_weight * loc_loss
        return loss, (changed.get("batch_stats", batch_stats), jnp.stack([cls_loss, loc_loss]))

    def train_step(state: TrainState, batch) -> tuple[TrainState, dict]:
        batch = dict(batch)
        targets = losses.targets_from_batch(anchors, batch, config.crops.search)
        everywhere = jax.tree.map(lambda n: jax.lax.psum(n, axis), losses.count(targets[0]))
        counts = None if quirks else everywhere
        active = optimizer.split(state.params, labels, phase.groups)
        gradient = jax.grad(loss_of_part, has_aux=True)

        def add_part(carry, part):
            total, batch_stats, parts_losses = carry
            grads, (batch_stats, part_losses) = gradient(
                active, state.params, batch_stats, part[0], part[1], counts
            )
            return (
                jax.tree.map(jnp.add, total, grads),
                batch_stats,
                parts_losses + part_losses,
            ), None

        nothing = (jax.tree.map(jnp.zeros_like, active), state.batch_stats, jnp.zeros(2))
        if train.accumulate == 1:
            (grads, batch_stats, part_losses), _ = add_part(nothing, (batch, targets))
        else:
            parts = jax.tree.map(lambda x: _parts(x, train.accumulate), (batch, targets))
            (grads, batch_stats, part_losses), _ = jax.lax.scan(add_part, nothing, parts)

        grads = jax.lax.psum(grads, axis)
        cls_loss, loc_loss = jax.lax.psum(part_losses, axis)
        if quirks:
            cls_loss, loc_loss = (
                x / (train.accumulate * jax.lax.psum(1, axis)) for x in (cls_loss, loc_loss)
            )
        if not train.sync_bn:
            batch_stats = _of_first_device(batch_stats, axis)
        loss = train.cls_weight * cls_loss + train.loc_weight * loc_loss
        norm = jnp.sqrt(sum(jnp.sum(jnp.square(g)) for g in jax.tree.leaves(grads)))
        good = jnp.isfinite(loss) & (loss <= train.max_loss) & jnp.isfinite(norm)

        clip = jnp.minimum(1.0, train.clip_norm / (norm + 1e-6))
        clipped = jax.tree.map(lambda g: g * clip, grads)
        opt_state = state.opt_state
        if quirks and phase.name == "full":
            opt_state = jax.tree.map(lambda m: jnp.where(state.step == switch, 0, m), opt_state)
        updates, opt_state = transform.update(
            optimizer.join(clipped, state.params, jnp.zeros_like), opt_state, state.params
        )
        lr = jnp.asarray(rates)[jnp.minimum(state.step // steps_per_epoch, len(rates) - 1)]
        trained = jax.tree.map(
            lambda p, u, g: p - lr * u if g in phase.groups else p, state.params, updates, labels
        )

        def keep(new, old):
            return jax.tree.map(lambda a, b: jnp.where(good, a, b), new, old)

        new = TrainState(
            step=state.step + 1,
            params=keep(trained, state.params),
            batch_stats=keep(batch_stats, state.batch_stats),
            opt_state=keep(opt_state, state.opt_state),
            ema=state.ema,
            skipped=state.skipped + ~good,
            skipped_in_row=jnp.where(good, 0, state.skipped_in_row + 1),
        )
        if train.ema:
            now = {"params": new.params, "batch_stats": new.batch_stats}
            mean = jax.tree.map(lambda m, x: train.ema * m + (1 - train.ema) * x, state.ema, now)
            new = new.replace(ema=keep(mean, state.ema))
        metrics = {
            "loss": loss,
            "cls_loss": cls_loss,
            "loc_loss": loc_loss,
            "grad_norm": norm,
            "positives": everywhere.positives / everywhere.pairs,
            "lr": lr,
            "skipped": new.skipped.astype(jnp.float32),
            "skipped_in_row": new.skipped_in_row.astype(jnp.float32),
            **_fusion_shares(new.params, config.model.levels),
        }
        return new, metrics

    return train_step


def image(pixels, noise):
    """The network's input: (B, H, W, 3) grey levels 0..255 as float32, minus each image's colour
    noise (B, 3)."""
    return pixels.astype(jnp.float32) - noise[:, None, None, :]


def _fusion_shares(params, levels):
    shares = {}
    for branch in ("cls", "loc"):
        if f"{branch}_weight" in params["head"]:
            weight = jax.nn.softmax(params["head"][f"{branch}_weight"])
            shares |= {f"fusion/{branch}_{level}": weight[i] for i, level in enumerate(levels)}
    return shares


def _parts(x, number):
    return x.reshape(number, x.shape[0] // number, *x.shape[1:])


def _of_first_device(tree, axis):
    first = jax.lax.axis_index(axis) == 0
    return jax.lax.psum(jax.tree.map(lambda x: jnp.where(first, x, jnp.zeros_like(x)), tree), axis)


def _save_products_only(primitive, *_, **__):
    """Rematerialisation: keeps what convolutions and matrix products made, computes the cheap rest
    again."""
    return primitive.name in {"conv_general_dilated", "dot_general"}
