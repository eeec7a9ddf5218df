"""Numbers with the word for what they count, and the first of many names."""

from collections.abc import Sequence


def counted(count: int, word: str) -> str:
    """`1 target`, `2 targets`, `3 boxes`.

    Args:
        word: in the singular.
    """
    ending = "" if count == 1 else "es" if word.endswith(("x", "s", "ch", "sh")) else "s"
    return f"{count} {word}{ending}"


def first(names: Sequence[object], most: int = 3) -> str:
    """`a, b, c`, or `a, b, c, ...` where there are more than `most`."""
    return ", ".join(map(str, names[:most])) + ", ..." * (len(names) > most)
