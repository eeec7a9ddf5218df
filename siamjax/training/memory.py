"""What the C library does with the memory that a step has given back."""

import ctypes

# mallopt's parameters, from glibc's malloc.h
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8


def keep_freed_memory() -> bool:
    """Makes this process keep freed memory for its next step.

    A step on CPU works in gigabytes that are free again at its end. glibc hands blocks of that size
    back to the system at once and gets them anew for the next step, page by page and each filled
    with zeros: a quarter of the time of a step. Memory in one piece that never shrinks takes that
    away; the process keeps the most it ever needed. Call it before JAX starts its threads.

    Returns:
        Whether the C library follows; False where it is another than glibc.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl, macOS, Windows
        return False
    settings = ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1))
    return all([mallopt(parameter, value) for parameter, value in settings])
