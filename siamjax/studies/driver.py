"""Runs the variants of studies from several seeds, and writes what came out of them.

A study is a module with

- `CONFIG`: the bundled experiment it starts from; `QUESTION`, `SOURCE`: what it asks, and where the
  paper does;
- `FIGURES`: name -> `siamjax.measures.result.Figure`, of what it measures;
- `variants(setting)`: the ways of training, those of the main contrast marked; refuses bad flags;
- `measure(run)`: figures of a trained run by the row's further name, {"": {"auc": 0.3}};
- `finish(found, runs, folder)`, if it draws more than the table and the plot of all studies.
"""

import math
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from siamjax import compile_cache, version
from siamjax.errors import UserError
from siamjax.evaluation.runner import WHOLE, Shard
from siamjax.locks import Busy
from siamjax.studies.found import Found, collect
from siamjax.studies.runs import Run, Setting, Variant

MOST_VARIANTS = 8  # of a study without --full


@dataclass(frozen=True)
class Job:
    """A run, measured for a study."""

    name: str
    study: ModuleType
    run: Run

    def measured(self) -> dict[str, Any] | None:
        """What was measured, None where that is to come."""
        if not self.run.path_of(self.name, self.run.setting.measured()).is_file():
            return None
        return self.make()

    def make(self) -> dict[str, Any]:
        """Measures the trained run, once."""
        key = self.run.setting.measured()
        return self.run.kept(self.name, key, lambda: self.study.measure(self.run))

    def __str__(self) -> str:
        return f"{self.name}, {self.run.variant.name}, seed {self.run.seed}"


def jobs_of(name: str, study: ModuleType, setting: Setting, seeds: int) -> list[Job]:
    """All runs of a study: the first seed of its main contrast, then its others, then the rest."""
    variants: Sequence[Variant] = study.variants(setting)
    found = [
        Job(name, study, Run.of(setting, variant, seed))
        for variant in variants
        for seed in range(1 if variant.weights else seeds)
    ]
    return sorted(found, key=_rank)


def _rank(job: Job) -> int:
    return 2 - job.run.variant.main - (job.run.variant.main and job.run.seed == 0)


def execute(jobs: Sequence[Job], shard: Shard = WHOLE, until: float = math.inf) -> bool:
    """Trains and measures what is not done; what another process holds is left to it.

    Args:
        jobs: of one or more studies.
        shard: the part of the runs that this process takes.
        until: `time.monotonic()` after which no run is begun and trainings stop.

    Returns:
        False when SIGTERM ended a training.

    Raises:
        UserError: runs that failed; all others were made.
    """
    compile_cache.enable()
    jobs = sorted(jobs, key=_rank)
    mine = list(dict.fromkeys(job.run.key for job in jobs))[shard.index :: shard.count]
    todo = [job for job in jobs if job.run.key in mine and job.measured() is None]
    failed: list[str] = []
    for _ in (1, 2):  # what was held may be free by the end
        held = []
        for number, job in enumerate(todo, 1):
            if time.monotonic() > until:
                return True
            print(f"{number}/{len(todo)} {job}: {job.run.folder}", file=sys.stderr)
            try:
                with job.run.lock():
                    if not job.run.train(until):
                        return time.monotonic() > until
                    job.make()
            except Busy as busy:
                held.append(job)
                print(busy, file=sys.stderr)
            except UserError as error:
                failed.append(f"{job}: {error}")
                print(failed[-1], file=sys.stderr)
        todo = held
    if failed:
        more = f"; {len(failed) - 1} more failed" if len(failed) > 1 else ""
        raise UserError(f"{failed[0]}{more}")
    return True


def write(name: str, study: ModuleType, setting: Setting, jobs: Sequence[Job]) -> Found:
    """Table, plot and JSON of a study, of what is measured so far, into `<workdir>/<name>`."""
    done = [(job, values) for job in jobs if (values := job.measured()) is not None]
    order = {v.name: place for place, v in enumerate(study.variants(setting))}
    done.sort(key=lambda pair: (order[pair[0].run.variant.name], pair[0].run.seed))
    found = Found(
        name=name,
        question=study.QUESTION,
        source=study.SOURCE,
        figures=study.FIGURES,
        rows=collect([(j.run.variant.name, j.run.seed, values) for j, values in done]),
        missing=len(jobs) - len(done),
        about=_about(setting, [job.run for job, _ in done]),
    )
    folder = setting.workdir / name
    found.write(folder)
    if done and hasattr(study, "finish"):
        study.finish(found, [job.run for job, _ in done], folder)
    return found


def _about(setting: Setting, runs: Sequence[Run]) -> Mapping[str, Any]:
    train, data = setting.base.train, setting.base.data
    return {
        "config": setting.base.name,
        "pairs": train.epochs * data.pairs_per_epoch,
        "scored_on": [f"{b.title}, {b.protocol}: {b.count}" for b in setting.benchmarks],
        "data": dict(setting.data),
        "machine": f"{platform.machine()}, {platform.system()}",
        "siamjax": version.__version__,
        "runs": sorted({run.key for run in runs}),
    }
