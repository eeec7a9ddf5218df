"""What the C library does with the memory that a program has given back."""

import ctypes

# mallopt's parameters, from glibc's malloc.h
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8


def keep_freed_memory() -> bool:
    """Makes this process keep the memory it frees.

    A training step on CPU works in gigabytes that are free again at its end, a loader's worker in
    images. glibc hands such blocks back to the system at once and gets them anew, page by page and
    each filled with zeros: a quarter of the time of a step, and of a pair. Memory in one piece that
    never shrinks takes that away; the process keeps the most it ever needed. Call it before JAX
    starts its threads.

    Returns:
        Whether the C library follows; False where it is another than glibc.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl, macOS, Windows
        return False
    settings = ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1))
    return all([mallopt(parameter, value) for parameter, value in settings])
