"""Batches made ahead: in order, as many as asked for; workers that end with their parent, and die
with a line.
"""

import errno
import functools
import itertools
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from siamjax.data import prefetch
from siamjax.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
LAYOUT = prefetch.Layout({"a": ((3,), np.int64), "b": ((2, 5), np.uint8)})
FILLS = '''
import os, signal, time
from siamjax.errors import UserError

def number(log, step, batch):
    """Writes the step; notes that it was made, and by which process."""
    batch["a"][:], batch["b"][:] = step, step % 256
    with open(log, "a") as file:
        file.write(f"{step} {os.getpid()}\\n")
    return f"step {step}"

def fail(error, step, batch):
    if step == 2:
        raise UserError("the disk is odd") if error == "user" else ZeroDivisionError("of mine")

def die(how, step, batch):
    if step == 2:
        os._exit(3) if how == "exit" else os.kill(os.getpid(), how)
'''
PARENT = """
import sys, time
sys.path.insert(0, sys.argv[1])
import functools, fills
from tests.data.test_prefetch import LAYOUT
from siamjax.data import prefetch
batches = prefetch.ahead(functools.partial(fills.number, sys.argv[2]), LAYOUT, 0, 2, 3)
for _ in range(4):
    next(batches)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def fills(tmp_path, monkeypatch):
    """A module that workers can import, too."""
    (tmp_path / "fills.py").write_text(FILLS)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("fills", None)
    import fills

    yield fills
    sys.modules.pop("fills", None)


def shared(process="self"):
    """Names in /dev/shm; of semaphores, which others make at any time, those of `process`."""
    maps = Path(f"/proc/{process}/maps").read_text()
    return {name for name in os.listdir("/dev/shm") if name in maps or not name.startswith("sem.")}


def made(log, count):
    """(step, process) of the batches made so far, once there are `count`."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        lines = log.read_text().splitlines() if log.exists() else []
        if len(lines) >= count:
            return [tuple(map(int, line.split())) for line in lines]
        time.sleep(0.02)
    raise AssertionError(f"{len(lines)} of {count} batches were made")


def alive(process):
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_batches_come_in_order(fills, tmp_path, workers):
    fill = functools.partial(fills.number, str(tmp_path / "log"))
    batches = prefetch.ahead(fill, LAYOUT, 5, workers, 2)
    kept = list(itertools.islice(batches, 12))
    batches.close()
    for step, (batch, told) in enumerate(kept, 5):  # also after their slots were used again
        assert told == f"step {step}"
        assert (batch["a"] == step).all()
        assert (batch["b"] == step).all()
        assert {n: (x.shape, x.dtype) for n, x in batch.items()} == dict(LAYOUT.arrays)


@pytest.mark.parametrize("workers, count", [(0, 3), (1, 1), (1, 4), (3, 2)])
def test_no_more_is_made_ahead_than_asked_for(fills, tmp_path, workers, count):
    """Before: after one batch of `make_loader` with workers=1 and prefetch=4 was taken, 15 had been
    made: 14 lay ready."""
    log = tmp_path / "log"
    batches = prefetch.ahead(functools.partial(fills.number, str(log)), LAYOUT, 0, workers, count)
    most = max(workers, 1) * count
    made(log, most)
    time.sleep(0.3)
    assert [step for step, _ in sorted(made(log, most))] == list(range(most))
    next(batches)
    made(log, most + 1)
    time.sleep(0.1)
    assert len(made(log, most + 1)) == most + 1
    batches.close()


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="Linux has /proc and memfd")
def test_the_memory_is_what_the_formula_says(fills, tmp_path):
    """Workers x prefetch x bytes of a batch, and nothing in /dev/shm."""
    before = shared()
    layout = prefetch.Layout({"a": ((1 << 18,), np.uint8), "b": ((3,), np.uint8)})
    assert layout.bytes == (1 << 18) + 64
    fill = functools.partial(fills.number, str(tmp_path / "log"))
    batches = prefetch.ahead(fill, layout, 0, 2, 5)
    next(batches)
    maps = re.findall(
        r"^([0-9a-f]+)-([0-9a-f]+) .*memfd:siamjax", Path("/proc/self/maps").read_text(), re.M
    )
    page = os.sysconf("SC_PAGE_SIZE")
    each = -(-5 * layout.bytes // page) * page
    assert sum(int(end, 16) - int(start, 16) for start, end in maps) == 2 * each
    assert shared() == before
    batches.close()


def test_workers_end_with_a_killed_parent(fills, tmp_path):
    """Before: 12 s after SIGKILL of `run_train.py` with data.workers=2 both workers, 222 MiB each,
    and 165 objects in /dev/shm were there."""
    before, log = shared(), tmp_path / "log"
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, tmp_path, log], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout.readline() == "ready\n"
    workers = {process for _, process in made(log, 10)}
    assert len(workers) == 2
    assert all(map(alive, workers))
    made_here = shared(parent.pid) - before
    os.kill(max(workers), signal.SIGSTOP)  # a stopped one too
    parent.kill()
    parent.communicate()
    # Python's resource tracker removes the semaphores once the last worker has ended
    end = time.monotonic() + 10
    while time.monotonic() < end and (
        any(map(alive, workers)) or made_here.intersection(os.listdir("/dev/shm"))
    ):
        time.sleep(0.02)
    assert not any(map(alive, workers))
    assert not made_here.intersection(os.listdir("/dev/shm"))


