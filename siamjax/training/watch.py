"""Which process of a run on several hosts is gone, by the heartbeats in a folder that all share.

Without JAX: a helper process uses it, too, to say the line when JAX has ended the process that
would have said it (which it does, with a dump of C++, as soon as the first host is gone).
"""

import contextlib
import json
import os
import sys
import time
from pathlib import Path

FOLDER = ".hosts"  # in the run's folder
BEAT = 2.0  # s between two heartbeats
SILENCE = 20.0  # s without one after which a host counts as gone
_SURE = 8.0  # the same, where this process was ended, too
RECORD_BYTES = 1024


class Watch:
    """The heartbeats of the other processes."""

    def __init__(self, folder: Path, run: str, index: int, count: int, silence: float):
        """Args: folder of the heartbeats; run: its token; index, count: which of how many processes
        this is; silence: s without a heartbeat after which one counts as gone."""
        self._folder, self._run, self._count, self._silence = folder, run, count, silence
        now = time.monotonic()
        self._others = {i: ("", now) for i in range(count) if i != index}

    def verdict(self) -> str | None:
        """Names a process that has ended or is silent, and why; None: there is none."""
        for i, (before, since) in list(self._others.items()):
            now, record = time.monotonic(), self._read(i)
            text = json.dumps(record) if record else ""
            if record and record["ended"]:
                return self._name(i, record) + f"has ended ({record['ended']})"
            if record is None and before:
                del self._others[i]  # it is done
            elif text != before:
                self._others[i] = text, now
            elif record and now - since > self._silence:
                return self._name(i, record) + f"shows no sign of life for {self._silence:.0f} s"
        return None

    def _name(self, i, record):
        return f"host {record['host']} (process {i} of {self._count}) "

    def _read(self, i):
        """A process's record of this run; None: there is none."""
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
            record = json.loads((self._folder / str(i)).read_bytes())
            if record["run"] == self._run and {"host", "ended"} <= record.keys():
                return record
        return None


def say(verdict: str, workdir: Path, command: str) -> None:
    """Prints who is gone, and how the run is resumed."""
    names = (path.name for path in (workdir / "checkpoints").glob("*"))
    steps = [int(name) for name in names if name.isdigit()]
    where = f"step {max(steps)}" if steps else "the start"
    print(
        f"\nerror: {verdict}; this process ends too. The same commands resume from {where}, here:"
        f" {command}",
        file=sys.stderr,
        flush=True,
    )


def clean(folder: Path, *indices: int) -> None:
    """Removes records, and the folder with the last."""
    with contextlib.suppress(OSError):
        for i in indices:
            (folder / str(i)).unlink(missing_ok=True)
        folder.rmdir()


def help_out(workdir: str, run: str, index: int, count: int, command: str) -> None:
    """The body of the helper: waits for the end of the process that started it, and where JAX ended
    that one, says which other is gone.

    Its standard input gets a word at a proper end, Python's report of a crash after an abort, and
    nothing where the process itself was killed.

    Args:
        workdir: the run's folder.
        run, index, count: as in `Watch`.
        command: that started the process.
    """
    if "Fatal Python error" in sys.stdin.read():
        folder = Path(workdir) / FOLDER
        watch = Watch(folder, run, index, count, _SURE)
        end = time.monotonic() + 2 * _SURE
        while time.monotonic() < end:
            time.sleep(BEAT)
            if verdict := watch.verdict():
                say(verdict, Path(workdir), command)
                break
        clean(folder, *range(count))
    os._exit(0)
