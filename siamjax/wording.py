"""Numbers with the word for what they count."""


def counted(count: int, word: str) -> str:
    """`1 target`, `2 targets`, `3 boxes`.

    Args:
        word: in the singular.
    """
    ending = "" if count == 1 else "es" if word.endswith(("x", "s", "ch", "sh")) else "s"
    return f"{count} {word}{ending}"