def test_workers_leave_signals_to_their_parent(fills, tmp_path):
    """Ctrl-C and a scheduler's SIGTERM reach all processes of a group."""
    log = tmp_path / "log"
    batches = prefetch.ahead(functools.partial(fills.number, str(log)), LAYOUT, 0, 2, 2)
    for worker in {process for _, process in made(log, 4)}:
        os.kill(worker, signal.SIGINT)
        os.kill(worker, signal.SIGTERM)
    assert [told for _, told in itertools.islice(batches, 12)] == [f"step {i}" for i in range(12)]
    batches.close()


def test_workers_of_a_thread_outlive_it(fills, tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    fill = functools.partial(fills.number, str(tmp_path / "log"))
    with ThreadPoolExecutor(1) as pool:
        batches = pool.submit(prefetch.ahead, fill, LAYOUT, 0, 1, 1).result()
    assert [told for _, told in itertools.islice(batches, 3)] == ["step 0", "step 1", "step 2"]
    batches.close()


@pytest.mark.parametrize(
    "how, message",
    [
        (
            signal.SIGKILL,
            "was killed, as the system does when memory runs out; give fewer --config",
        ),
        (signal.SIGBUS, r"lost its memory \(bus error\): give fewer --config.data.workers"),
        ("exit", "ended with exit code 3; its message is above"),
    ],
)
def test_a_dead_worker_is_one_line(fills, how, message):
    """Before: after SIGKILL of a worker of `run_train.py`, or with a /dev/shm of 2 MiB, exit code
    1 and "RuntimeError: Worker process was terminated unexpectedly with exit code -9" (-7) under
    a traceback."""
    batches = prefetch.ahead(functools.partial(fills.die, how), LAYOUT, 0, 2, 1)
    next(batches)
    next(batches)
    with pytest.raises(UserError, match=rf"a worker .*\(process \d+\) {message}") as raised:
        list(itertools.islice(batches, 3))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("workers", [0, 2])
def test_errors_of_the_work_come_through(fills, workers):
    batches = prefetch.ahead(functools.partial(fills.fail, "user"), LAYOUT, 0, workers, 1)
    with pytest.raises(UserError, match="the disk is odd"):
        list(itertools.islice(batches, 3))
    batches = prefetch.ahead(functools.partial(fills.fail, "other"), LAYOUT, 0, workers, 1)
    with pytest.raises(RuntimeError if workers else ZeroDivisionError, match="of mine"):
        list(itertools.islice(batches, 3))


def test_no_memory_is_one_line(fills, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(
        UserError, match=r"no memory for batches .* No space left .* fewer --config"
    ):
        prefetch.ahead(fills.die, LAYOUT, 0, 2, 1)


def test_systems_without_memfd(fills, tmp_path, monkeypatch):
    monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    fill = functools.partial(fills.number, str(tmp_path / "log"))
    batches = prefetch.ahead(fill, LAYOUT, 0, 2, 2)
    assert [told for _, told in itertools.islice(batches, 6)] == [f"step {i}" for i in range(6)]
    batches.close()


def test_arrays_of_a_slot_lie_apart():
    memory = bytearray(3 * LAYOUT.bytes)
    for slot in range(3):
        for name, view in LAYOUT.views(memory, slot).items():
            assert view.ctypes.data % 8 == np.frombuffer(memory, np.uint8).ctypes.data % 8
            view[:] = 10 * slot + (name == "b")
    assert LAYOUT.bytes == 128
    for slot in range(3):
        views = LAYOUT.views(memory, slot)
        assert (views["a"] == 10 * slot).all()
        assert (views["b"] == 10 * slot + 1).all()
