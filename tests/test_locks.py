"""Locks: one owner, named to the second; gone with the holder; heartbeats between machines."""

import contextlib
import dataclasses
import errno
import fcntl
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from siamjax import locks
from siamjax.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
HOLD = """
import sys, time
from siamjax import locks
lock = locks.Lock(sys.argv[1])
if len(sys.argv) > 2:
    import os
    if os.fork() != 0:
        time.sleep(60)
print("held", flush=True)  # by the child, where there is one: it runs
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """start(*arguments) -> a process that holds tmp_path."""
    started = []

    def start(*arguments):
        command = [sys.executable, "-c", HOLD, tmp_path, *arguments]
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture
def quick(monkeypatch):
    """Heartbeats by the hundredth of a second."""
    monkeypatch.setattr(locks, "BEAT", 0.02)
    monkeypatch.setattr(locks, "SILENCE", 0.4)
    monkeypatch.setattr(locks, "_SETTLE", 0.02)


def test_a_second_owner_is_told_who_the_first_is(tmp_path):
    with locks.Lock(tmp_path / "run", fix="give another --workdir") as lock:
        with pytest.raises(locks.Busy) as refused:
            locks.Lock(tmp_path / "run", fix="give another --workdir")
        assert not lock.closed
    message = str(refused.value)
    assert isinstance(refused.value, UserError)
    who = f"process {os.getpid()} on {re.escape(socket.gethostname())}"
    when = r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    assert re.fullmatch(f".*/run: in use by {who} {when}; give another --workdir", message)
    assert lock.closed
    assert list(tmp_path.iterdir()) == []  # nothing was put into the folder
    (tmp_path / "run").mkdir()
    locks.Lock(tmp_path / "run").close()
    assert list((tmp_path / "run").iterdir()) == []


def test_files_beside_each_other(tmp_path):
    with locks.Lock(tmp_path, "clip1.lock"), locks.Lock(tmp_path, "clip2.lock"):
        assert sorted(path.name for path in tmp_path.iterdir()) == ["clip1.lock", "clip2.lock"]
        with pytest.raises(locks.Busy, match=r"clip1\.lock: in use by process"):
            locks.Lock(tmp_path, "clip1.lock")
    assert list(tmp_path.iterdir()) == []


def test_a_killed_holder_lets_go_at_once(tmp_path, holder):
    process = holder()
    with pytest.raises(locks.Busy, match=f"in use by process {process.pid} on"):
        locks.Lock(tmp_path)
    process.kill()
    process.wait()
    with locks.Lock(tmp_path):
        assert f'"process": {os.getpid()},' in (tmp_path / ".lock").read_text()
    assert list(tmp_path.iterdir()) == []


def test_a_stopped_holder_keeps_it(tmp_path, holder):
    process = holder()
    process.send_signal(signal.SIGSTOP)
    old = time.time() - 100
    os.utime(tmp_path / ".lock", (old, old))
    with pytest.raises(locks.Busy, match=rf"process {process.pid} .*, silent for 10\d s; wait"):
        locks.Lock(tmp_path)


def test_a_forked_child_does_not_keep_it(tmp_path, holder):
    process = holder("fork")
    process.kill()
    process.wait()
    locks.Lock(tmp_path).close()


def elsewhere(path, beat=0):
    record = locks._Record("far", 7, "another kernel", "abc", "2026-01-01 00:00:00", beat)
    path.write_bytes(record.encode())
    return record


def test_a_holder_on_another_machine_that_lives(tmp_path, quick, capsys):
    """Its flock is not seen here; its heartbeat is."""
    record = elsewhere(tmp_path / ".lock")
    real, calls = locks._read, []

    def read(path, patience=0.0):
        calls.append(path)
        found = real(path, patience)
        return dataclasses.replace(found, beat=len(calls) // 5) if found else found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(locks, "_read", read)
        with pytest.raises(locks.Busy, match="in use by process 7 on far since 2026-01-01"):
            locks.Lock(tmp_path)
    assert len(calls) < 10
    assert (tmp_path / ".lock").read_bytes() == record.encode()
    assert "last held by process 7 on far" in capsys.readouterr().err


def test_a_holder_on_another_machine_that_died(tmp_path, quick):
    elsewhere(tmp_path / ".lock", beat=4)
    begin = time.monotonic()
    with locks.Lock(tmp_path) as lock:
        assert time.monotonic() - begin >= 0.4
        lock.check()


def test_a_file_system_without_flock(tmp_path, quick, monkeypatch):
    """Records alone: the second sees the first's heartbeat."""

    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with locks.Lock(tmp_path) as lock:
        with pytest.raises(locks.Busy, match=f"in use by process {os.getpid()}"):
            locks.Lock(tmp_path)
        lock.check()
    locks.Lock(tmp_path).close()


