"""How a run is asked to stop: SIGTERM of schedulers, Ctrl-C of people."""

import os
import signal
import sys
import threading

import jax
from jax.experimental import multihost_utils

from siamjax import locks
from siamjax.training.resources import Resources


class Stop:
    """Remembers that a run is to stop: after the step in progress, with a checkpoint.

    Signals come by a pipe to a thread, so that they are seen while a step compiles. A second Ctrl-C
    ends the process at once. Several hosts agree on the step at which they stop, by JAX's own
    handler of SIGTERM.

    Attributes:
        signal: SIGINT or SIGTERM, whichever came first; None: neither.
    """

    def __init__(self, resources: Resources):
        """Takes the signals over until the end of the resources' block; only the main thread can.

        Args:
            resources: give them back.
        """
        self.signal: signal.Signals | None = None
        self._hosts = jax.process_count()
        if threading.current_thread() is not threading.main_thread():
            return
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._watching = threading.Thread(target=self._watch, name="signals", daemon=True)
        self._watching.start()
        before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        mine = (signal.SIGINT,) if self._hosts > 1 else (signal.SIGINT, signal.SIGTERM)
        handlers = [(number, signal.signal(number, lambda *_: None)) for number in mine]
        resources.callback(self._give_back, before, handlers)

    @property
    def name(self) -> str:
        """Of what came first, for messages."""
        return "Ctrl-C" if self.signal == signal.SIGINT else "SIGTERM"

    @property
    def came(self) -> bool:
        """Whether a signal came to a run of one process."""
        return self._hosts == 1 and self.signal is not None

    def asked(self, number: int) -> bool:
        """Whether to stop after step `number`."""
        if self._hosts > 1:
            asked = multihost_utils.reached_preemption_sync_point(number)
            self.signal = self.signal or (signal.SIGTERM if asked else None)
            return asked
        return self.came

    def _watch(self):
        while number := os.read(self._read, 1):
            if number[0] == signal.SIGTERM:
                self.signal = self.signal or signal.SIGTERM
            elif number[0] == signal.SIGINT and self.signal != signal.SIGINT:
                self.signal = signal.SIGINT
                print(
                    "\nCtrl-C: a checkpoint is saved after the step in progress; "
                    "again: ends at once",
                    file=sys.stderr,
                    flush=True,
                )
                if self._hosts > 1:
                    os.kill(os.getpid(), signal.SIGTERM)
            elif number[0] == signal.SIGINT:
                locks.release()
                os._exit(130)

    def _give_back(self, before, handlers):
        for number, handler in handlers:
            signal.signal(number, handler)
        signal.set_wakeup_fd(before)
        os.close(self._write)
        self._watching.join()
        os.close(self._read)
