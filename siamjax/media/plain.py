"""Tables of numbers in their plainest form, read all at once: one separator, the same number of
columns in each line, no header, no empty line. Most files of boxes are; what is not is read by
`siamjax.media.tables` line by line, to the same numbers."""

from pathlib import Path

import numpy as np
from fastnumbers import try_array

_SEPARATORS = (b",", b"\t", b";", b" ")
_BREAK = b"\n"


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
    try:
        words = data.replace(_BREAK, separator).decode("ascii").split(separator.decode())
        return try_array(words, dtype=np.float64).reshape(-1, width)
    except ValueError:  # a word that is no number
        return None
