"""Frames that are decoded by a thread while the last ones are worked on."""

import contextlib
import queue
import threading
from collections.abc import Generator
from typing import Any

_MOST = 3  # items that wait; a frame of 1080p takes 6 MB
_PATIENCE = 10.0  # s, for an item that is being made when nobody wants it any more


def ahead(items: Generator[Any, None, None], most: int = _MOST) -> Generator[Any, None, None]:
    """The items of a generator, which a thread runs up to `most` items ahead.

    An error comes behind the items that were made before it, as without the thread. When this
    generator is closed, so is the other one, in the thread, before `close` returns.

    Args:
        items: not to be used by anything else from now on.
        most: items that wait.
    """
    waiting: queue.Queue[tuple[str, Any]] = queue.Queue(most)
    stopped = threading.Event()
    thread = threading.Thread(target=_make, args=(items, waiting, stopped), daemon=True)
    try:
        thread.start()
        while True:
            kind, value = waiting.get()
            if kind == "end":
                return
            if kind == "error":
                raise value
            yield value
    finally:
        stopped.set()
        with contextlib.suppress(queue.Empty):
            while True:
                waiting.get_nowait()  # the thread may wait for a place
        if thread.ident is not None:  # Ctrl-C may come before it runs
            thread.join(_PATIENCE)


def _make(items, waiting, stopped) -> None:
    """What the thread does until there are no more items, or it is stopped."""
    try:
        with contextlib.closing(items):
            for item in items:
                waiting.put(("item", item))
                if stopped.is_set():
                    return
        waiting.put(("end", None))
    except BaseException as error:  # raised again where the items are used
        waiting.put(("error", error))