@pytest.mark.parametrize("how", ["removed", "replaced", "taken"])
def test_a_lock_that_is_lost_is_noticed(tmp_path, quick, how):
    path = tmp_path / ".lock"
    with locks.Lock(tmp_path) as lock:
        if how == "removed":
            path.unlink()
        elif how == "replaced":
            elsewhere(tmp_path / "new")
            (tmp_path / "new").rename(path)
        else:
            elsewhere(path)
        lock._beating.join(10)
        with pytest.raises(locks.Busy, match="was removed or taken by"):
            lock.check()
    assert path.exists() == (how != "removed")  # another's file stays


def test_the_holder_beats(tmp_path, quick):
    with locks.Lock(tmp_path) as lock:
        end = time.monotonic() + 10
        while locks._read(tmp_path / ".lock").beat < 2 and time.monotonic() < end:
            time.sleep(0.01)
        assert locks._read(tmp_path / ".lock").beat >= 2
        lock.check()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff" * 600, b"[1]", b'{"host": 1}'])
def test_a_damaged_record_is_none(tmp_path, content):
    (tmp_path / ".lock").write_bytes(content)
    locks.Lock(tmp_path).close()


@pytest.mark.parametrize(
    "code, message",
    [
        (errno.ENOSPC, "no space left"),
        (errno.EDQUOT, "quota exceeded"),
        (errno.EROFS, "Read-only"),
        (errno.EIO, r"cannot be written \(Input/output error\)"),
    ],
)
def test_a_lock_that_cannot_be_written(tmp_path, monkeypatch, code, message):
    def write(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(locks.os, "pwrite", write)
    with pytest.raises(UserError, match=message):
        locks.Lock(tmp_path)
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []
    locks.Lock(tmp_path).close()
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="not a folder"):
        locks.Lock(tmp_path / "file" / "run")


# --- in use by any number


SHARE = """
import sys, time
from siamjax import locks
print(locks.share(sys.argv[1]), flush=True)
time.sleep(60)
"""


def test_what_is_in_use_is_not_held_alone(tmp_path):
    """By two processes, one of which is killed."""
    path = tmp_path / "use"
    assert locks.share(path)
    assert locks.share(path)
    other = subprocess.Popen([sys.executable, "-c", SHARE, path], stdout=subprocess.PIPE)
    assert other.stdout.readline() == b"True\n"
    os.close(locks._shared.pop(str(path)))
    with locks.alone(path) as unused:
        assert not unused
    other.kill()
    other.communicate()
    with locks.alone(path) as unused:
        assert unused
        assert not locks.share(path)
        path.unlink()
    assert locks.share(path)
    os.close(locks._shared.pop(str(path)))
    with locks.alone(tmp_path / "none") as unused:
        assert not unused


def test_a_file_that_is_removed_meanwhile_is_not_in_use(tmp_path, monkeypatch):
    path = tmp_path / "use"
    real = fcntl.flock

    def flock(descriptor, operation):
        real(descriptor, operation)
        path.unlink()

    monkeypatch.setattr(fcntl, "flock", flock)
    assert not locks.share(path)
    assert str(path) not in locks._shared


def test_where_there_are_no_such_locks_nothing_counts_as_unused(tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", flock)
    assert locks.share(tmp_path / "use")
    os.close(locks._shared.pop(str(tmp_path / "use")))
    with locks.alone(tmp_path / "use") as unused:
        assert not unused
