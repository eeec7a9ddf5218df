"""Processes of commands and workers of pools: a worker ends with the process that started it,
however that ends; what siamjax logs stands on stderr as it is."""

import logging
import multiprocessing
import os
import signal
import sys
import threading


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        try:
            say(self.format(record))
        except Exception:  # as the handlers of `logging` do
            self.handleError(record)


def say(line: str) -> None:
    """Writes a line to stderr, whatever that is by then; above progress bars, not behind them."""
    bars = sys.modules.get("tqdm")  # not imported: there is no bar
    write = print if bars is None else bars.tqdm.write
    write(line, file=sys.stderr)


def begin_worker() -> None:
    """To be called first in a worker of a pool of `multiprocessing` or `concurrent.futures`.

    Ctrl-C is its parent's business; when the parent is gone, killed or not, the worker ends.
    """
    plain_log()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def plain_log() -> None:
    """What siamjax logs is printed without a prefix, also where an imported package has set up the
    root logger. Of a process that runs a command; what imports siamjax has its own logging."""
    own = logging.getLogger("siamjax")
    if not own.handlers:
        own.addHandler(_Lines())
    own.propagate = False


def _end_with(parent) -> None:
    parent.join()
    os._exit(1)
