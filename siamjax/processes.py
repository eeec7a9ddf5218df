"""Worker processes of pools: they end with the process that started them, however it ends."""

import multiprocessing
import os
import signal
import threading


def begin_worker() -> None:
    """To be called first in a worker of a pool of `multiprocessing` or `concurrent.futures`.

    Ctrl-C is its parent's business; when the parent is gone, killed or not, the worker ends.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent) -> None:
    parent.join()
    os._exit(1)
