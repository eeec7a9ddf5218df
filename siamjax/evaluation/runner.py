"""Trackers x sequences -> result files -> scores; what is done is skipped, files are written
whole, and what fails is named.
"""

import dataclasses
import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from siamjax.datasets.registry import Benchmark
from siamjax.datasets.results import Store, write_times
from siamjax.errors import UserError, one_of
from siamjax.evaluation import attempts, scoring
from siamjax.evaluation.attempts import Factory, Failure, Job, Outcome
from siamjax.evaluation.protocols import EXPERIMENTS
from siamjax.evaluation.scoring import Scores
from siamjax.files import write_whole

Runs = Callable[[list[Job]], Iterator[tuple[Job, Outcome]]]


@dataclasses.dataclass(frozen=True)
class Shard:
    """The part of an evaluation that one of several machines runs."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Of "I/N", I from 0.

        Raises:
            UserError: it is something else.
        """
        found = re.fullmatch(r"(\d+)/(\d+)", text)
        if not found or not int(found[1]) < int(found[2]):
            raise UserError(f"--shard={text}: give I/N with I from 0 to N - 1, for example 0/3")
        return cls(int(found[1]), int(found[2]))


WHOLE = Shard(0, 1)


class Failed(NamedTuple):
    """A run that failed."""

    tracker: str
    sequence: str
    failure: Failure

    def __str__(self) -> str:
        after = ":" if self.failure.frame is None else ","
        reason = str(self.failure).replace(f"{self.sequence}: ", "", 1)
        return f"{self.tracker} on {self.sequence}{after} {reason}"


class TrackersFailed(UserError):
    """Trackers failed on some sequences; all others were run and their files written.

    Attributes:
        failed: all of them.
    """

    def __init__(self, failed: list[Failed]):
        more = f"; {len(failed) - 1} more failed" if len(failed) > 1 else ""
        super().__init__(f"{failed[0]}{more}")
        self.failed = failed


def with_protocol(benchmark: Benchmark, name: str) -> Benchmark:
    """The same sequences under another protocol, with its result files and measures.

    Raises:
        UserError: unknown protocol.
    """
    if name not in EXPERIMENTS:
        raise UserError(f"--protocol={name}: {one_of(name, EXPERIMENTS)}")
    if name == benchmark.protocol:
        return benchmark
    experiment = EXPERIMENTS[name]
    return _changed(
        benchmark, protocol=name, results=experiment.results, measures=experiment.measures
    )


def with_interval(benchmark: Benchmark, interval: tuple[int, int]) -> Benchmark:
    """The same sequences with EAO taken over other lengths, low to high, frames."""
    return _changed(benchmark, interval=interval)


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
        trackers, progress, repetitions, workers: see `run`.

    Raises:
        TrackersFailed: at the end, when everything else was run.
        UserError: as `run`.
    """
    out = Path(out_dir)
    if failed := run(benchmark, trackers, out, progress, repetitions, workers):
        raise TrackersFailed(failed)
    return scoring.score(
        benchmark, {name: out / "results" / name for name in trackers}, out / "times"
    )


def run(
    benchmark: Benchmark,
    trackers: Mapping[str, Factory],
    out: Path,
    progress: bool = True,
    repetitions: int = 1,
    workers: int = 0,
    shard: Shard = WHOLE,
) -> list[Failed]:
    """Runs what `evaluate` scores; the runs that failed.

    Args:
        trackers: name -> function that makes the tracker; called only when there is something to
            run, once in each process and again after a failure. With `workers` it must be
            picklable.
        progress: whether a bar is shown.
        repetitions: runs of each sequence (supervised protocol; VOT asks 15 of trackers that draw
            random numbers).
        workers: processes beside this one that track; 0: in this one.
        shard: the part to run.

    Raises:
        UserError: a tracker's name that cannot be a folder, a tracker that cannot be made,
            repetitions without an effect, an output folder that cannot be written.
    """
    for name in trackers:
        check_name(name)
    check_repetitions(benchmark, repetitions)
    lead = EXPERIMENTS[benchmark.protocol].run
    failed = []
    for name, factory in trackers.items():
        runs: Runs = functools.partial(attempts.here, lead, factory)
        if workers:
            runs = functools.partial(attempts.in_processes, lead, factory, workers=workers)
        failed += write_missing(benchmark, name, runs, out, progress, repetitions, shard)
    return failed


def check_repetitions(benchmark: Benchmark, repetitions: int) -> None:
    """Refuses repetitions of runs that have one result file.

    Raises:
        UserError: they would have no effect.
    """
    form, sequence = Store("", benchmark.dataset).form, benchmark.sequences[0]
    jobs = EXPERIMENTS[benchmark.protocol].jobs
    files = {form.paths(sequence, job)[-1] for job in jobs(sequence, 2)}
    if repetitions > 1 and len(files) == len(jobs(sequence, 1)):
        raise UserError(
            f"--repetitions={repetitions}: has no effect on {benchmark.name} with the protocol"
            f" {benchmark.protocol}; leave it out, or add --protocol=supervised"
        )


def check_name(name: str) -> None:
    """Refuses what cannot be a folder.

    Raises:
        UserError: the tracker needs another name.
    """
    if not name or "/" in name or name[0] == ".":
        raise UserError(
            f"'{name}' cannot be a tracker's name: it becomes a folder; give another by --name or"
            " --tracker=NAME=SPEC"
        )


def write_missing(
    benchmark: Benchmark,
    name: str,
    runs: Runs,
    out: Path,
    progress: bool = True,
    repetitions: int = 1,
    shard: Shard = WHOLE,
) -> list[Failed]:
    """Writes the missing result files of one tracker; the runs that failed.

    The traceback of a failure goes to `<out>/failures/<tracker>/`, and away when the run succeeds.

    Args:
        runs: makes the missing runs, in any order.
        out, progress, repetitions, shard: see `run`.
    """
    store = Store(out / "results", benchmark.dataset)
    jobs = [
        (sequence, job)
        for sequence in benchmark.sequences
        for job in EXPERIMENTS[benchmark.protocol].jobs(sequence, repetitions)
    ]
    missing = [job for job in part(jobs, shard) if not store.done(name, *job)]
    if not missing:
        return []
    failed = []
    total = sum(len(sequence) for sequence, _ in missing)
    with tqdm(total=total, desc=name, unit="frame", disable=not progress) as bar:
        for (sequence, job), outcome in runs(missing):
            number = "" if job == 1 else f"_{job:03d}"
            trace = out / "failures" / name / f"{sequence.name}{number}.txt"
            if isinstance(outcome, Failure):
                failed.append(Failed(name, sequence.name, outcome))
                write_whole(trace, f"{failed[-1]}\n\n{outcome.trace}")
            else:
                write_times(out / "times" / name / f"{sequence.name}{number}.txt", outcome)
                store.write(name, sequence, outcome, job)
                trace.unlink(missing_ok=True)
            bar.set_postfix_str(sequence.name, refresh=False)
            bar.update(len(sequence))
    order = [sequence.name for sequence, _ in missing]
    return sorted(failed, key=lambda each: order.index(each.sequence))


def part(jobs: Iterable[Job], shard: Shard) -> list[Job]:
    """The jobs of a shard: dealt out by falling length, in the order of the benchmark."""
    jobs = list(jobs)
    by_length = sorted(range(len(jobs)), key=lambda i: -len(jobs[i][0]))
    return [jobs[i] for i in sorted(by_length[shard.index :: shard.count])]
