"""Batches made ahead, in order, by other processes or by a thread of this one.

A worker process writes its batches into memory without a name (memfd), so that nothing of them can
outlive the processes, and /dev/shm may be as small as it likes. Workers end with the process that
started them, however it ends.
"""

import collections
import contextlib
import ctypes
import itertools
import math
import mmap
import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection, Pipe
from typing import Any, BinaryIO, NamedTuple

import cv2
import numpy as np

from siamjax.errors import UserError

_PR_SET_PDEATHSIG = 1  # of linux/prctl.h
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_KEPT_BYTES = 32 << 20
_ALIGNMENT = 64
_START = (
    "import sys; sys.path[:] = {path!r}; from siamjax.data import prefetch; prefetch.serve(*{to!r})"
)

Batch = dict[str, np.ndarray]
Fill = Callable[[int, Batch], Any]  # writes the batch of a step into arrays; gives what goes along


class Layout(NamedTuple):
    """Arrays of a batch: name -> shape and type."""

    arrays: Mapping[str, tuple[tuple[int, ...], Any]]

    @property
    def bytes(self) -> int:
        """What one batch takes."""
        return sum(self._sizes())

    def empty(self) -> Batch:
        """Arrays to be filled."""
        return {name: np.empty(shape, dtype) for name, (shape, dtype) in self.arrays.items()}

    def views(self, memory, slot: int) -> Batch:
        """The arrays of one of several batches that lie behind each other in a memory."""
        views, start = {}, slot * self.bytes
        for (name, (shape, dtype)), size in zip(self.arrays.items(), self._sizes()):
            count = math.prod(shape)
            views[name] = np.frombuffer(memory, dtype, count, start).reshape(shape)
            start += size
        return views

    def _sizes(self):
        for shape, dtype in self.arrays.values():
            size = math.prod(shape) * np.dtype(dtype).itemsize
            yield -(-size // _ALIGNMENT) * _ALIGNMENT


def ahead(fill: Fill, layout: Layout, start: int, workers: int, prefetch: int) -> Iterator:
    """Batches from a step on, without end.

    Args:
        fill: makes the batch of a step; picklable where there are workers.
        layout: of a batch.
        start: first step.
        workers: processes; 0: a thread of this process.
        prefetch: batches that each worker, or the thread, makes ahead.

    Returns:
        Iterator over (arrays, what `fill` gave), with `close()`. A batch's arrays are the caller's.

    Raises:
        UserError: no memory for the batches; while iterating, a worker that died.
    """
    keep_freed_memory()
    maker = _processes if workers else _thread
    batches = maker(fill, layout, start, workers, max(1, prefetch))
    next(batches)  # starts what works ahead
    return batches


def _thread(fill, layout, start, _, prefetch):
    def make(step):
        batch = layout.empty()
        return batch, fill(step, batch)

    pool = ThreadPoolExecutor(1, "loader")
    steps = itertools.count(start)
    try:
        waiting = collections.deque(pool.submit(make, next(steps)) for _ in range(prefetch))
        yield
        while True:
            made = waiting.popleft().result()
            waiting.append(pool.submit(make, next(steps)))
            yield made
    finally:
        pool.shutdown(cancel_futures=True)


def _processes(fill, layout, start, workers, prefetch):
    with contextlib.ExitStack() as stack:
        started = [stack.enter_context(_Worker(fill, layout, prefetch)) for _ in range(workers)]
        for step in range(start, start + workers * prefetch):
            started[(step - start) % workers].ask(step)
        yield
        for step in itertools.count(start):
            worker = started[(step - start) % workers]
            made = worker.take()
            worker.ask(step + workers * prefetch)
            yield made


class _Worker(contextlib.AbstractContextManager):
    """A process that fills the slots of its memory, one step after the other."""

    def __init__(self, fill: Fill, layout: Layout, slots: int):
        with contextlib.ExitStack() as opened:
            file = opened.enter_context(_memory(slots * layout.bytes))
            memory = mmap.mmap(file.fileno(), slots * layout.bytes)
            self._views = itertools.cycle([layout.views(memory, i) for i in range(slots)])
            self._connection, theirs = Pipe()
            opened.enter_context(theirs)
            watched, self._life = os.pipe()
            opened.callback(os.close, watched)
            main = threading.current_thread() is threading.main_thread()
            parent = os.getpid() if main else 0
            files = theirs.fileno(), watched, file.fileno()
            code = _START.format(path=sys.path, to=(*files, parent))
            # Blocked from their first instruction on: signals to a group of processes are the
            # business of this one alone.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", code], stdin=subprocess.DEVNULL, pass_fds=files
                )
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._send((fill, layout, slots))

    def ask(self, step: int) -> None:
        """Has the next slot filled."""
        self._send(step)

    def take(self) -> tuple[Batch, Any]:
        """The oldest batch that was asked for, copied; waits for it.

        Raises:
            UserError: the process died, or its `fill` raised one.
            RuntimeError: `fill` raised something else.
        """
        try:
            fine, answer = self._connection.recv()
        except (EOFError, OSError) as error:
            raise self._death() from error
        if not fine:
            raise answer
        return {name: view.copy() for name, view in next(self._views).items()}, answer

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        os.close(self._life)
        self._connection.close()

    def _send(self, message):
        try:
            self._connection.send(message)
        except OSError as error:
            raise self._death() from error

    def _death(self) -> UserError:
        code, name = self._process.wait(), f"process {self._process.pid}"
        fewer = "give fewer --config.data.workers or a smaller --config.data.prefetch"
        causes = {
            -signal.SIGKILL: f"was killed, as the system does when memory runs out; {fewer}",
            -signal.SIGBUS: (
                f"lost its memory (bus error): {fewer}; or a file of the training sets was cut"
            ),
        }
        cause = causes.get(code, f"ended with exit code {code}; its message is above")
        return UserError(f"a worker that makes batches ({name}) {cause}")


