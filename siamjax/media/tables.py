"""Number tables as benchmarks write them: commas, tabs or spaces, "NaN" for unknown, one row per
frame."""

from pathlib import Path

import numpy as np

from siamjax.errors import UserError

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
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}: cannot be read ({_reason(error)}); restore it from the data set"
        ) from None
    rows = split_rows(text)
    if not rows:
        raise UserError(f"{path}: the file is empty; one row per frame is expected")
    found = {len(row) for _, row in rows}
    if not found <= set(widths):
        number, row = next((n, r) for n, r in rows if len(r) not in widths)
        allowed = " or ".join(map(str, widths))
        raise UserError(f"{path}:{number}: {len(row)} numbers where {allowed} are expected")
    try:
        if len(found) == 1:
            width = found.pop()
            return np.array([row for _, row in rows], np.float64).reshape(len(rows), width)
        return _mixed(rows)
    except ValueError:
        for number, row in rows:
            for word in row:
                if not _is_number(word):
                    raise UserError(f"{path}:{number}: '{word}' is not a number") from None
        raise


def _mixed(rows) -> np.ndarray:
    from siamjax.geometry.polygons import pixel_corners

    values = [np.array(row, np.float64) for _, row in rows]
    return np.stack([pixel_corners(value) for value in values])


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__


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
