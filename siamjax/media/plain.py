"""Tables of numbers in their plainest form, read all at once: one separator, the same number of
columns in each line, no header, no empty line. Most files of boxes are; what is not is read by
`siamjax.media.tables` line by line, to the same numbers."""

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

_SEPARATORS = (b",", b"\t", b";", b" ")
_BREAK, _POINT = b"\n", b"."
_MOST = 15  # digits of a number that float64 holds exactly
_POWERS = 10.0 ** np.arange(_MOST + 2)


def read_plain(path: Path, widths: tuple[int, ...]) -> np.ndarray | None:
    """(rows, width) float64 of a plain table with one of these numbers of columns; None: it is no
    such file, or cannot be read."""
    try:
        data = Path(path).read_bytes()
    except OSError:
        return None
    data = data.replace(b"\r\n", _BREAK).rstrip(_BREAK)
    used = [separator for separator in _SEPARATORS if separator in data]
    if not data or len(used) > 1:
        return None
    separator = used[0] if used else b","
    width = data.partition(_BREAK)[0].count(separator) + 1
    text = np.frombuffer(data + _BREAK, np.uint8)
    ends = np.flatnonzero((text == separator[0]) | (text == _BREAK[0]))
    # a line ends after each `width` numbers, and nowhere else
    regular = len(ends) % width == 0 and (text[ends[width - 1 :: width]] == _BREAK[0]).all()
    if width not in widths or not regular or data.count(_BREAK) + 1 != len(ends) // width:
        return None
    data = data.replace(_BREAK, separator)
    values = _decimals(data, separator, text, ends)
    if values is None:
        values = _parsed(data, separator, len(ends), np.float64)
    return None if values is None else values.reshape(-1, width)


def _decimals(
    data: bytes, separator: bytes, text: np.ndarray, ends: np.ndarray
) -> np.ndarray | None:
    """Numbers of few digits, without exponents: whole numbers over powers of ten, a quotient that
    is rounded once; several times faster than reading decimals.

    Args:
        text, ends: the bytes, and where each number in them ends.
    """
    points = np.flatnonzero(text == _POINT[0])
    place = np.searchsorted(ends, points)
    if np.diff(ends, prepend=-1).max() > _MOST + 1 or (np.diff(place) < 1).any():
        return None
    digits = data.replace(_POINT, b"")
    bare_sign = digits.endswith(b"-") or b"-" + separator in digits  # would read as 0
    values = None if bare_sign else _parsed(digits, separator, len(ends), np.int64)
    if values is None:
        return None
    after = np.zeros(len(ends), np.int64)
    after[place] = ends[place] - points - 1
    return values / _POWERS[after]


def _parsed(data: bytes, separator: bytes, count: int, dtype: DTypeLike) -> np.ndarray | None:
    """So many numbers; None where a word is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a word that is no number
        try:
            values = np.fromstring(data, dtype, sep=separator.decode())
        except (DeprecationWarning, ValueError):
            return None
    return values if len(values) == count else None
