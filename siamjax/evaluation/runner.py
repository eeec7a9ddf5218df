"""Trackers x sequences -> result files -> scores. What is done is skipped; every file is written
whole."""

from collections.abc import Callable, Mapping
from pathlib import Path

from tqdm import tqdm

from siamjax.benchmarks.registry import Benchmark
from siamjax.benchmarks.results import Store, write_times
from siamjax.errors import UserError
from siamjax.evaluation import protocols, scoring
from siamjax.evaluation.scoring import Scores

PROTOCOLS = {"ope": protocols.one_pass}


def evaluate(
    benchmark: Benchmark,
    trackers: Mapping[str, Callable[[], protocols.Tracker]],
    out_dir: str | Path,
    progress: bool = True,
) -> Scores:
    """Runs trackers on a benchmark and scores them.

    Result files go to `<out_dir>/results/<tracker>/`, times to `<out_dir>/times/<tracker>/`. A run
    whose files are there is skipped, so a second call with the same arguments goes on where the
    first one stopped.

    Args:
        trackers: name -> function that makes the tracker; called only when there is something to
            run.
        progress: whether a bar is shown.

    Raises:
        UserError: a tracker's name that cannot be a folder, an output folder that cannot be
            written, unreadable images.
    """
    out = Path(out_dir)
    for name in trackers:
        if not name or "/" in name or name[0] == ".":
            raise UserError(f"'{name}' cannot be a tracker's name: it becomes a folder")
    for name, factory in trackers.items():
        run_tracker(benchmark, name, factory, out, progress)
    return scoring.score(
        benchmark, {name: out / "results" / name for name in trackers}, out / "times"
    )


def run_tracker(
    benchmark: Benchmark,
    name: str,
    factory: Callable[[], protocols.Tracker],
    out: Path,
    progress: bool = True,
) -> None:
    """Writes the missing result files of one tracker."""
    store = Store(out / "results", benchmark.dataset)
    protocol = PROTOCOLS[benchmark.protocol]
    missing = [s for s in benchmark.sequences if not store.done(name, s)]
    if not missing:
        return
    tracker = factory()
    with tqdm(total=sum(map(len, missing)), desc=name, unit="frame", disable=not progress) as bar:
        for sequence in missing:
            bar.set_postfix_str(sequence.name)
            run = protocol(tracker, sequence)
            write_times(out / "times" / name / f"{sequence.name}.txt", run)
            store.write(name, sequence, run)
            bar.update(len(sequence))
