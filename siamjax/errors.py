"""What the user did wrong, said in one line, and the exit codes of every command."""

import contextlib
import errno
import os
import sys
from collections.abc import Callable, Iterator


class UserError(Exception):
    """Bad input: the message is one line that names the file or flag and the fix.

    Library code raises it; `run_main` turns it into exit code 2 without a traceback.
    """


# What an operating system that refuses to write is told, and what helps.
_REFUSALS = {
    errno.ENOSPC: "no space left; free some and run again",
    errno.EDQUOT: "disk quota exceeded; free some space and run again",
    errno.EROFS: "the file system is read-only; choose another {place}",
    errno.EACCES: "not writable; choose another {place}",
    errno.EPERM: "not writable; choose another {place}",
    errno.EFBIG: "too large for the file system, or for the limit of ulimit -f",
    errno.ENOTDIR: "not a folder; choose another {place}",
    errno.EEXIST: "not a folder; choose another {place}",
}


def refused(path: str | os.PathLike, error: OSError, place: str = "place") -> UserError:
    """The line for a file or folder that could not be written, in words that fit the cause.

    Args:
        path: what was written.
        error: what the operating system said.
        place: what the user would choose anew: the flag's name.
    """
    other = f"cannot be written ({error.strerror or error}); choose another {{place}}"
    return UserError(f"{path}: {_REFUSALS.get(error.errno or 0, other).format(place=place)}")


@contextlib.contextmanager
def optional(fix: str) -> Iterator[None]:
    """For the imports of optional packages.

    Args:
        fix: what needs them and how they are installed.

    Raises:
        UserError: names the package that is missing, and the fix.
    """
    try:
        yield
    except ImportError as error:
        raise UserError(f"{error.name} is not installed; {fix}") from error


def run_main(main: Callable[[], int | None]) -> None:
    """Runs a command's body and leaves the process with its exit code.

    0: done; 2: bad input (`UserError`, one line on stderr); 130: interrupted by Ctrl-C.
    """
    try:
        sys.exit(main() or 0)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
