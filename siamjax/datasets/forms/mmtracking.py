"""Results of all sequences in one file, as `tools/test.py --out results.pkl` of mmtracking writes
them: a pickled `{"track_bboxes": rows}`, the sequences one after the other.

A row per frame: left, top, right, bottom and score; in supervised runs of VOT also a mark (1
starts, 2 fails, 0 pauses) and a score. Pixels are counted as in the benchmark's own files. A pickle
can be a program; the reader here builds arrays of numbers and refuses the rest.
"""

import codecs
import io
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from siamjax.datasets.forms.base import FAILURE, REGION, START, UNKNOWN, Run
from siamjax.datasets.sequence import Sequence, shifted
from siamjax.errors import UserError

KEYS = ("track_bboxes", "track_results")  # newer and older versions
MARKS = (UNKNOWN, START, FAILURE)
NEAR = 1.0  # pixels between a run's first box and the true one


def _empty(*_) -> np.ndarray:
    """What an array's numbers are then put into; numpy's own would allocate any size first."""
    return np.empty(0, np.uint8)


_KNOWN = {
    "numpy.core.multiarray._reconstruct": _empty,  # numpy 1
    "numpy._core.multiarray._reconstruct": _empty,
    "numpy.ndarray": np.ndarray,
    "numpy.dtype": np.dtype,
    "_codecs.encode": codecs.encode,
}


class _Numbers(pickle._Unpickler):  # in Python: the one in C reserves what a damaged file asks for
    def find_class(self, module: str, name: str):
        try:
            return _KNOWN[f"{module}.{name}"]
        except KeyError:
            raise pickle.UnpicklingError(f"it wants to run {module}.{name}") from None


def runs(path: Path, sequences: tuple[Sequence, ...]) -> Iterator[tuple[Sequence, Run]]:
    """The run of each sequence, 0-based.

    Raises:
        UserError: not such a file, or not of these sequences.
    """
    rows = _rows(path)
    if len(rows) != (frames := sum(map(len, sequences))):
        raise UserError(
            f"{path}: {len(rows)} rows for the {frames} frames of {len(sequences)} sequences;"
            " give the benchmark that the tracker ran on, whole"
        )
    left, start = list(sequences), 0
    while left:
        sequence = next((s for s in left if _begins(rows[start], s)), None)
        if sequence is None:
            raise UserError(f"{path}: row {start + 1} is the first box of none of the sequences")
        left.remove(sequence)
        yield sequence, _run(rows[start : start + len(sequence)], sequence.base)
        start += len(sequence)


def _rows(path: Path) -> list[np.ndarray]:
    try:
        found = _Numbers(io.BytesIO(path.read_bytes())).load()
        rows = next(found[key] for key in KEYS if key in found)
        rows = [np.asarray(row, np.float64) for row in rows]
    except Exception as error:  # a damaged pickle raises almost anything
        why = str(error) or type(error).__name__
        raise UserError(f"{path}: not results of mmtracking ({why}); write it again") from None
    for number, row in enumerate(rows, 1):
        if row.shape != (5,) and not (row.shape == (2,) and row[0] in MARKS):
            raise UserError(f"{path}: row {number} is neither a box with its score nor a mark")
    return rows


def _begins(row: np.ndarray, sequence: Sequence) -> bool:
    """Whether a row is the first of a sequence's run."""
    if len(row) == 2:
        return row[0] == START
    first = shifted(sequence.boxes[:1], sequence.base)[0]
    return bool(np.abs(_box(row) - first).max() <= NEAR)


def _box(row: np.ndarray) -> np.ndarray:
    return np.concatenate([row[:2], row[2:4] - row[:2]])


def _run(rows: list[np.ndarray], base: int) -> Run:
    boxes = np.array([_box(row) if len(row) == 5 else np.full(4, np.nan) for row in rows])
    codes = np.array([REGION if len(row) == 5 else row[0] for row in rows], np.int8)
    scores = np.array([row[-1] if row[-1] >= 0 else np.nan for row in rows])
    return Run(shifted(boxes, -base), codes, scores)
