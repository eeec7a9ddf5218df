"""CPU time of a command's help: how long a shell waits for `siamjax --help` and its like.

    python benchmarks/start.py

Each command is a process of its own, started several times; the smallest user plus system time
counts. tests/test_cli.py says which modules are imported for a help text.
"""

import resource
import subprocess
import sys

COMMANDS = ([], ["track"], ["eval"], ["train"], ["demo"], ["inspect"])
REPEATS = 5


def seconds(arguments: list[str]) -> float:
    """CPU time of one process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "siamjax.cli", *arguments, "--help"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    for arguments in COMMANDS:
        least = min(seconds(arguments) for _ in range(REPEATS))
        print(f"siamjax {' '.join([*arguments, '--help']):16s} {least:.2f} s")


if __name__ == "__main__":
    main()
