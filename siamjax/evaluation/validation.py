"""Validation while training: the current weights on benchmarks, every so many epochs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from siamjax import api
from siamjax.datasets import registry
from siamjax.datasets.registry import Benchmark
from siamjax.errors import UserError
from siamjax.evaluation import runner
from siamjax.processes import say


def make(config, workdir) -> Callable[[Any, dict, int, int], dict[str, float]]:
    """The `validate` argument of `siamjax.training.loop.train`, by `config.train.evaluate`.

    Result files go to `<workdir>/validation/<data set>/<step>`.

    Args:
        config: the experiment; `train.evaluate` holds (data set, every N epochs) or (data set,
            every N epochs, first so many sequences).
        workdir: the run's folder.

    Returns:
        (config, variables, epoch, step) -> {data set: score}; empty in epochs without evaluation.

    Raises:
        UserError: a malformed entry, an unknown data set, or one that is not on disk.
    """
    plan = []
    for entry in config.train.evaluate:
        try:
            name, every, *limit = entry
            every, limit = int(every), int(limit[0]) if limit else None
        except (TypeError, ValueError):
            every = 0
        if every < 1:
            raise UserError(
                f"--config.train.evaluate: {entry!r} is not (data set, every N epochs[, sequences])"
                "; for example (('synthetic', 1),)"
            )
        plan.append((_load(name, limit), every))

    def validate(config, variables, epoch, step):
        main = {}
        for benchmark, every in plan:
            if (epoch + 1) % every:
                continue
            out = Path(workdir) / "validation" / benchmark.name / str(step)
            current = {"siamjax": lambda: api.make_tracker(config, variables)}
            scores = runner.evaluate(benchmark, current, out, progress=False)
            value = scores.trackers["siamjax"][scores.main]
            shown = f"{scores.label(scores.main)} {scores.number(scores.main, value)}"
            say(f"validation at step {step}: {benchmark.name}, {shown}")
            main[benchmark.name] = float(value)
        return main

    return validate


def _load(name: str, limit: int | None) -> Benchmark:
    try:
        return registry.load(name, limit=limit)
    except registry.NotFound as error:
        places = " or ".join(map(str, error.places))
        raise UserError(
            f"--config.train.evaluate: {name} is not in {places}; set {registry.ROOT_VARIABLE} to"
            " the folder that holds it, or --config.train.evaluate='()' leaves it out"
        ) from None
    except UserError as error:  # of a flag that training lacks
        words = str(error).removeprefix("--dataset=")
        raise UserError(f"--config.train.evaluate: {words}") from None
