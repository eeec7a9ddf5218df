"""Scores of a tracker beside its result files.

`<result file without its suffix>_confidence.value` has a score per frame, an empty line where there
is none, as vot-toolkit writes it; readers of boxes look for `.txt` and pass it over. Read as well:
`<sequence>_object_presence_scores.txt`, as pytracking writes it.
"""

import contextlib
from pathlib import Path

import numpy as np

from siamjax.errors import UserError
from siamjax.files import write_whole
from siamjax.media.lines import read_text


def beside(path: Path) -> Path:
    """The file of scores of a result file."""
    return path.with_name(f"{path.stem}_confidence.value")


def text(scores: np.ndarray) -> str:
    """Scores (N,) with six decimals; NaN is an empty line."""
    return "".join("\n" if np.isnan(score) else f"{score:.6f}\n" for score in scores)


def parse(path: Path) -> np.ndarray:
    """(N,) scores of a file; NaN where a line is empty.

    Raises:
        UserError: unreadable, or a line that is no number.
    """
    try:
        lines = read_text(path).removesuffix("\n").split("\n")
        return np.array([float(line) if line.strip() else np.nan for line in lines])
    except ValueError:
        raise UserError(f"{path}: a number per frame is expected") from None


def write(path: Path, scores: np.ndarray) -> None:
    """Writes the scores of a result file, before it is written; none where all are the same, which
    is what trackers without scores give.

    Args:
        path: the result file.
        scores: (N,).
    """
    known = scores[~np.isnan(scores)]
    if known.size and (known != known[0]).any():
        write_whole(beside(path), text(scores))
    else:
        with contextlib.suppress(OSError):  # the result file, written next, says what is wrong
            beside(path).unlink()


def read(path: Path) -> np.ndarray | None:
    """(N,) scores beside a result file; None where there are none.

    Raises:
        UserError: as `parse`.
    """
    presence = path.with_name(f"{path.stem}_object_presence_scores.txt")
    return next((parse(place) for place in (beside(path), presence) if place.is_file()), None)
