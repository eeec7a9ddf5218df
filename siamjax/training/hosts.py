"""The processes of a run on several hosts watch each other: when one is gone, the others say so and
end.

Each writes a heartbeat into `<workdir>/.hosts`, which all share. JAX's own heartbeat would end them
later, with a dump of C++ in place of a line.
"""

import contextlib
import faulthandler
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import jax

from siamjax.errors import UserError, refused
from siamjax.training import parallel, watch

GONE = 3  # exit code where another host has ended
_HELPER = "import sys; sys.path[:] = {path!r}; from siamjax.training import watch; {call}"


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
        count, self._index = jax.process_count(), jax.process_index()
        self._alone = count == 1
        if self._alone:
            return
        self._workdir, self._folder = workdir, workdir / watch.FOLDER
        run = parallel.from_lead(lambda: f"{socket.gethostname()} {os.getpid()} {time.time()}")
        self._record = {"run": run, "host": socket.gethostname(), "beat": 0, "ended": ""}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = (self._folder / str(self._index)).open("wb", buffering=0)
            self._write()
        except OSError as error:
            raise refused(self._folder, error, "--workdir") from error
        self._command = shlex.join([Path(sys.executable).name, *sys.argv])
        self._watch = watch.Watch(self._folder, run, self._index, count, watch.SILENCE)
        self._start_helper(str(workdir), run, self._index, count, self._command)
        self._end = threading.Event()
        self._watching = threading.Thread(target=self._beat, name="hosts", daemon=True)
        self._watching.start()

    def __exit__(self, kind, error, _):
        if self._alone:
            return
        if error is not None:
            if not isinstance(error, UserError | KeyboardInterrupt):
                # Most likely a collective that failed because another host is gone: our thread
                # finds out which, and ends the process.
                time.sleep(watch.SILENCE + 2 * watch.BEAT)
            self._record["ended"] = f"{type(error).__name__}: {error}"[:300]
            with contextlib.suppress(OSError):
                self._write()
        self._end.set()
        self._watching.join()
        self._file.close()
        self._dismiss_helper()
        if error is None:
            watch.clean(self._folder, self._index)

    def _beat(self):
        while not self._end.wait(watch.BEAT):
            self._record["beat"] += 1
            with contextlib.suppress(OSError):
                self._write()
            if (verdict := self._watch.verdict()) and not self._end.is_set():
                watch.say(verdict, self._workdir, self._command)
                self._dismiss_helper()
                watch.clean(self._folder, *range(jax.process_count()))
                os._exit(GONE)

    def _start_helper(self, *arguments):
        code = _HELPER.format(path=sys.path, call=f"watch.help_out(*{arguments!r})")
        both = (signal.SIGINT, signal.SIGTERM)  # they are for the process, not for its helper
        before = signal.pthread_sigmask(signal.SIG_BLOCK, both)
        try:
            self._helper = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._dumps = faulthandler.is_enabled()
        faulthandler.enable(self._helper.stdin)

    def _dismiss_helper(self):
        faulthandler.disable()
        if self._dumps:
            faulthandler.enable()
        with contextlib.suppress(OSError):
            self._helper.communicate(b"done")

    def _write(self):
        data = json.dumps(self._record).encode()[: watch.RECORD_BYTES - 1]
        os.pwrite(self._file.fileno(), data.ljust(watch.RECORD_BYTES), 0)
        os.fsync(self._file.fileno())
