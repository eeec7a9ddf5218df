"""Number tables as benchmarks write them: commas, tabs or spaces, "NaN" for unknown, one row per
frame."""

from pathlib import Path

import numpy as np

from siamjax.errors import UserError
from siamjax.geometry.polygons import pixel_corners

_SEPARATORS = str.maketrans(",;\t", "   ")


def split_rows(text: str) -> list[tuple[int, list[str]]]:
    """The words of each line that has any, with the line's number, from 1."""
    lines = (line.split() for line in text.translate(_SEPARATORS).splitlines())
    return [(number, words) for number, words in enumerate(lines, 1) if words]


def read_table(path: Path, widths: tuple[int, ...] = (4,)) -> np.ndarray:
    """Reads rows of numbers.

    Args:
        path: text file; columns are separated by commas, semicolons, tabs or spaces; empty lines
            are skipped; "NaN" (any case) reads as NaN.
        widths: allowed numbers of columns.

    Returns:
        (rows, width) float64. Where `widths` allows 4 and 8 and both occur, boxes become polygons
            of 8 numbers.

    Raises:
        UserError: no such file, no row, a row with another number of columns, or not a number;
            names file and line.
    """
    path = Path(path)
    try:
        rows = split_rows(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise UserError(
            f"{path}: cannot be read ({reason}); restore it from the data set"
        ) from None
    if not rows:
        raise UserError(f"{path}: the file is empty; one row per frame is expected")
    values = []
    for number, words in rows:
        if len(words) not in widths:
            allowed = " or ".join(map(str, widths))
            raise UserError(f"{path}:{number}: {len(words)} numbers where {allowed} are expected")
        try:
            values.append(np.array(words, np.float64))
        except ValueError as error:  # its text ends with the word
            word = str(error).rpartition(": ")[2]
            raise UserError(f"{path}:{number}: {word} is not a number") from None
    if len({len(row) for row in values}) > 1:
        values = [pixel_corners(row) for row in values]
    return np.stack(values)


def read_flags(path: Path, count: int) -> np.ndarray:
    """(count,) bool from 0 and 1 in rows, columns or both.

    Raises:
        UserError: another number of values than `count`, or not a number.
    """
    path = Path(path)
    try:
        values = np.array(path.read_text().translate(_SEPARATORS).split(), np.float64)
    except (OSError, ValueError):
        raise UserError(f"{path}: 0 or 1 per frame is expected; restore the file") from None
    if len(values) != count:
        raise UserError(f"{path}: {len(values)} values for {count} frames; restore the file")
    return values > 0
