"""Cross, up-channel or depthwise correlation (SiamRPN++, section 3.4)."""

import time

import jax
import numpy as np

from siamjax import models
from siamjax.measures.result import Figure
from siamjax.models.initialise import shapes
from siamjax.studies import scores
from siamjax.studies.runs import Run, Setting, Variant
from siamjax.training import metrics

CONFIG = "studies"
QUESTION = "Cross, up-channel or depthwise correlation: accuracy, size, cost, stability?"
SOURCE = "SiamRPN++, section 3.4, depthwise cross correlation, and the table of ablations"
FIGURES = (
    scores.AUC
    | scores.EAO
    | {
        "parameters": Figure("parameters of a level's branches", lower_is_better=True, digits=0),
        "ratio": Figure("relative to depthwise", lower_is_better=True, digits=2),
        "memory": Figure("memory of a head's answer (MB)", lower_is_better=True, digits=2),
        "time": Figure("time of a head's answer (ms)", lower_is_better=True, digits=2),
        "loss": Figure("loss at the end", lower_is_better=True),
        "loss_spread": Figure("its standard deviation, last fifth", lower_is_better=True),
        "gradient_spread": Figure("that of the gradient's norm", lower_is_better=True),
    }
)
HEADS = ("depthwise", "cross", "upchannel")
REPEATS = 20


def variants(setting: Setting) -> list[Variant]:
    """The three heads."""
    return [
        Variant(head, {"model.correlation": head}, main=head in ("depthwise", "upchannel"))
        for head in HEADS
    ]


def measure(run: Run) -> dict[str, dict[str, float]]:
    """Accuracy, and what a head costs."""
    return {"": scores.of_run(run) | cost(run.config) | stability(run)}


def parameters(config) -> int:
    """Of the two branches of one level."""
    head = shapes(models.build(config))["params"]["head"]
    level = next(name for name in head if name.startswith("level"))
    return sum(leaf.size for leaf in jax.tree.leaves(head[level]))


def cost(config) -> dict[str, float]:
    """Parameters, memory and time of a head's answer to one search crop, template side included."""
    counts = {}
    for head in ("depthwise", config.model.correlation):
        other = config.copy_and_resolve_references()
        with other.unlocked():
            other.model.correlation = head
        counts[head] = parameters(other)
    model = models.build(config)
    variables = models.init_variables(model, seed=0)
    sides = config.crops.exemplar, config.tracker.instance
    z, x = (np.zeros((1, side, side, 3), np.float32) for side in sides)
    zf = jax.jit(lambda v, z: model.apply(v, z, method="template"))(variables, z)
    xf = jax.jit(lambda v, x: model.apply(v, x, method="search"))(variables, x)
    answer = jax.jit(lambda v, zf, xf: model.apply(v, zf, xf, method="head"))
    compiled = answer.lower(variables, zf, xf).compile()
    seconds = []
    for _ in range(REPEATS + 1):
        begin = time.perf_counter()
        jax.block_until_ready(compiled(variables, zf, xf))
        seconds.append(time.perf_counter() - begin)
    memory = compiled.memory_analysis()
    known = {} if memory is None else {"memory": memory.temp_size_in_bytes / 1e6}
    own = counts[config.model.correlation]
    return known | {
        "parameters": own,
        "ratio": own / counts["depthwise"],
        "time": 1e3 * float(np.median(seconds[1:])),
    }


def stability(run: Run) -> dict[str, float]:
    """How loss and gradient norm vary over the last fifth of the logged lines."""
    lines = [
        line
        for line in metrics.read_lines(run.folder / "metrics.jsonl")
        if line.get("loss") is not None
    ]
    last = lines[-max(len(lines) // 5, 1) :]
    if not last:
        return {}
    loss, norm = ([line[name] for line in last] for name in ("loss", "grad_norm"))
    return {
        "loss": float(np.mean(loss)),
        "loss_spread": float(np.std(loss)),
        "gradient_spread": float(np.std(norm)),
    }
