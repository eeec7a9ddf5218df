"""One owner at a time: a lock file that names its holder and ends with it.

The kernel's lock on the file (flock) decides between processes of one machine, and it is gone the
moment its holder dies. Between machines that do not share such locks the holder's heartbeat
decides: a record in the file that changes every few seconds.
"""

import contextlib
import dataclasses
import errno
import fcntl
import json
import os
import secrets
import socket
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

from siamjax.errors import UserError, refused
from siamjax.files import missing, remove_empty

BEAT = 5.0  # s between two heartbeats
SILENCE = 30.0  # s without a heartbeat after which a holder on another machine counts as dead
_SETTLE = 1.0  # s after which one of several records stands, where there is no flock
_RECORD_BYTES = 512
_NO_FLOCK = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)
_NAME = ".lock"

_held: "weakref.WeakSet[Lock]" = weakref.WeakSet()
_shared: dict[str, int] = {}  # open files by path


class Busy(UserError):
    """Another process holds the lock; the message says which."""


@dataclasses.dataclass(frozen=True)
class _Record:
    """What the file says about its holder.

    Attributes:
        host, process: for people.
        machine: equal on one running kernel, containers included.
        token: of this very lock.
        since: local time.
        beat: counts up while the holder lives.
    """

    host: str
    process: int
    machine: str
    token: str
    since: str
    beat: int = 0

    def encode(self) -> bytes:
        return json.dumps(dataclasses.asdict(self)).encode().ljust(_RECORD_BYTES - 1) + b"\n"


