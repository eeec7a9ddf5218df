"""Result files in each benchmark's own form: where they lie, reading, writing, and what is there
already.

- flat (OTB, UAV123, LaSOT, NFS, DTB70, TrackingNet): `<tracker>/<sequence>.txt`, a row
  left,top,width,height per frame, the first frame included, counted from the benchmark's own first
  pixel.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from siamjax.benchmarks.dataset import Dataset, key
from siamjax.benchmarks.sequence import Sequence
from siamjax.benchmarks.tables import read_table, write_whole
from siamjax.errors import UserError

REGION, UNKNOWN, START, FAILURE = -1, 0, 1, 2  # what a frame of a run holds


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """What a tracker said about one sequence.

    Attributes:
        regions: (N, 4) left, top, width, height or (N, 8) corners, pixels, 0-based; NaN where there
            is none.
        codes: (N,) `REGION`, or `START`, `FAILURE`, `UNKNOWN` in frames without region (supervised
            runs).
        scores: (N,) the tracker's confidence; NaN where it gave none.
        seconds: (N,) time of the tracker's own work on each frame, without reading the image;
            empty: not measured.
        reading: (N,) time of reading each image; empty: not measured.
    """

    regions: np.ndarray
    codes: np.ndarray
    scores: np.ndarray
    seconds: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0))
    reading: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0))


def _shift(regions: np.ndarray, by: float) -> np.ndarray:
    """Moves boxes or polygons by `by` pixels in x and y."""
    step = [by, by, 0, 0] if regions.shape[1] == 4 else [by] * 8
    return regions + np.array(step, np.float64)


def _numbers(row: np.ndarray) -> str:
    """A row that reads back as the same float64 numbers."""
    return ",".join("nan" if value != value else repr(float(value)) for value in row)


class Flat:
    """One text file per sequence."""

    @staticmethod
    def paths(sequence: Sequence, repetition: int = 1) -> list[str]:
        return [f"{sequence.name}.txt"]

    @staticmethod
    def write(folder: Path, sequence: Sequence, run: Run, repetition: int = 1) -> None:
        rows = _shift(run.regions, sequence.base)
        write_whole(folder / f"{sequence.name}.txt", "".join(_numbers(row) + "\n" for row in rows))

    @staticmethod
    def read(folder: Path, sequence: Sequence) -> list[Run]:
        """The runs of a sequence, here one or none.

        Raises:
            UserError: another number of rows than frames.
        """
        path = find_file(folder, sequence.name)
        if path is None:
            return []
        rows = read_table(path)
        check_length(path, rows, sequence)
        count = len(rows)
        return [
            Run(
                _shift(rows, -sequence.base),
                np.full(count, REGION, np.int8),
                np.full(count, np.nan),
            )
        ]


def check_length(path: Path, rows, sequence: Sequence) -> None:
    if len(rows) != len(sequence):
        raise UserError(
            f"{path}: {len(rows)} rows for {len(sequence)} frames of {sequence.name};"
            " the file belongs to another version of the sequence or was cut off"
        )


_listings: dict[tuple[Path, int], dict[str, Path]] = {}


def find_file(folder: Path, name: str, suffix: str = ".txt") -> Path | None:
    """The file of a sequence, whatever the case and punctuation of its name; None if it is not
    there."""
    exact = folder / f"{name}{suffix}"
    if exact.is_file():
        return exact
    if not folder.is_dir():
        return None
    stamp = (folder, folder.stat().st_mtime_ns)
    if stamp not in _listings:
        _listings.clear()
        _listings[stamp] = {
            key(path.stem): path for path in sorted(folder.glob("*.txt")) if path.name[0] != "."
        }
    return _listings[stamp].get(key(name))


FORMATS: dict[str, Any] = {"flat": Flat}


class Store:
    """The results of several trackers on one benchmark under one folder,
    `<folder>/<tracker>/...`."""

    def __init__(self, folder: Path | str, dataset: Dataset):
        self.folder = Path(folder)
        self.form = FORMATS[dataset.results]

    def trackers(self, is_result: Callable[[Path], bool] | None = None) -> list[str]:
        """The trackers with a folder here; "." where the folder itself holds one tracker's
        files."""
        if not self.folder.is_dir():
            raise UserError(f"--results={self.folder}: no such folder")
        names = sorted(
            path.name for path in self.folder.iterdir() if path.is_dir() and path.name[0] != "."
        )
        if any(path.suffix == ".txt" for path in self.folder.iterdir()):
            return ["."]
        return names

    def done(self, tracker: str, sequence: Sequence, repetition: int = 1) -> bool:
        """Whether all files of a run are there; files are written whole, so they are complete."""
        names = self.form.paths(sequence, repetition)
        return all((self.folder / tracker / name).is_file() for name in names)

    def write(self, tracker: str, sequence: Sequence, run: Run, repetition: int = 1) -> None:
        self.form.write(self.folder / tracker, sequence, run, repetition)

    def read(self, tracker: str, sequence: Sequence) -> list[Run]:
        """All repetitions found; empty if there is none."""
        return self.form.read(self.folder / tracker, sequence)


def write_times(path: Path, run: Run) -> None:
    """Two columns per frame: seconds of reading the image, seconds of the tracker."""
    write_whole(
        path, "".join(f"{r:.6f},{s:.6f}\n" for r, s in zip(run.reading, run.seconds, strict=True))
    )


def read_times(path: Path) -> np.ndarray | None:
    """(N, 2) seconds of reading and of tracking per frame; None where the run was not timed."""
    return read_table(path, (2,)) if path.is_file() else None
