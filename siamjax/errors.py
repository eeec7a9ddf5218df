"""What the user did wrong, said in one line, and the exit codes of every command."""

import contextlib
import difflib
import errno
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator


class UserError(Exception):
    """Bad input: the message is one line that names the file or flag and the fix.

    Library code raises it; `run_main` turns it into exit code 2 without a traceback.
    """


# What is full, and what helps; and refusals whose own words are unclear.
_FULL = {
    errno.ENOSPC: "no space left; free some and run again",
    errno.EDQUOT: "disk quota exceeded; free some space and run again",
    errno.EFBIG: "too large for the file system, or for the limit of ulimit -f",
}
_WORDS = {errno.ENOTDIR: "not a folder", errno.EEXIST: "not a folder"}


def refused(path: str | os.PathLike, error: OSError, place: str = "place") -> UserError:
    """The line for a file or folder that could not be written, in words that fit the cause.

    Args:
        path: what was written.
        error: what the operating system said.
        place: what the user would choose anew: the flag's name.
    """
    code = error.errno or 0
    words = _WORDS.get(code, error.strerror or error)
    fix = _FULL.get(code, f"cannot be written ({words}); choose another {place}")
    return UserError(f"{path}: {fix}")


def near(word: str, known: Iterable[str]) -> str:
    """ "; did you mean ...?" with the known word that resembles one most; "" where none does. The
    dashes of flags resemble nothing."""
    bare = {one.lstrip("-"): one for one in known}
    found = difflib.get_close_matches(word.lstrip("-"), bare, n=1)
    return f"; did you mean {bare[found[0]]}?" if found else ""


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word, of at least one, that resembles a word most, however little."""
    return difflib.get_close_matches(word, list(known), n=1, cutoff=0.0)[0]


def one_of(word: str, known: Iterable[str]) -> str:
    """What may be chosen where a word is none of the known ones, and which it resembles."""
    known = list(known)
    return f"choose one of {', '.join(known)}{near(word, known)}"


@contextlib.contextmanager
def importing(fix: str, python: str = "") -> Iterator[None]:
    """For code that imports packages, optional ones or all that siamjax needs.

    Args:
        fix: how they are installed; of optional ones also what needs them.
        python: the interpreter that lacks them, where the fix is another one.

    Raises:
        UserError: names the package that is missing or broken, and the fix. What is wrong with
            siamjax's own modules, and with OpenCV (`siamjax.opencv` explains it), stays as it is.
    """
    try:
        yield
    except ImportError as error:
        name = error.name or "a package"
        if name.partition(".")[0] in ("siamjax", "data_prep", "cv2"):
            raise
        if not isinstance(error, ModuleNotFoundError):
            words = f"{name} cannot be imported ({' '.join(str(error).split())})"
        else:
            words = f"{python} has no {name}" if python else f"{name} is not installed"
        raise UserError(f"{words}; {fix}") from error


def run_main(main: Callable[[], int | None]) -> None:
    """Runs a command's body and leaves the process with its exit code.

    0: done; 1: done as far as possible, what failed is named (a tracker on a sequence); 2: bad
    input (`UserError`), or a disk that is full or read-only, one line on stderr; 130: interrupted
    by Ctrl-C. A second Ctrl-C ends the process at once. A file's name that the terminal's encoding
    cannot hold is printed with escapes.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    _second_interrupt_ends()
    try:
        sys.exit(main() or 0)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if error.errno not in (*_FULL, errno.EROFS):
            raise
        print(f"error: {refused(error.filename or 'output', error)}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


def _second_interrupt_ends() -> None:
    """The first Ctrl-C raises KeyboardInterrupt; the next finds nobody who would show a
    traceback."""

    def interrupt(*_):
        if pressed:
            os._exit(130)
        pressed.append(True)
        raise KeyboardInterrupt

    pressed: list[bool] = []
    main = threading.current_thread() is threading.main_thread()
    if main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)
