"""Text files of numbers as rows of words.

Columns are separated by commas, semicolons, tabs or spaces; lines end as on any system; a byte
order mark is no text; a first line of names is a header. An empty line is a row without words, and
nothing at the end of the file.
"""

import csv
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from siamjax.errors import UserError

_SEPARATORS = str.maketrans(",;\t", "   ")
_MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_UNKNOWN = {"", "none", "null", "na", "n/a", "-"}
# what headers call the numbers of a box
_X, _Y = "x left xmin x1 bbleft", "y top ymin y1 bbtop"
_W, _H = "w width bbwidth", "h height bbheight"
FORMS = {
    "sizes": (_X, _Y, _W, _H),
    "corners": (_X, _Y, "x2 right xmax", "y2 bottom ymax"),
    "centre": ("cx xc xcenter centerx", "cy yc ycenter centery", _W, _H),
}


class Lines(NamedTuple):
    """A table as text.

    Attributes:
        names: of the columns, lower-case letters and digits; empty without a header.
        rows: the words of each line; none in an empty one.
        first: number of the line that the first row stands in, from 1.
    """

    names: tuple[str, ...]
    rows: list[list[str]]
    first: int


def read_lines(path: Path, widths: tuple[int, ...] = ()) -> Lines:
    """The words of a text file.

    Args:
        widths: expected numbers of columns; they tell whether a comma between digits is a decimal
            point where other separators stand beside it.

    Raises:
        UserError: no such file, or a comma that may be either.
    """
    text = read_text(path)
    # some programs end lines by "\r\r\n"
    if "\r" in text:
        text = text.replace("\r\r\n", "\n").replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    while lines and not lines[-1].strip(" ,;\t"):
        lines.pop()
    names, first = _header(lines)
    if box_form(names):  # its separator is that of the rows: names of targets may hold spaces
        rows = [_split(line, _separator(lines[first - 1])) for line in lines[first:]]
    else:
        rows = [line.split() for line in _pointed(path, lines[first:], widths)]
    return Lines(names, rows if any(rows) else [], first + 1)


def read_text(path: Path) -> str:
    """A text file in UTF-8, or in UTF-16 with a byte order mark; other bytes become U+FFFD.

    Raises:
        UserError: it cannot be read, or holds no text.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); restore it from the data set"
        ) from None
    mark = next(filter(data.startswith, _MARKS), b"")
    if not mark and b"\0" in data:
        raise UserError(f"{path}: not a text file")
    return data[len(mark) :].decode(_MARKS.get(mark, "utf-8"), errors="replace")


def box_form(names: tuple[str, ...]) -> str | None:
    """How the columns of a header give a box, a name in `FORMS`; None: they do not."""
    if "x3" in names:  # a polygon
        return None
    forms = (f for f, wanted in FORMS.items() if all(column(names, w) is not None for w in wanted))
    return next(forms, None)


def column(names: tuple[str, ...], wanted: str) -> int | None:
    """Index of the first column that has one of the names."""
    return next((i for i, name in enumerate(names) if name in wanted.split()), None)


def place(names: tuple[str, ...], wanted: str) -> int:
    """As `column`, of a header that has it."""
    index = column(names, wanted)
    assert index is not None
    return index


def as_number(word: str) -> float | None:
    """A word's number, NaN for "none" and its like; None: it is no number."""
    try:
        return None if "_" in word else float(word)  # Python's own 1_000 is in no data set
    except ValueError:
        return np.nan if word.lower() in _UNKNOWN else None


def _header(lines: list[str]) -> tuple[tuple[str, ...], int]:
    """The names in the last line of names or comments above the first row, and the number of lines
    up to it. Without such a line, empty ones at the head are frames."""
    names: tuple[str, ...] = ()
    head = 0
    for number, line in enumerate(lines, 1):
        words = line.translate(_SEPARATORS).split()
        if not words:
            continue
        if words[0][0] not in "#%" and any(as_number(word) is not None for word in words):
            break
        fields = _split(line.lstrip(" #%"), _separator(line))
        names = tuple(re.sub(r"[^a-z0-9]", "", field.lower()) for field in fields) or ("",)
        head = number
    return names, head


def _separator(line: str) -> str | None:
    """What separates the fields of a header; None: spaces."""
    return next((mark for mark in ";\t," if mark in line), None)


def _split(line: str, separator: str | None) -> list[str]:
    """The fields of a line below a header, decimal commas as points; none if all are empty."""
    if separator is None or separator not in line:
        return line.translate(_SEPARATORS).split()
    fields = [field.strip() for field in next(csv.reader([line], delimiter=separator), [])]
    if separator != ",":
        fields = [re.sub(r"^(-?\d+),(\d+)$", r"\1.\2", field) for field in fields]
    return fields if any(fields) else []


def _pointed(path: Path, lines: list[str], widths: tuple[int, ...]) -> list[str]:
    """Lines with spaces for separators, and with decimal points where they have decimal commas."""
    text = "\n".join(lines)
    decimal = re.search(r"\d,\d", text)
    if decimal:
        start = text.rfind("\n", 0, decimal.start()) + 1
        line = text[start:].partition("\n")[0].strip(" ,;\t")
        outer = len(re.split(r"[;\t ]+", line))
        if outer > 1 and outer in widths:
            if len(line.translate(_SEPARATORS).split()) in widths:
                raise UserError(
                    f"{path}: commas may be decimal points or separators in '{line}';"
                    " separate all numbers by commas and write points"
                )
            text = text.replace(",", ".")
    return text.translate(_SEPARATORS).split("\n")
