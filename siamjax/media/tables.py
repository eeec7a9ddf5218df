"""Tables of numbers in text files: the one reader of box files, ground truth and result files.

Columns are separated by commas, semicolons, tabs or spaces; lines end as on any system; a byte
order mark is no text; a first line of names is a header. An empty line is a row without numbers: no
target in that frame. Empty lines at the end are nothing.
"""

import contextlib
import itertools
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from fastnumbers import try_array

from siamjax.errors import UserError
from siamjax.geometry.polygons import box_of_region, pixel_corners
from siamjax.media.lines import FORMS, Lines, as_number, box_form, column, place, read_lines
from siamjax.media.plain import read_plain

_FRAME, _TARGET, _CONFIDENCE = "frame", "target track trackid id", "confidence conf score"
_MOT = ("frame", "id", "x", "y", "w", "h", "confidence")  # and more; the box is in the first six
_MOST_FRAMES = 10_000_000  # more than any video has


class BoxRows(NamedTuple):
    """Boxes of several targets, in the order of the file.

    Attributes:
        frames: (N,) int, counted from 0.
        targets: the name of each box's target; "0" where the file names none.
        boxes: (N, 4) x, y, w, h, px counted from 0.
        confidences: (N,) as the file has them; 1 where it has none.
        unread: numbers of the lines that hold no such box.
    """

    frames: np.ndarray
    targets: list[str]
    boxes: np.ndarray
    confidences: np.ndarray
    unread: list[int]


def read_table(path: Path, widths: tuple[int, ...] = (4,), lenient: bool = False) -> np.ndarray:
    """Reads rows of numbers, one per frame.

    Where boxes are read (4 in `widths`), a header may name their columns, in any order and among
    others: x,y,w,h or corners x1,y1,x2,y2 or centres cx,cy,w,h; with a column "frame", counted from
    0, frames that are not in the file have no target.

    Args:
        path: text file, see the head of this module.
        widths: allowed numbers of columns.
        lenient: a row of another length is NaN, as is a word that is no number; a file without rows
            gives none.

    Returns:
        (rows, width) float64; NaN in empty rows and where the file says "NaN" (any case). Where
            `widths` allows 4 and 8 and both occur, boxes become polygons of 8 numbers.

    Raises:
        UserError: no such file, no row, a row with another number of columns, or not a number;
            names file and line.
    """
    plain = read_plain(path, widths)
    if plain is not None:
        return plain
    lines = read_lines(path, widths)
    if not lines.rows:
        if lenient:
            return np.empty((0, widths[0]))
        what = "no row of numbers in it" if lines.names else "the file is empty"
        raise UserError(f"{path}: {what}; rows x,y,w,h are expected")
    if 4 in widths and (form := box_form(lines.names)):
        if _has_frames(lines):
            return _by_frame(path, _box_rows(lines))
        return _sizes(form, _numbers(path, _columns(path, lines, form, lenient), (4,), lenient))
    return _numbers(path, lines, widths, lenient)


def read_boxes(path: Path) -> np.ndarray:
    """One target's boxes (N, 4) or polygons (N, 8), a row per frame.

    Besides what `read_table` takes, MOT Challenge's rows; frames that are not in such a file have
    no target.

    Raises:
        UserError: as `read_table`; several targets, or two boxes in a frame.
    """
    lines = read_lines(path, (4, 8))
    return _by_frame(path, _box_rows(lines)) if _has_frames(lines) else read_table(path, (4, 8))


def read_box_rows(path: Path) -> BoxRows:
    """A table of several targets' boxes: MOT Challenge's, frame,target,x,y,w,h,confidence and more,
    counted from 1, or one with a header that names such columns, counted from 0.

    Raises:
        UserError: no such file, or a header without frames or boxes.
    """
    lines = read_lines(path)
    if lines.names and not _has_frames(lines):
        raise UserError(f"{path}: its first line must be like frame,target,x,y,w,h")
    return _box_rows(lines)


def first_pixel(path: Path) -> int:
    """What the left and upper edge of the first pixel are called: 1 in the files of OTB and of
    `siamjax render`, groundtruth_rect.txt, else 0."""
    return int(path.name.startswith("groundtruth_rect"))


def has_frames(path: Path) -> bool:
    """Whether a table names the frame of each row, as `read_box_rows` needs it.

    Raises:
        UserError: no such file.
    """
    return _has_frames(read_lines(path))


def read_targets(path: Path) -> BoxRows:
    """Where targets start: the first box of each, at least one.

    Args:
        path: a box per target, 4 or 8 numbers, all in frame 0; or a table of frames, as
            `read_box_rows` takes it. Rows without numbers are no targets.

    Raises:
        UserError: as `read_table` and `read_box_rows`; no box in it.
    """
    lines = read_lines(path, (4, 8))
    if _has_frames(lines):
        rows = _box_rows(lines)
        if rows.unread:
            raise UserError(f"{path}:{rows.unread[0]}: not a frame, a target and a box")
    else:
        boxes = read_table(path, (4, 8))
        boxes = boxes if boxes.shape[1] == 4 else box_of_region(boxes)
        count = len(boxes)
        rows = BoxRows(np.zeros(count, int), [*map(str, range(count))], boxes, np.ones(count), [])
    known = np.isfinite(rows.boxes).all(1)
    starts: dict[str, int] = {}
    for i in np.argsort(rows.frames, kind="stable").tolist():
        if known[i]:
            starts.setdefault(rows.targets[i], i)
    if not starts:
        raise UserError(f"{path}: no box in it; give a row x,y,w,h per target")
    chosen = [*starts.values()]
    return BoxRows(rows.frames[chosen], [*starts], rows.boxes[chosen], rows.confidences[chosen], [])