class Lock(contextlib.AbstractContextManager):
    """Holds a folder, or one thing in it, until `close` or the end of the process.

    A process killed anyhow lets go at once; its record stays in the file and is overwritten by the
    next holder. `close` removes the file.
    """

    def __init__(
        self, folder: str | os.PathLike, name: str = _NAME, fix: str = "wait for it to end"
    ):
        """Takes the lock, or says who has it.

        Where the file was last held on another machine, up to `SILENCE` seconds pass until that
        holder counts as dead.

        Args:
            folder: made if missing, and removed where nothing was put into it.
            name: of the lock file in it; one for each thing that is held alone.
            fix: what to do where the lock is taken, for the message.

        Raises:
            Busy: another process has it, or another lock of this process.
            UserError: the file can't be written.
        """
        folder = Path(folder)
        self._path, self._fix = folder / name, fix
        self._shown = folder if name == _NAME else self._path
        self._descriptor: int | None = None
        self._written = self._lost = False
        self._made = missing(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._take()
        except Busy:
            self._let_go()  # of the file, which is the other's
            raise
        except OSError as error:
            self._remove()
            raise refused(folder, error) from error
        except BaseException:
            self._remove()
            raise
        self._end = threading.Event()
        self._beating = threading.Thread(target=self._beat, name="lock", daemon=True)
        self._beating.start()
        _held.add(self)

    @property
    def closed(self) -> bool:
        """Whether the lock was given back."""
        return self._descriptor is None

    def check(self) -> None:
        """Before something is written that another owner would write too.

        Raises:
            Busy: the lock was lost: its file was removed, or another machine took it while this
                process was stopped for longer than `SILENCE`.
        """
        if self._lost:
            raise Busy(
                f"{self._shown}: the lock of this process was removed or taken"
                f"{self._by(_read(self._path))}; this process stops"
            )

    def close(self) -> None:
        """Gives the lock back and removes its file."""
        if self._descriptor is None:
            return
        self._end.set()
        self._beating.join()
        _held.discard(self)
        self._remove()

    def __exit__(self, *_):
        self.close()

    def _take(self) -> None:
        """Opens and locks the file, and puts our record into it."""
        while True:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            guarded = self._flock()
            if self._is_at_path():
                break
            self._let_go()  # its holder removed it between our opening and locking
        before = _read(self._path)
        if before and not (guarded and before.machine == _machine()):
            self._wait_for_death(before)
        token, now = secrets.token_hex(8), time.strftime("%Y-%m-%d %H:%M:%S")
        self._record = _Record(socket.gethostname(), os.getpid(), _machine(), token, now)
        self._written = True
        self._write()
        if not guarded:
            time.sleep(_SETTLE)
            found = _read(self._path)
            if found is None or found.token != token:
                raise self._busy()

    def _flock(self) -> bool:
        """Whether the file system has such locks; raises Busy where another has it."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _NO_FLOCK:
                return False
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise self._busy() from error
            raise
        return True

    def _wait_for_death(self, before: _Record) -> None:
        """Returns when the record has not changed for `SILENCE` seconds."""
        print(
            f"{self._shown}: last held{self._by(before)}; "
            f"waiting up to {SILENCE:.0f} s to see whether it is alive",
            file=sys.stderr,
        )
        end = time.monotonic() + SILENCE
        while time.monotonic() < end:
            time.sleep(BEAT / 10)
            now = _read(self._path)
            if now is not None and now != before:
                raise self._busy()

    def _busy(self) -> Busy:
        found = _read(self._path, patience=BEAT / 10)
        with contextlib.suppress(OSError):
            silent = time.time() - self._path.stat().st_mtime
            if found and silent > 3 * BEAT:
                return self._error(found, f", silent for {silent:.0f} s")
        return self._error(found, "")

    def _error(self, found, more) -> Busy:
        return Busy(f"{self._shown}: in use{self._by(found)}{more}; {self._fix}")

    def _by(self, found: _Record | None) -> str:
        if found is None:
            return " by another process"
        return f" by process {found.process} on {found.host} since {found.since}"

    def _beat(self) -> None:
        while not self._end.wait(BEAT):
            found = _read(self._path)
            if not self._is_at_path() or (found and found.token != self._record.token):
                self._lost = True
                return
            self._record = dataclasses.replace(self._record, beat=self._record.beat + 1)
            with contextlib.suppress(OSError):  # a full disk: the lock itself still holds
                self._write()

    def _write(self) -> None:
        assert self._descriptor is not None
        os.pwrite(self._descriptor, self._record.encode(), 0)
        os.fsync(self._descriptor)

    def _is_at_path(self) -> bool:
        """Whether the open file is still the one under the path."""
        assert self._descriptor is not None
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.stat(self._path))
        except FileNotFoundError:
            return False

    def _remove(self) -> None:
        with contextlib.suppress(OSError):
            if self._written and not self._lost and self._is_at_path():
                self._path.unlink()
                remove_empty(self._made)
        self._let_go()

    def _let_go(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def share(path: str | os.PathLike) -> bool:
    """Marks a file as in use until this process and those forked from it end; any number may.

    Args:
        path: made if missing; its time is set to now.

    Returns:
        False where another process holds it by `alone`: what it stands for is being removed.

    Raises:
        OSError: the file can't be opened.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _NO_FLOCK:
            os.close(descriptor)
            return False
    before = _shared.pop(os.fspath(path), None)
    if before is not None:
        os.close(before)
    with contextlib.suppress(OSError):
        os.utime(path)
        if os.path.samestat(os.fstat(descriptor), os.stat(path)):
            _shared[os.fspath(path)] = descriptor
            return True
    os.close(descriptor)  # and with it the lock
    return False


@contextlib.contextmanager
def alone(path: str | os.PathLike) -> Iterator[bool]:
    """Whether nobody has a file in use by `share`, nor begins to before the end of the block.

    False where the file system has no such locks.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def release() -> None:
    """Gives all locks of this process back, before it ends without closing anything."""
    for lock in list(_held):
        lock.close()


def _read(path: Path, patience: float = 0.0) -> _Record | None:
    """The record in a lock file; None: there is none, also after `patience` seconds."""
    end = time.monotonic() + patience
    while True:
        with contextlib.suppress(OSError, ValueError, TypeError, RecursionError):
            return _Record(**json.loads(path.read_bytes()[:_RECORD_BYTES]))
        if time.monotonic() >= end:
            return None
        time.sleep(0.02)


def _machine() -> str:
    with contextlib.suppress(OSError):  # Linux: one per running kernel
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return socket.gethostname()


def _forget() -> None:
    """In a forked child: the parent's locks are not its own, and must not outlive the parent."""
    for lock in list(_held):
        lock._let_go()


os.register_at_fork(after_in_child=_forget)
