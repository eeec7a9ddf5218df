"""The rows of a run that has not ended, kept while it runs: a kill leaves them, a later run resumes
from them.

The file is a CSV table beside the output, with the columns of `Row`, the tracker's state and a
checksum of the line. Its first line, a comment, says what made it, and has a checksum, too. Rows
are appended frame by frame.
"""

import contextlib
import csv
import io
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from siamjax import checksums
from siamjax.errors import UserError
from siamjax.files import Appending, write_whole
from siamjax.media.tracks import Row

SUFFIX = ".rows.csv"
STATE = ("state_cx", "state_cy", "state_w", "state_h", "state_lost", "state_evidence")
SEAL = "crc32c"
_COLUMNS = (*Row._fields, "name", *STATE, SEAL)


class State(NamedTuple):
    """Where a target is, to the bit: what a tracker needs besides template and weights."""

    cx: float
    cy: float
    w: float
    h: float
    lost: bool
    evidence: float


class Past(NamedTuple):
    """What an earlier run left.

    Attributes:
        head: what made it.
        rows: of each frame, by its number.
        states: of the targets in the last of these frames, by target.
        text: of the file up to the last of these frames.
        damaged: number of the first line that is not as it was written, from 1; it and what
            follows is left out. None: there is none.
        frames: in the file, with the last, which is not among the rows.
    """

    head: dict[str, Any]
    rows: dict[int, list[Row]]
    states: dict[int, State]
    text: str
    damaged: int | None = None
    frames: int = 0

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
        names = dict(enumerate(self._head.get("names", ())))
        lines = ""
        for row, state in zip(rows, states, strict=True):
            text = io.StringIO()
            words = (*row[:-2], int(row.lost), row.presence, names.get(row.target, ""))
            where = (*state[:4], int(state.lost), state.evidence)
            csv.writer(text, lineterminator="").writerow((*words, *where))
            lines += f"{text.getvalue()},{_seal(text.getvalue())}\n"
        self._file.append(lines.encode())
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
        UserError: another kind of file, or its first line is damaged.
    """
    try:
        text = path.read_bytes().decode("utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    whole = text.split("\n")[:-1]
    comment, columns = [*whole, "", ""][:2]
    try:
        head = json.loads(comment.removeprefix("#"))
    except (ValueError, RecursionError):
        head = None
    if not isinstance(head, dict) or columns != ",".join(_COLUMNS):
        raise UserError(f"{path}: not the rows of a run of this version; move it away")
    if SEAL not in head or not checksums.unseal(head, SEAL, head):
        raise UserError(
            f"{path}: its first line is damaged; move it away (siamjax labels reads its rows)"
        )
    lines = [*itertools.takewhile(_fits, whole[2:])]
    found = []
    # whatever a stranger has sealed
    with contextlib.suppress(ValueError, OverflowError, csv.Error):
        for words in csv.reader(line.rpartition(",")[0] for line in lines):
            found.append(_parsed(words))
    damaged = None if len(lines) == len(whole[2:]) else 3 + len(lines)
    end = found[-1][0].frame if found else 0
    kept = [(row, state) for row, state in found if row.frame < end]
    rows: dict[int, list[Row]] = {}
    for row, _ in kept:
        rows.setdefault(row.frame, []).append(row)
    last = max(rows, default=-1)
    states = {row.target: state for row, state in kept if row.frame == last}
    left = "\n".join([comment, columns, *lines[: len(kept)], ""])
    frames = len({row.frame for row, _ in found})
    return Past(head, rows, states, left, damaged, frames)


def table(text: str) -> tuple[str, int]:
    """The CSV table in the text of such a file, without damaged rows; and how many these are. A
    last row that a kill has torn stays."""
    columns, *lines = text.split("\n")[1:] or [""]
    if not columns.endswith(f",{SEAL}"):  # before 0.3
        return "\n".join([columns, *lines]), 0
    *whole, torn = lines or [""]
    kept = [*filter(_fits, whole)]
    return "\n".join([columns, *kept, torn]), len(whole) - len(kept)


def _parsed(words: list[str]) -> tuple[Row, State]:
    frame, target, *numbers, lost, presence, _, cx, cy, width, height, wide, evidence = words
    x, y, w, h, score, second_peak = map(float, numbers)
    judged = float(presence) if presence else None
    row = Row(int(frame), int(target), x, y, w, h, score, second_peak, lost == "1", judged)
    place = float(cx), float(cy), float(width), float(height)
    return row, State(*place, wide == "1", float(evidence))


def _seal(text: str) -> str:
    """CRC-32C of a row."""
    return f"{checksums.of_values(text):08x}"


def _fits(line: str) -> bool:
    """Whether a line is as it was written."""
    text, _, seal = line.rpartition(",")
    return seal == _seal(text)


def _comment(head: dict[str, Any]) -> str:
    return f"# {json.dumps(head | {SEAL: checksums.of_values(head)})}\n"
