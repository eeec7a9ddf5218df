"""Tables in Markdown, and the means that stand in them."""

from collections.abc import Iterable, Sequence

import numpy as np


def markdown(rows: Sequence[Sequence[str]], texts: int = 1) -> str:
    """A table with a line end after each row.

    Args:
        rows: of cells, the first is the head.
        texts: so many columns are of texts, the others of numbers.
    """
    head, *body = rows
    ruler = [":---"] * texts + ["---:"] * (len(head) - texts)
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ruler, *body))


def mean(values: Iterable[float | None]) -> float | None:
    """Of those that are known; None where none is."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
