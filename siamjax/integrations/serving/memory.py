"""Freed memory back to the operating system.

Decoders and networks take and free megabytes in many threads; the C library of Linux (glibc) keeps
what they freed, by thread, so that a server would seem to grow for a long time.
"""

import contextlib
import ctypes


def give_back() -> None:
    """After a run or an upload, in its thread; does nothing where the C library cannot."""
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
