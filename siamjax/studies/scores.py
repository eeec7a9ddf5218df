"""How well the trackers of a study's runs do: success AUC, EAO, frames per second."""

import functools
from typing import Any

from siamjax.datasets import registry
from siamjax.datasets.registry import Benchmark
from siamjax.evaluation import runner
from siamjax.measures.result import Figure
from siamjax.studies.runs import Run
from siamjax.tracking.session import Tracker

AUC = {"auc": Figure("success AUC")}
EAO = {"eao": Figure("EAO")}
SPEED = {"fps": Figure("frames/s", digits=0)}
FIGURES = AUC | EAO | SPEED
INTERVAL = (40, 120)  # frames, lengths over which EAO is taken on rendered clips of 120


def benchmarks(names: str, data_root: str | None, clips: int) -> tuple[Benchmark, ...]:
    """What trackers are scored on; rendered clips both in one pass and with restarts.

    Args:
        names: of data sets, comma-separated.
        clips: of the rendered ones.

    Raises:
        UserError: an unknown data set, or one that is not there; a folder for rendered ones alone.
    """
    registry.check_root(names.split(","), data_root)
    found: list[Benchmark] = []
    for name in names.split(","):
        if registry.get(name).name != "synthetic":
            found.append(registry.load(name, data_root))
            continue
        rendered = registry.load("synthetic", limit=clips)
        found.append(rendered)
        found.append(runner.with_interval(runner.with_protocol(rendered, "supervised"), INTERVAL))
    return tuple(found)


def of_run(run: Run) -> dict[str, float]:
    """auc, eao and fps of a trained run, as far as its benchmarks give them."""
    return run.kept("tracking", run.setting.measured()["benchmarks"], lambda: _track(run))


def _track(run: Run) -> dict[str, float]:
    make = functools.partial(Tracker, *run.load())
    found: dict[str, Any] = {}
    for benchmark in run.setting.benchmarks:
        folder = run.folder / "tracking" / f"{benchmark.name}-{benchmark.protocol}"
        scores = runner.evaluate(benchmark, {"siamjax": make}, folder).trackers["siamjax"]
        for name, figure in (("auc", "success_auc"), ("eao", "eao"), ("fps", "fps")):
            if figure in scores:
                found.setdefault(name, float(scores[figure]))
    return found