def _memory(size: int) -> BinaryIO:
    """A file without a name: memory where the system has such files, else on the disk.

    Raises:
        UserError: there is not that much.
    """
    if hasattr(os, "memfd_create"):
        file = open(os.memfd_create("siamjax"), "r+b")  # noqa: SIM115
    else:
        file = tempfile.TemporaryFile()  # noqa: SIM115
    try:
        os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        file.close()
        raise UserError(
            f"no memory for batches made ahead ({size >> 20} MiB a worker: {error.strerror});"
            " give fewer --config.data.workers or a smaller --config.data.prefetch"
        ) from error
    except AttributeError:  # macOS
        file.truncate(size)
    return file


def serve(connection: int, life: int, memory: int, parent: int) -> None:
    """The body of a worker process.

    Args:
        connection: descriptor of the pipe of tasks and answers.
        life: of a pipe that closes when the starting process ends.
        memory: of the slots.
        parent: number of that process; 0: it may outlive the thread that started this one.
    """
    _end_with(parent, life)
    keep_freed_memory()
    cv2.setNumThreads(1)  # the workers are the parallelism
    tasks = Connection(connection)
    with contextlib.suppress(EOFError, OSError):
        fill, layout, slots = tasks.recv()
        shared = mmap.mmap(memory, slots * layout.bytes)
        for views in itertools.cycle([layout.views(shared, slot) for slot in range(slots)]):
            step = tasks.recv()
            try:
                answer = True, fill(step, views)
            except UserError as error:
                answer = False, error
            except Exception:
                answer = False, RuntimeError(f"in a worker: {traceback.format_exc()}")
            tasks.send(answer)
    os._exit(0)


def _end_with(parent: int, life: int) -> None:
    """Ends this process with the one that started it, however that ends."""
    if parent and sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    def watch():
        os.read(life, 1)  # returns when nobody can write any more
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def keep_freed_memory() -> None:
    """Freed memory stays with the process, in the workers and where their batches arrive.

    glibc would give each pair's images back to the system and get them again page by page, which
    was a quarter of a pair's time in a worker. Elsewhere there is no mallopt, and nothing is done.
    """
    with contextlib.suppress(AttributeError, OSError):
        libc = ctypes.CDLL(None)
        for option in (_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD):
            libc.mallopt(option, _KEPT_BYTES)
