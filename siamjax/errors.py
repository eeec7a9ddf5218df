"""What the user did wrong, said in one line, and the exit codes of every command."""

import sys
from collections.abc import Callable


class UserError(Exception):
    """Bad input: the message is one line that names the file or flag and the fix.

    Library code raises it; `run_main` turns it into exit code 2 without a traceback.
    """


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
