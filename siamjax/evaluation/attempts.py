"""A tracker on many sequences, in this process or in others: each gives a run, or says what failed.

A tracker that raises, or answers what is no box, loses that sequence alone; it is made anew for the
next one. A process that dies loses what it was tracking, which is tried once more in a process of
its own.
"""

import collections
import dataclasses
import multiprocessing
import pickle
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import cv2

from siamjax.datasets.results import Run
from siamjax.datasets.sequence import Sequence
from siamjax.errors import UserError
from siamjax.evaluation.protocols import Stopped, Tracker
from siamjax.processes import begin_worker

Factory = Callable[[], Tracker]
Lead = Callable[[Tracker, Sequence, int], Run]  # a protocol
Job = tuple[Sequence, int]


@dataclasses.dataclass(frozen=True)
class Failure:
    """Why there is no run.

    Attributes:
        reason: one line: what was raised, and where.
        frame: of the sequence, from 0; None: it was not in a frame.
        trace: the traceback, for the tracker's author.
    """

    reason: str
    frame: int | None = None
    trace: str = ""

    def __str__(self) -> str:
        return self.reason if self.frame is None else f"frame {self.frame}: {self.reason}"


Outcome = Run | Failure


def failure(error: BaseException, frame: int | None = None) -> Failure:
    """What an exception says in one line: its type and text, and the last line of code."""
    text = " ".join(str(error).split())
    text = text if len(text) <= 300 else f"{text[:297]}..."
    reason = f"{type(error).__name__}{text and ': '}{text}"
    steps = traceback.extract_tb(error.__traceback__)
    if isinstance(error, UserError):
        reason = text
    elif steps:
        reason += f" ({Path(steps[-1].filename).name}, line {steps[-1].lineno})"
    return Failure(reason, frame, "".join(traceback.format_exception(error)))


class Leader:
    """Leads one tracker through sequences; it is made when needed, and anew after a failure."""

    def __init__(self, lead: Lead, factory: Factory):
        self._lead, self._factory = lead, factory
        self._tracker: Tracker | None = None
        self._unmade: Failure | None = None

    def __call__(self, sequence: Sequence, job: int) -> Outcome:
        """The run, or why there is none.

        Raises:
            UserError: the tracker cannot be made from what the user gave: no such file, bad
                weights.
        """
        if self._unmade is None and self._tracker is None:
            try:
                self._tracker = self._factory()
            except UserError:
                raise
            except (Exception, SystemExit) as error:
                self._unmade = failure(error)
        if self._tracker is None:
            assert self._unmade is not None
            return self._unmade
        try:
            return self._lead(self._tracker, sequence, job)
        except Stopped as stopped:
            self._tracker = None
            return failure(stopped.__cause__ or stopped, stopped.frame)


def here(lead: Lead, factory: Factory, jobs: Iterable[Job]) -> Iterator[tuple[Job, Outcome]]:
    """The outcomes in the order of the jobs.

    Raises:
        UserError: as `Leader`.
    """
    leader = Leader(lead, factory)
    for job in jobs:
        yield job, leader(*job)


def in_processes(
    lead: Lead, factory: Factory, jobs: Iterable[Job], workers: int
) -> Iterator[tuple[Job, Outcome]]:
    """The outcomes in the order in which they come.

    Args:
        factory: picklable.
        workers: processes, at least 1.

    Raises:
        UserError: as `Leader`; a factory that cannot be sent to another process.
    """
    try:
        pickle.dumps(factory)
    except Exception as error:
        raise UserError(
            f"workers={workers}: the tracker's factory cannot be sent to another process ({error});"
            " give a class or function of a module"
        ) from error
    again = []
    for job, outcome in _pools(lead, factory, jobs, workers):
        if outcome is None:
            again.append(job)
        else:
            yield job, outcome
    died = Failure("its process ended without an answer (it crashed, or memory ran out)")
    for job, outcome in _pools(lead, factory, again, 1):
        yield job, outcome or died


def _pools(
    lead: Lead, factory: Factory, jobs: Iterable[Job], workers: int
) -> Iterator[tuple[Job, Outcome | None]]:
    """Outcomes; None for the jobs in work when a process died, and another pool for the rest."""
    waiting = collections.deque(jobs)
    others = set(multiprocessing.active_children())
    # spawned, not forked: JAX and OpenCV hold threads that a fork would break
    context = multiprocessing.get_context("spawn")
    while waiting:
        running: dict[Future, Job] = {}
        with ProcessPoolExecutor(workers, context, _start, (lead, factory)) as pool:
            try:
                while waiting or running:
                    # no more than are being tracked, so that a death leaves few in doubt
                    while waiting and len(running) < workers:
                        running[pool.submit(_work, *waiting[0])] = waiting[0]
                        waiting.popleft()
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        outcome = future.result()
                        yield running.pop(future), outcome
            except BrokenProcessPool:
                yield from ((job, None) for job in running.values())
            except BaseException:  # Ctrl-C, bad weights: nobody waits for a sequence's end
                pool.shutdown(wait=False, cancel_futures=True)
                for child in set(multiprocessing.active_children()) - others:
                    child.terminate()
                    child.join()
                raise


_leader: Any  # of a worker process


def _start(lead: Lead, factory: Factory) -> None:
    global _leader
    begin_worker()
    cv2.setNumThreads(1)
    _leader = Leader(lead, factory)


def _work(sequence: Sequence, job: int) -> Outcome:
    return _leader(sequence, job)