def read_values(path: Path) -> np.ndarray:
    """(N,) all numbers of a file, in rows, columns or both; NaN for a word that is no number.

    Raises:
        UserError: no such file.
    """
    words = (word for row in read_lines(path).rows for word in row)
    return np.array([as_number(word) for word in words], np.float64)


def read_flags(path: Path, count: int) -> np.ndarray:
    """(count,) bool from 0 and 1 in rows, columns or both.

    Raises:
        UserError: another number of values than `count`, or not a number.
    """
    plain = read_plain(path, (1, count))
    values = read_values(path) if plain is None else plain.ravel()
    if np.isnan(values).any():
        raise UserError(f"{path}: 0 or 1 per frame is expected; restore the file")
    if len(values) != count:
        raise UserError(f"{path}: {len(values)} values for {count} frames; restore the file")
    return values > 0


def _numbers(path: Path, lines: Lines, widths: tuple[int, ...], lenient: bool) -> np.ndarray:
    """(rows, width) float64 of words."""
    rows = lines.rows
    found = {*map(len, rows)} - {0}
    if len(found) == 1 and found <= {*widths}:
        words = list(itertools.chain.from_iterable(rows))
        table = np.full((len(rows), min(found)), np.nan)
        with contextlib.suppress(ValueError):  # the word is named below
            table[list(map(bool, rows))] = try_array(words, dtype=np.float64).reshape(-1, *found)
            return table
    values = []
    for number, words in enumerate(rows, lines.first):
        numbers = [as_number(word) for word in words]
        if words and len(words) not in widths:
            if not lenient:
                allowed = " or ".join(map(str, widths))
                raise UserError(
                    f"{path}:{number}: {len(words)} numbers where {allowed} are expected"
                )
            numbers = []
        if None in numbers and not lenient:
            word = words[numbers.index(None)]
            raise UserError(f"{path}:{number}: {word!r} is not a number")
        values.append(np.array(numbers or [np.nan] * widths[0], np.float64))  # None becomes NaN
    if len({*map(len, values)}) > 1:
        values = [pixel_corners(row) for row in values]
    return np.stack(values)


def _has_frames(lines: Lines) -> bool:
    """Whether rows name their frames: by a header, or as MOT Challenge has them."""
    if lines.names:
        return box_form(lines.names) is not None and column(lines.names, _FRAME) is not None
    found = {*map(len, lines.rows)} - {0}
    return bool(found) and min(found) >= len(_MOT) - 1 and 8 not in found


def _columns(path: Path, lines: Lines, form: str, lenient: bool) -> Lines:
    """The four columns of the boxes alone."""
    chosen = [place(lines.names, wanted) for wanted in FORMS[form]]
    rows = []
    for number, row in enumerate(lines.rows, lines.first):
        if row and len(row) != len(lines.names):
            if not lenient:
                raise UserError(
                    f"{path}:{number}: {len(row)} columns where the header names {len(lines.names)}"
                )
            row = []
        rows.append([row[i] for i in chosen] if row else [])
    return lines._replace(rows=rows)


def _sizes(form: str, boxes: np.ndarray) -> np.ndarray:
    """Left, top, width, height of boxes (N, 4) in a form of a header."""
    low, high = boxes[:, :2], boxes[:, 2:]
    if form == "corners":
        high = high - low
    elif form == "centre":
        low = low - high / 2
    return np.concatenate([low, high], 1)


def _box_rows(lines: Lines) -> BoxRows:
    """The boxes of a table with a header, or of MOT Challenge's."""
    names, base = (lines.names, 0) if lines.names else (_MOT, 1)
    form = box_form(names) or "sizes"
    columns = [place(names, wanted) for wanted in (_FRAME, *FORMS[form])]
    target, confidence = column(names, _TARGET), column(names, _CONFIDENCE)
    found, targets, unread = [], [], []
    for number, row in enumerate(lines.rows, lines.first):
        if not row:
            continue
        words = [_word(row, i) for i in columns]
        words.append("1" if confidence is None else _word(row, confidence, "1"))
        numbers = [as_number(word) for word in words]
        frame = numbers[0]
        if None in numbers or frame is None or not base <= frame < _MOST_FRAMES or frame % 1:
            unread.append(number)
            continue
        found.append(numbers)
        name = "0" if target is None else _word(row, target)
        targets.append(re.sub(r"^(\d+)\.0*$", r"\1", name))
    table = np.array(found, np.float64).reshape(-1, 6)
    boxes = _sizes(form, table[:, 1:5]) - np.array([base, base, 0, 0])
    return BoxRows(table[:, 0].astype(int) - base, targets, boxes, table[:, 5], unread)


def _word(row: list[str], column: int, default: str = "?") -> str:
    return row[column] if column < len(row) else default


def _by_frame(path: Path, rows: BoxRows) -> np.ndarray:
    """(frames, 4) boxes of one target, NaN where there is none.

    Raises:
        UserError: a line that is no box, several targets, two boxes in a frame.
    """
    if rows.unread:
        raise UserError(f"{path}:{rows.unread[0]}: not a frame, a target and a box")
    if not rows.targets:
        raise UserError(f"{path}: no box in it; give a row per frame")
    if len({*rows.targets}) > 1:
        raise UserError(f"{path}: boxes of {len({*rows.targets})} targets where one is expected")
    (frame, times), *_ = Counter(rows.frames.tolist()).most_common(1)
    if times > 1:
        raise UserError(f"{path}: {times} boxes in frame {frame}; leave one of them")
    boxes = np.full((rows.frames.max() + 1, 4), np.nan)
    boxes[rows.frames] = rows.boxes
    return boxes
