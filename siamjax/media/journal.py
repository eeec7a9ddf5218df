"""The rows of a run that has not ended, kept while it runs: a kill leaves them, a later run resumes
from them.

The file is a CSV table beside the output, with the columns of `Row` and the tracker's state. Its
first line, a comment, says what made it. Rows are appended frame by frame.
"""

import contextlib
import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from siamjax.errors import UserError
from siamjax.files import Appending, write_whole
from siamjax.media.tracks import Row

SUFFIX = ".rows.csv"
STATE = ("state_cx", "state_cy", "state_w", "state_h", "state_lost")
_COLUMNS = (*Row._fields, "name", *STATE)


class State(NamedTuple):
    """Where a target is, to the bit: what a tracker needs besides template and weights."""

    cx: float
    cy: float
    w: float
    h: float
    lost: bool


class Past(NamedTuple):
    """What an earlier run left.

    Attributes:
        head: what made it.
        rows: of each frame, by its number.
        states: of the targets in the last of these frames, by target.
        text: of the file up to the last of these frames.
    """

    head: dict[str, Any]
    rows: dict[int, list[Row]]
    states: dict[int, State]
    text: str

    @property
    def last(self) -> int:
        """Number of the last frame that has rows; -1: none has."""
        return max(self.rows, default=-1)


class Journal:
    """Appends rows to a file.

    Args:
        path: of the file, made anew.
        head: what makes it; must be JSON. "names" are those of the targets.
        past: what the file begins with; its own head is replaced.

    Raises:
        UserError: the file cannot be written.
    """

    def __init__(self, path: Path, head: dict[str, Any], past: Past | None = None):
        self.path, self._head = path, head
        self.frames = len(past.rows) if past else 0
        body = past.text.partition("\n")[2] if past else ",".join(_COLUMNS) + "\n"
        write_whole(path, _comment(head) + body)
        self._file = Appending(path)

    def append(self, rows: Sequence[Row], states: Sequence[State]) -> None:
        """The rows of a frame, and the targets' states after it; they outlive the process at once.

        Raises:
            UserError: no space is left.
        """
        if not rows:
            return
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        names = dict(enumerate(self._head.get("names", ())))
        for row, state in zip(rows, states, strict=True):
            name = names.get(row.target, "")
            table.writerow((*row[:-1], int(row.lost), name, *state[:-1], int(state.lost)))
        self._file.append(text.getvalue().encode())
        self.frames += 1

    def close(self, keep: bool = True, **head: Any) -> None:
        """Ends the file.

        Args:
            keep: whether it stays.
            head: what else its first line says.

        Raises:
            UserError: the file cannot be written.
        """
        self._file.close()
        if not keep:
            self.path.unlink(missing_ok=True)
        elif head:
            body = self.path.read_text("utf-8").partition("\n")[2]
            write_whole(self.path, _comment(self._head | head) + body)


def read(path: Path) -> Past | None:
    """What is in a file of `Journal`; None: there is no such file.

    The last frame is left out, since a kill may have torn it.

    Raises:
        UserError: another kind of file.
    """
    try:
        text = path.read_bytes().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    comment, columns, *lines = [*text.split("\n")[:-1], "", ""]
    try:
        head = json.loads(comment.removeprefix("#"))
    except (ValueError, RecursionError):
        head = None
    if not isinstance(head, dict) or columns != ",".join(_COLUMNS):
        raise UserError(f"{path}: not the rows of a run of this version; move it away")
    found = []
    # a kill may have torn a row
    with contextlib.suppress(ValueError, IndexError, OverflowError, csv.Error):
        for words in csv.reader(lines):
            found.append(_parsed(words))
    end = found[-1][0].frame if found else 0
    kept = [(row, state) for row, state in found if row.frame < end]
    rows: dict[int, list[Row]] = {}
    for row, _ in kept:
        rows.setdefault(row.frame, []).append(row)
    last = max(rows, default=-1)
    states = {row.target: state for row, state in kept if row.frame == last}
    return Past(head, rows, states, "\n".join([comment, columns, *lines[: len(kept)], ""]))


def _parsed(words: list[str]) -> tuple[Row, State]:
    frame, target, *numbers = words
    numbers.pop(len(Row._fields) - 2)  # the name
    x, y, w, h, score, second_peak, lost, *state, wide = map(float, numbers)
    row = Row(int(frame), int(target), x, y, w, h, score, second_peak, bool(lost))
    cx, cy, width, height = state
    return row, State(cx, cy, width, height, bool(wide))


def _comment(head: dict[str, Any]) -> str:
    return f"# {json.dumps(head)}\n"
