"""What the user did wrong, said in one line, and the exit codes of every command."""

import contextlib
import sys
from collections.abc import Callable, Iterator


class UserError(Exception):
    """Bad input: the message is one line that names the file or flag and the fix.

    Library code raises it; `run_main` turns it into exit code 2 without a traceback.
    """


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
