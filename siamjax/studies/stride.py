"""Why stride 8 and dilation (SiamRPN++, section 3.2)."""

import functools

import jax
import jax.numpy as jnp

from siamjax import models
from siamjax.errors import UserError
from siamjax.measures.result import Figure
from siamjax.studies import layers, scores
from siamjax.studies.runs import Run, Setting, Variant

CONFIG = "studies"
QUESTION = "Why stride 8, dilation, and the middle 7x7 cells of the template?"
SOURCE = "SiamRPN++, section 3.2: ResNet-driven Siamese tracking"
FIGURES = (
    scores.AUC
    | scores.EAO
    | scores.SPEED
    | {"memory": Figure("memory of a training step (MB)", lower_is_better=True, digits=1)}
)
TEMPLATE, SEARCH = 127, 255  # px of the crops
# stride, whether it dilates, cells kept of the template's; the published network's first
KINDS = (
    (8, True, 7),
    (8, False, 7),
    (8, True, 15),
    (8, False, 15),
    (16, True, 7),
    (16, False, 7),
    (32, True, 3),
)
MAIN = ((8, True, 7), (32, True, 3))
PAIRS = 8  # whose memory is measured
SCALE = 64  # px, side of the square anchor at every stride


def variants(setting: Setting) -> list[Variant]:
    """Heads on the deepest layer alone: only levels of one stride can be summed.

    Raises:
        UserError: another backbone than a ResNet, or crops of other sizes.
    """
    if setting.base.model.backbone not in layers.RESNETS:
        raise UserError(
            f"--config: {setting.base.model.backbone} has one stride, a ResNet has more"
        )
    crops = setting.base.crops.exemplar, setting.base.crops.search
    if crops != (TEMPLATE, SEARCH):
        raise UserError(f"--config: crops of {TEMPLATE} and {SEARCH} px are needed, not {crops}")
    return [_variant(*kind) for kind in KINDS]


def _variant(stride: int, dilated: bool, kept: int) -> Variant:
    usual = (stride, kept) == (8, 7)
    fields = {
        "model.levels": (4,),
        "model.stride": stride,
        "model.dilated": dilated,
        "model.template_cells": kept,
        "anchors.stride": stride,
        "anchors.scales": (SCALE // stride,),
        "tracker.instance": SEARCH,
        "tracker.base_size": 8 if usual else 0,
    }
    dilation = ", no dilation" if not dilated and stride < 32 else ""
    return Variant(
        f"stride {stride}, {kept}x{kept}{dilation}", fields, main=(stride, dilated, kept) in MAIN
    )


def measure(run: Run) -> dict[str, dict[str, float]]:
    """Success AUC, EAO, frames per second; memory that training takes."""
    return {"": scores.of_run(run) | memory(models.build(run.config))}


@functools.cache  # of a variant's seeds
def memory(model: models.SiamRPN) -> dict[str, float]:
    """MB that the gradients of `PAIRS` pairs take besides the weights, all of the network
    training."""
    variables = models.init_variables(model, seed=0)
    crops = [jnp.zeros((PAIRS, side, side, 3)) for side in (TEMPLATE, SEARCH)]

    def total(params, z, x):
        everything = tuple(params["backbone"])
        known = variables | {"params": params}
        answers, _ = model.apply(known, z, x, True, everything, mutable=["batch_stats"])
        return sum(jnp.sum(jnp.square(answer)) for answer in answers)

    step = jax.jit(jax.grad(total)).lower(variables["params"], *crops)
    found = step.compile().memory_analysis()
    return {} if found is None else {"memory": found.temp_size_in_bytes / 1e6}
