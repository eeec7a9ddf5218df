"""The variables that a training run starts from."""

from typing import Any

import jax
import numpy as np

from siamjax import models
from siamjax.errors import UserError, one_of
from siamjax.models import weights
from siamjax.remote import weights as remote
from siamjax.training import checkpoint
from siamjax.training.state import misfit, named

PARTS = ("backbone", "neck", "head")


def begins(train, done: int, total: int) -> str:
    """How a run begins, for the line that says so; with a warning where the backbone keeps random
    weights for some epochs.

    Args:
        train: the section of the config.
        done, total: steps.
    """
    if done:
        return f"resumes from step {done} of {total}"
    frozen = min(train.unfreeze_epoch if train.unfreeze_layers else train.epochs, train.epochs)
    if not frozen or (train.init_from and "backbone" in _taken(train)):
        return "training"
    return (
        f"training; warning: the backbone's random weights stay fixed for {frozen} of "
        f"{train.epochs} epochs, give a pretrained one's by --config.train.init_from"
    )


def _taken(train) -> tuple[str, ...]:
    """`init_parts`, which experiments before 0.3 lack."""
    return tuple(train.get("init_parts", PARTS))


def initial_variables(config, model, given: bool = True) -> dict[str, Any]:
    """The variables a run starts from: drawn from the seed, then, of the parts `train.init_parts`,
    overwritten by those of `train.init_from`, which has a part whole or not at all.

    Args:
        config: the experiment.
        model: its network.
        given: whether `init_from` is read; a resumed run has its weights already.

    Raises:
        UserError: `init_from` is neither a weights file nor a run's folder, cannot be fetched, or
            does not fit the network; `init_parts` names what no network has.
    """
    chosen = _taken(config.train)
    if unknown := sorted(set(chosen) - set(PARTS)):
        hint = one_of(unknown[0], PARTS)
        raise UserError(f"--config.train.init_parts: no part {unknown[0]!r}; {hint}")
    size = {"exemplar": config.crops.exemplar, "search": config.crops.search}
    variables = models.init_variables(model, config.seed, **size)
    source = config.train.init_from
    if not source or not given:
        return variables
    path = remote.local(source)
    if path.is_dir():
        _, given, _ = checkpoint.load_variables(path)
    elif path.is_file():
        _, given = weights.load(path)
    else:
        raise UserError(f"--config.train.init_from={source}: no such file or folder")
    result = {collection: dict(parts) for collection, parts in variables.items()}
    for collection, parts in result.items():
        for part, tree in given.get(collection, {}).items():
            if part not in chosen:
                continue
            prefix = f"{collection}/{part}/"
            wrong = misfit(named(parts.get(part, {}), prefix), named(tree, prefix))
            if wrong:
                raise UserError(
                    f"--config.train.init_from={source}: {wrong}; give weights of the same "
                    "architecture"
                )
            parts[part] = jax.tree.map(np.asarray, tree)
    return result
