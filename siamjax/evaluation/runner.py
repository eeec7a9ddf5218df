"""Trackers x sequences -> result files -> scores; what is done is skipped, files are written
whole.
"""

import dataclasses
import functools
import multiprocessing
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import cv2
from tqdm import tqdm

from siamjax.datasets.registry import Benchmark
from siamjax.datasets.results import Run, Store, write_times
from siamjax.datasets.sequence import Sequence
from siamjax.errors import UserError
from siamjax.evaluation import scoring
from siamjax.evaluation.protocols import EXPERIMENTS, Tracker
from siamjax.evaluation.scoring import Scores

Factory = Callable[[], Tracker]


def with_protocol(benchmark: Benchmark, name: str) -> Benchmark:
    """The same sequences under another protocol, with its result files and measures.

    Raises:
        UserError: unknown protocol.
    """
    if name not in EXPERIMENTS:
        raise UserError(f"--protocol={name}: choose one of {', '.join(EXPERIMENTS)}")
    if name == benchmark.protocol:
        return benchmark
    experiment = EXPERIMENTS[name]
    return _changed(
        benchmark, protocol=name, results=experiment.results, measures=experiment.measures
    )


def with_toolkit_measures(benchmark: Benchmark) -> Benchmark:
    """The same sequences scored by vot-toolkit's rules instead of those of the published figures.

    Raises:
        UserError: the protocol is not the one with restarts.
    """
    if benchmark.protocol != "supervised":
        raise UserError(
            f"--measures=vot-toolkit scores restart runs, {benchmark.name}'s protocol is"
            f" {benchmark.protocol}; add --protocol=supervised"
        )
    return _changed(benchmark, measures="vot_toolkit", results="vot_toolkit")


def _changed(benchmark: Benchmark, **fields: Any) -> Benchmark:
    return dataclasses.replace(benchmark, dataset=dataclasses.replace(benchmark.dataset, **fields))


def evaluate(
    benchmark: Benchmark,
    trackers: Mapping[str, Factory],
    out_dir: str | Path,
    progress: bool = True,
    repetitions: int = 1,
    workers: int = 0,
) -> Scores:
    """Runs trackers on a benchmark and scores them.

    Result files go to `<out_dir>/results/<tracker>/`, times to `<out_dir>/times/<tracker>/`. A run
    whose files are there is skipped, so a second call with the same arguments resumes where the
    first one stopped.

    Args:
        trackers: name -> function that makes the tracker; called only when there is something to
            run, once in each process. With `workers` it must be picklable.
        progress: whether a bar is shown.
        repetitions: runs of each sequence (supervised protocol; VOT asks 15 of trackers that draw
            random numbers).
        workers: processes beside this one that track; 0: in this one.

    Raises:
        UserError: a tracker's name that cannot be a folder, an output folder that cannot be
            written, unreadable images.
    """
    out = Path(out_dir)
    for name in trackers:
        if not name or "/" in name or name[0] == ".":
            raise UserError(f"'{name}' cannot be a tracker's name: it becomes a folder")
    for name, factory in trackers.items():
        runs = functools.partial(_runs, benchmark.protocol, factory, workers)
        write_missing(benchmark, name, runs, out, progress, repetitions)
    return scoring.score(
        benchmark, {name: out / "results" / name for name in trackers}, out / "times"
    )


def write_missing(
    benchmark: Benchmark,
    name: str,
    runs: Callable[["Jobs"], Iterator[tuple[Sequence, int, Run]]],
    out: Path,
    progress: bool = True,
    repetitions: int = 1,
) -> None:
    """Writes the missing result files of one tracker.

    Args:
        runs: makes the missing runs, in any order.
        out, progress, repetitions: see `evaluate`.
    """
    store = Store(out / "results", benchmark.dataset)
    missing = [
        (sequence, job)
        for sequence in benchmark.sequences
        for job in EXPERIMENTS[benchmark.protocol].jobs(sequence, repetitions)
        if not store.done(name, sequence, job)
    ]
    if not missing:
        return
    total = sum(len(sequence) for sequence, _ in missing)
    with tqdm(total=total, desc=name, unit="frame", disable=not progress) as bar:
        for sequence, job, run in runs(missing):
            number = "" if job == 1 else f"_{job:03d}"
            write_times(out / "times" / name / f"{sequence.name}{number}.txt", run)
            store.write(name, sequence, run, job)
            bar.set_postfix_str(sequence.name, refresh=False)
            bar.update(len(sequence))


Jobs = list[tuple[Sequence, int]]
_tracker: Tracker  # of a worker process


def _runs(protocol: str, factory: Factory, workers: int, jobs: Jobs) -> Iterator:
    """The runs of a tracker in this process, in the order of the jobs, or in `workers` others."""
    run = EXPERIMENTS[protocol].run
    if not workers:
        tracker = factory()
        for sequence, job in jobs:
            yield sequence, job, run(tracker, sequence, job)
        return
    # spawned, not forked: JAX and OpenCV hold threads that a fork would break
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start_worker, (factory,)) as pool:
        try:
            futures = {pool.submit(_run_in_worker, run, *job): job for job in jobs}
            for future in as_completed(futures):
                yield *futures[future], future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _start_worker(factory: Factory) -> None:
    global _tracker
    cv2.setNumThreads(1)
    _tracker = factory()


def _run_in_worker(run: Callable, sequence: Sequence, job: int) -> Run:
    return run(_tracker, sequence, job)
