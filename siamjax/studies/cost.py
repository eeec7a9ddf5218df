"""What the runs of a study will take, by arithmetic, before any of them starts."""

import functools
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import jax

from siamjax import models
from siamjax.models import summary
from siamjax.models.initialise import shapes
from siamjax.studies.runs import Run
from siamjax.training import metrics

# floating-point operations a second in the kernels of a ResNet-50 step in bfloat16 on an H100, all
# of its backbone's late layers training (benchmarks/results/gpu-h100.json)
GPU = 3e14
# of a pair of the narrow networks, at most; and what such a pair takes, s of processor time with
# its share of rendering and scoring: the studies of docs/studies, 0.023 to 0.043
SMALL, SMALL_PAIR = 1e9, 0.030
PASSES = 3  # the backward pass costs twice the forward pass


def operations(run: Run) -> float:
    """Floating-point operations of a run's training."""
    config = run.config
    crops = config.crops.exemplar, config.crops.search
    pairs = config.train.epochs * config.data.pairs_per_epoch
    return 2.0 * PASSES * pairs * _multiply_adds(models.build(config), *crops)


@functools.cache
def _multiply_adds(model: models.SiamRPN, exemplar: int, search: int) -> int:
    return sum(row.template + row.search for row in summary.rows(model, exemplar, search))


def disk(run: Run) -> int:
    """Bytes of a run's checkpoints: weights, momentum, moving averages."""
    train = run.config.train
    tree = shapes(models.build(run.config))
    size = 4 * sum(leaf.size for leaf in jax.tree.leaves(tree))
    return size * (3 if train.ema else 2) * (train.keep + train.keep_best)


def rate(runs: Sequence[Run]) -> float | None:
    """Operations a second of those runs that have begun here; None: none has."""
    found = []
    for run in runs:
        lines = metrics.read_lines(run.folder / "metrics.jsonl")
        speeds = [line["pairs_per_s"] for line in lines if line.get("pairs_per_s")]
        if speeds:
            pairs = run.config.train.epochs * run.config.data.pairs_per_epoch
            found.append(median(speeds) * operations(run) / pairs)
    return median(found) if found else None


def _time(work: float, pairs: int) -> str:
    if work <= SMALL * pairs:
        minutes = pairs * SMALL_PAIR / 60
        return f"  about {minutes:,.0f} minutes of processor time: as the small studies took"
    return f"  about {work / GPU / 3600:,.1f} GPU hours: H100, bfloat16, batches that fill it"


def lines(runs: Sequence[Run], workdir: Path) -> list[str]:
    """What is to be done, in words."""
    unique = {run.key: run for run in runs if not run.variant.weights}
    left = [run for run in unique.values() if not run.trained]
    pairs = sum(run.config.train.epochs * run.config.data.pairs_per_epoch for run in left)
    work = sum(map(operations, left))
    said = [
        f"{workdir}: {len(runs)} runs, {len(unique)} trainings, {len(left)} of them to be done",
        f"  {pairs:,} pairs, {work / 1e12:,.1f} TFLOP",
        _time(work, pairs),
        f"  {sum(map(disk, left)) / 1e9:,.1f} GB of checkpoints at most",
    ]
    known = rate(list(unique.values()))
    if known:
        hours = work / known / 3600
        said.append(f"  about {hours:,.1f} hours at the rate of the runs that began here")
    return said
