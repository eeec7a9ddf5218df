"""A temporary folder that does not outlive its process for long.

The folder is locked (flock) while its process lives, however it ends. What a killed process left
is found without a lock, and removed, by the next one.
"""

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
import weakref
from pathlib import Path


class Scratch:
    """Makes the folder `path`; removes those of processes that were killed.

    Attributes:
        path: of the folder.
        close: removes it; called at the latest when the process ends.

    Args:
        prefix: of the folder's name, the same for all processes of one kind.
    """

    def __init__(self, prefix: str):
        _sweep(prefix)
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=prefix))
            with contextlib.suppress(BlockingIOError, FileNotFoundError):
                lock = _locked(self.path)
                if self.path.is_dir():
                    break
            # else another process took it for a left one in the moment before the lock
        self.close = weakref.finalize(self, _remove, self.path, lock)


def _remove(path: Path, lock: int | None) -> None:
    shutil.rmtree(path, ignore_errors=True)
    if lock is not None:
        os.close(lock)


def _locked(path: str | os.PathLike) -> int | None:
    """The open descriptor of a folder that nobody else holds; None: no such locks there.

    Raises:
        BlockingIOError: a process holds it.
        OSError: no such folder.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise
        return None
    return descriptor


def _sweep(prefix: str) -> None:
    """Removes this user's folders that no process holds."""
    for entry in os.scandir(tempfile.gettempdir()):
        if not entry.name.startswith(prefix):
            continue
        with contextlib.suppress(OSError):
            found = entry.stat(follow_symlinks=False)
            if found.st_uid == os.getuid() and stat.S_ISDIR(found.st_mode):
                lock = _locked(entry.path)
                if lock is not None:
                    _remove(Path(entry.path), lock)
