"""CPU time of a command's help: how long a shell waits for `siamjax --help` and its like.

    python benchmarks/start.py

Each command is a process of its own, started several times; the smallest user plus system time
counts. tests/test_cli.py says which modules are imported for a help text.
"""

import subprocess
import sys

from machine import child_seconds

COMMANDS = ([], ["track"], ["eval"], ["train"], ["demo"], ["inspect"])
REPEATS = 5


def seconds(arguments: list[str]) -> float:
    """CPU time of one process."""
    command = [sys.executable, "-m", "siamjax", *arguments, "--help"]
    _, cpu = child_seconds(command, stdout=subprocess.DEVNULL)
    return cpu


def main() -> None:
    for arguments in COMMANDS:
        least = min(seconds(arguments) for _ in range(REPEATS))
        print(f"siamjax {' '.join([*arguments, '--help']):16s} {least:.2f} s")


if __name__ == "__main__":
    main()
