"""What a tracker reported about a sequence, and the steps that all forms of result files share."""

import abc
import dataclasses
from pathlib import Path

import numpy as np

from siamjax.datasets.sequence import Sequence
from siamjax.errors import UserError
from siamjax.files import write_whole

REGION, UNKNOWN, START, FAILURE = -1, 0, 1, 2  # what a frame of a run holds


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """What a tracker reported about one sequence.

    Attributes:
        regions: (N, 4) left, top, width, height or (N, 8) corners, pixels, 0-based; NaN where there
            is none.
        codes: (N,) `REGION`, or `START`, `FAILURE`, `UNKNOWN` in frames without region (supervised
            runs).
        scores: (N,) the tracker's confidence; NaN where it gave none.
        seconds: (N,) time of the tracker's own work on each frame, without reading the image;
            empty: not measured.
        reading: (N,) time of reading each image; empty: not measured.
        missing: so many rows at the end are not in the file; they are NaN here.
        notes: what was found in the file and how it is counted, a line each.
    """

    regions: np.ndarray
    codes: np.ndarray
    scores: np.ndarray
    seconds: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0))
    reading: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0))
    missing: int = 0
    notes: tuple[str, ...] = ()


def unscored(regions: np.ndarray, codes: np.ndarray | None = None) -> Run:
    """A run without confidences from regions (N, 4) or (N, 8); without codes (N,) every frame has
    one."""
    if codes is None:
        codes = np.full(len(regions), REGION, np.int8)
    return Run(regions, codes, np.full(len(regions), np.nan))


def without_region(regions: np.ndarray) -> np.ndarray:
    """(N,) bool: rows that are NaN or infinite or have no area: a miss in every measure.

    Args:
        regions: (N, 4) left, top, width, height or (N, 8) corners.
    """
    with np.errstate(all="ignore"):
        if regions.shape[1] == 4:
            area = regions[:, 2:].min(1)
        else:
            x, y = regions[:, 0::2], regions[:, 1::2]
            area = np.abs((x * np.roll(y, -1, 1) - np.roll(x, -1, 1) * y).sum(1))
        return ~(np.isfinite(regions).all(1) & (area > 0))


class Form(abc.ABC):
    """Where the result files of a sequence lie below a tracker's folder, and their text."""

    @abc.abstractmethod
    def paths(self, sequence: Sequence, repetition: int = 1) -> list[str]:
        """Files of a run; the last is written last."""

    @abc.abstractmethod
    def texts(self, sequence: Sequence, run: Run) -> list[str]:
        """The text of each of the files of a run, in the precision of the benchmark."""

    @abc.abstractmethod
    def files(self, folder: Path, sequence: Sequence) -> list[Path]:
        """The last files of the runs to score that are in a tracker's folder."""

    @abc.abstractmethod
    def read_file(self, path: Path, sequence: Sequence) -> Run:
        """One run, 0-based.

        Raises:
            UserError: unreadable.
        """

    def frames(self, path: Path, sequence: Sequence) -> int:
        """Frames of the run in a file."""
        return len(sequence)

    def write(self, folder: Path, sequence: Sequence, run: Run, repetition: int = 1) -> None:
        """Writes a run's files, each whole."""
        paths = self.paths(sequence, repetition)
        for path, text in zip(paths, self.texts(sequence, run), strict=True):
            write_whole(folder / path, text)

    def read(self, folder: Path, sequence: Sequence) -> list[Run]:
        """The runs of a sequence to score.

        Raises:
            UserError: a file that cannot be read or has another number of rows than frames.
        """
        runs = []
        for path in self.files(folder, sequence):
            runs.append(self.read_file(path, sequence))
            check_length(path, runs[-1].codes, self.frames(path, sequence), sequence.name)
        return runs

    def holds(self, folder: Path, sequence: Sequence) -> bool:
        """Whether a tracker's folder has a result of a sequence."""
        return bool(self.files(folder, sequence))


def check_length(path: Path, rows, frames: int, name: str) -> None:
    """One row per frame.

    Raises:
        UserError: another number of rows than frames.
    """
    if len(rows) != frames:
        raise UserError(
            f"{path}: {len(rows)} rows for {frames} frames of {name};"
            " the file belongs to another version of the sequence or was cut off"
        )
