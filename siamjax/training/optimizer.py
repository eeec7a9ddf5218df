"""Who trains, how fast: parameter groups by path rules, and SGD as the published models used it."""

import re
from typing import Any, NamedTuple

import jax
import optax

from siamjax.errors import UserError

FROZEN = "frozen"  # never trains
BACKBONE = "backbone"  # trains from `unfreeze_epoch`, at a fraction of the learning rate
REST = "rest"  # neck and head: trains from the start


class Phase(NamedTuple):
    """What trains in one stretch of the training; each phase is a program of its own.

    Attributes:
        name: "frozen" or "full".
        groups: groups whose parameters are updated.
        layers: parts of the backbone whose batch norm uses and updates batch statistics.
    """

    name: str
    groups: tuple[str, ...]
    layers: tuple[str, ...]


def phase_of(train, epoch: int) -> Phase:
    """The phase an epoch (0-based) belongs to, by `unfreeze_epoch` and `unfreeze_layers` of the
    train section."""
    if epoch < train.unfreeze_epoch or not train.unfreeze_layers:
        return Phase("frozen", (REST,), ())
    fixed = train.freeze_bn or train.freeze_backbone_bn
    return Phase("full", (REST, BACKBONE), () if fixed else tuple(train.unfreeze_layers))


def label(params, unfreeze_layers) -> Any:
    """The group of each parameter.

    Args:
        params: the network's parameters.
        unfreeze_layers: parts of the backbone that ever train.

    Returns:
        The tree with each leaf replaced by its group's name.

    Raises:
        UserError: a layer that the backbone does not have.
        ValueError: a parameter that matches no rule or more than one.
    """
    layers = "|".join(map(re.escape, unfreeze_layers)) or "(?!)"
    rules = {
        FROZEN: rf"backbone/(?!(?:{layers})/).*",
        BACKBONE: rf"backbone/(?:{layers})/.*",
        REST: r"(?:neck|head)/.*",
    }

    def group(keys, _):
        path = jax.tree_util.keystr(keys, simple=True, separator="/")
        matches = [name for name, rule in rules.items() if re.fullmatch(rule, path)]
        if len(matches) != 1:
            raise ValueError(f"parameter {path} matches {len(matches)} of the group rules {rules}")
        return matches[0]

    for layer in unfreeze_layers:
        if layer not in params["backbone"]:
            raise UserError(
                f"--config.train.unfreeze_layers: the backbone has no {layer!r}; "
                f"its parts are {', '.join(sorted(params['backbone']))}"
            )
    return jax.tree.map_with_path(group, params)


def make(train, labels, active=(REST, BACKBONE)) -> optax.GradientTransformation:
    """SGD with momentum, weight decay and a rate factor per group.

    Its updates are those of torch.optim.SGD before the learning rate: decay is added to the
    gradient, then the momentum gathers it (momentum = m * momentum + gradient + decay * parameter).
    The caller subtracts learning rate times update.

    Args:
        train: the config's train section (momentum, weight_decay, backbone_lr).
        labels: from `label`.
        active: groups that train; the others get update 0 and keep their momentum untouched, so
            that the state has the same form in every phase.
    """

    def sgd(group, factor):
        transform = optax.chain(
            optax.add_decayed_weights(train.weight_decay),
            optax.trace(decay=train.momentum),
            optax.scale(factor),
        )
        rest = optax.GradientTransformation(
            transform.init, lambda updates, state, _=None: (optax.tree.zeros_like(updates), state)
        )
        return transform if group in active else rest

    groups = {REST: sgd(REST, 1.0), BACKBONE: sgd(BACKBONE, train.backbone_lr)}
    return optax.multi_transform({**groups, FROZEN: optax.set_to_zero()}, labels)


def split(params, labels, active):
    """Parameters of the active groups, with None in the place of the others."""
    return jax.tree.map(lambda p, group: p if group in active else None, params, labels)


def join(chosen, params, otherwise=lambda p: p):
    """The inverse of `split`: where `chosen` has None, `otherwise` of the full tree's leaf."""
    return jax.tree.map(
        lambda c, p: otherwise(p) if c is None else c, chosen, params, is_leaf=lambda x: x is None
    )
