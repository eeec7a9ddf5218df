"""The processes of a run on several hosts watch each other: when one is gone, the others say so and
end.

Each writes a heartbeat into `<workdir>/.hosts`, which all share. JAX's own heartbeat would end them
later, with a dump of C++ in place of a line.
"""

import contextlib
import json
import os
import shlex
import socket
import sys
import threading
import time
from pathlib import Path

import jax

from siamjax.errors import UserError, refused
from siamjax.training import checkpoint, parallel

BEAT = 2.0  # s between two heartbeats
SILENCE = 20.0  # s without one after which a host counts as gone
GONE = 3  # exit code where another host has ended
_RECORD_BYTES = 1024


class Hosts(contextlib.AbstractContextManager):
    """Watches the other processes of a run until the end of the block; alone it does nothing.

    After an exception in the block the others are told; where another host was the cause, its name
    is what is shown.
    """

    def __init__(self, workdir: Path):
        """Begins the heartbeat, on all hosts at the same place.

        Args:
            workdir: the run's folder, shared by all hosts.

        Raises:
            UserError: the folder can't be written.
        """
        self._count, self._index = jax.process_count(), jax.process_index()
        if self._count == 1:
            return
        self._workdir, self._folder = workdir, workdir / ".hosts"
        self._run = parallel.from_lead(lambda: f"{os.getpid()} {time.time()}")
        self._record = {"run": self._run, "host": socket.gethostname(), "beat": 0, "ended": ""}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = (self._folder / str(self._index)).open("wb", buffering=0)
            self._write()
        except OSError as error:
            raise refused(self._folder, error, "--workdir") from error
        self._others = {i: "" for i in range(self._count) if i != self._index}
        self._end = threading.Event()
        self._verdict = threading.Event()
        self._watching = threading.Thread(target=self._watch, name="hosts", daemon=True)
        self._watching.start()

    def __exit__(self, kind, error, _):
        if self._count == 1:
            return
        if error is not None:
            if not isinstance(error, UserError | KeyboardInterrupt):
                # Most likely a collective that failed because another host is gone.
                self._verdict.wait(SILENCE + 2 * BEAT)
            self._record["ended"] = f"{type(error).__name__}: {error}"[:300]
            with contextlib.suppress(OSError):
                self._write()
        self._end.set()
        self._watching.join()
        self._file.close()
        if error is None:
            self._clean(self._index)

    def _watch(self):
        seen = {i: time.monotonic() for i in self._others}
        while not self._end.wait(BEAT):
            self._record["beat"] += 1
            with contextlib.suppress(OSError):
                self._write()
            for i, before in list(self._others.items()):
                now, record = time.monotonic(), self._read(i)
                text = json.dumps(record) if record else ""
                if record is None and before:
                    del self._others[i]  # it is done
                elif text != before:
                    self._others[i], seen[i] = text, now
                elif before and now - seen[i] > SILENCE:
                    self._leave(i, before, f"shows no sign of life for {SILENCE:.0f} s")
                if record and record["ended"]:
                    self._leave(i, text, f"has ended ({record['ended']})")

    def _leave(self, i: int, text: str, why: str):
        """Says which host is gone, and how the run is resumed; ends this process."""
        if self._end.is_set():
            return
        steps = checkpoint.saved_steps(self._workdir / "checkpoints")
        where = f"step {steps[-1]}" if steps else "the start"
        command = shlex.join([Path(sys.executable).name, *sys.argv])
        print(
            f"\nerror: host {json.loads(text)['host']} (process {i} of {self._count}) {why};"
            f" this process ends too. The same commands resume from {where}, here: {command}",
            file=sys.stderr,
            flush=True,
        )
        self._clean(i, self._index)
        os._exit(GONE)

    def _read(self, i):
        """A host's record of this run; None: there is none."""
        with contextlib.suppress(OSError, ValueError):
            record = json.loads((self._folder / str(i)).read_bytes())
            if record["run"] == self._run:
                return record
        return None

    def _write(self):
        data = json.dumps(self._record).encode()[: _RECORD_BYTES - 1]
        os.pwrite(self._file.fileno(), data.ljust(_RECORD_BYTES), 0)
        os.fsync(self._file.fileno())

    def _clean(self, *indices):
        with contextlib.suppress(OSError):
            for i in indices:
                (self._folder / str(i)).unlink(missing_ok=True)
            self._folder.rmdir()
