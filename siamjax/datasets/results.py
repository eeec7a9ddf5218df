"""Result files in each benchmark's own form: where they lie, reading, writing.

- flat (OTB, UAV123, LaSOT, NFS, DTB70, TrackingNet): `<tracker>/<sequence>.txt`, a row
  left,top,width,height per frame, the first frame included, counted from the benchmark's own
  first pixel;
- vot: `<tracker>/baseline/<sequence>/<sequence>_001.txt` and so on for repetitions; per frame a
  region with four decimals, or 1 where the run starts, 2 where it fails, 0 where it pauses;
- longterm: `<tracker>/longterm/<sequence>/<sequence>_001.txt` in the same form, and
  `<sequence>_001_confidence.value` with a score per frame, the first line empty;
- multistart: `<tracker>/multistart/<sequence>/<sequence>_<anchor, 8 digits>.txt`, rows in the
  order of the run, which goes backward from anchors marked so;
- got10k: `<tracker>/<sequence>/<sequence>_001.txt` with three decimals, and
  `<sequence>_time.txt` with the seconds per frame.
"""

import dataclasses
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from siamjax.datasets.dataset import Dataset, key
from siamjax.datasets.sequence import Sequence
from siamjax.errors import UserError
from siamjax.files import write_whole
from siamjax.geometry.polygons import corners
from siamjax.media.tables import read_table

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
        """Files of a run below the tracker's folder; the last is written last."""
        return [f"{sequence.name}.txt"]

    @staticmethod
    def write(folder: Path, sequence: Sequence, run: Run, repetition: int = 1) -> None:
        """Writes a run's files, each whole, in the precision of the benchmark."""
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
    """One row per frame.

    Raises:
        UserError: another number of rows than frames.
    """
    if len(rows) != len(sequence):
        raise UserError(
            f"{path}: {len(rows)} rows for {len(sequence)} frames of {sequence.name};"
            " the file belongs to another version of the sequence or was cut off"
        )


def find_file(folder: Path, name: str) -> Path | None:
    """The text file of a sequence, whatever case and punctuation its name has; None: not there."""
    exact = folder / f"{name}.txt"
    if exact.is_file():
        return exact
    if not folder.is_dir():
        return None
    return _by_key(folder, folder.stat().st_mtime_ns).get(key(name))


@lru_cache(maxsize=4)
def _by_key(folder: Path, modified: int) -> dict[str, Path]:
    return {key(path.stem): path for path in sorted(folder.glob("*.txt")) if path.name[0] != "."}


def _codes_and_regions(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads rows that hold a region or a single number, `UNKNOWN`, `START` or `FAILURE`."""
    try:
        lines = path.read_text().split("\n")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    while lines and not lines[-1].strip():
        lines.pop()
    rows = [line.replace("\t", ",").split(",") for line in lines]
    width = max((len(row) for row in rows), default=1)
    width = 8 if width == 8 else 4
    codes = np.full(len(rows), REGION, np.int8)
    regions = np.full((len(rows), width), np.nan)
    try:
        for i, row in enumerate(rows):
            if len(row) == 1:
                codes[i] = int(float(row[0]))
            elif len(row) == width:
                regions[i] = [float(word) for word in row]
            elif len(row) == 4:
                regions[i] = corners([float(word) for word in row])
            else:
                raise ValueError
    except ValueError:
        raise UserError(f"{path}:{i + 1}: a region of 4 or 8 numbers or a code expected") from None
    return codes, regions


def _region_line(code: int, region: np.ndarray) -> str:
    if code != REGION:
        return f"{code}\n"
    return ",".join(f"{value:.4f}" for value in region) + "\n"


class Vot:
    """Supervised runs."""

    experiment = "baseline"
    official = 15  # repetitions of tracker that draws random numbers

    @classmethod
    def paths(cls, sequence: Sequence, repetition: int = 1) -> list[str]:
        """Files of a run below the tracker's folder; the last is written last."""
        return [f"{cls.experiment}/{sequence.name}/{sequence.name}_{repetition:03d}.txt"]

    @classmethod
    def write(cls, folder: Path, sequence: Sequence, run: Run, repetition: int = 1) -> None:
        """Writes a run's files, each whole, in the precision of the benchmark."""
        lines = map(_region_line, run.codes, run.regions)
        write_whole(folder / cls.paths(sequence, repetition)[0], "".join(lines))

    @classmethod
    def files(cls, folder: Path, sequence: Sequence) -> list[Path]:
        """The files of all repetitions; with or without the experiment's folder."""
        for place in (folder / cls.experiment / sequence.name, folder / sequence.name):
            if place.is_dir():
                found = sorted(place.glob(f"{sequence.name}_[0-9][0-9][0-9].txt"))
                if found:
                    return found
        return []

    @classmethod
    def read(cls, folder: Path, sequence: Sequence) -> list[Run]:
        """The runs of a sequence: all of fifteen repetitions; of any other number the first, as
        the published figures were made.

        Raises:
            UserError: another number of rows than frames.
        """
        files = cls.files(folder, sequence)
        if len(files) != cls.official:
            files = files[:1]
        return [cls.read_file(path, sequence) for path in files]

    @classmethod
    def read_file(cls, path: Path, sequence: Sequence) -> Run:
        """One run, 0-based.

        Raises:
            UserError: no numbers, or another number of rows than frames.
        """
        codes, regions = _codes_and_regions(path)
        check_length(path, codes, sequence)
        return Run(regions, codes, np.full(len(codes), np.nan))


class VotToolkit(Vot):
    """Supervised runs as vot-toolkit reads them: all repetitions, however many."""

    @classmethod
    def read(cls, folder: Path, sequence: Sequence) -> list[Run]:
        """The runs of a sequence.

        Raises:
            UserError: another number of rows than frames.
        """
        return [cls.read_file(path, sequence) for path in cls.files(folder, sequence)]


class LongTerm(Vot):
    """Long-term runs: one start, a confidence per frame."""

    experiment = "longterm"

    @classmethod
    def paths(cls, sequence: Sequence, repetition: int = 1) -> list[str]:
        """Files of a run below the tracker's folder; the last is written last."""
        stem = f"{cls.experiment}/{sequence.name}/{sequence.name}_{repetition:03d}"
        return [f"{stem}_confidence.value", f"{stem}.txt"]

    @classmethod
    def write(cls, folder: Path, sequence: Sequence, run: Run, repetition: int = 1) -> None:
        """Writes a run's files, each whole, in the precision of the benchmark."""
        confidence, regions = cls.paths(sequence, repetition)
        scores = ["" if np.isnan(score) else f"{score:.6f}" for score in run.scores]
        write_whole(folder / confidence, "".join(f"{score}\n" for score in scores))
        lines = map(_region_line, run.codes, run.regions)
        write_whole(folder / regions, "".join(lines))

    @classmethod
    def read_file(cls, path: Path, sequence: Sequence) -> Run:
        """One run, 0-based.

        Raises:
            UserError: no numbers, or another number of rows than frames.
        """
        run = super().read_file(path, sequence)
        confidence = path.with_name(f"{path.stem}_confidence.value")
        try:
            lines = confidence.read_text().removesuffix("\n").split("\n")
            scores = np.array([float(line) if line.strip() else np.nan for line in lines])
        except (OSError, ValueError):
            raise UserError(f"{confidence}: a number per frame is expected") from None
        check_length(confidence, scores, sequence)
        return Run(run.regions, run.codes, scores)


class MultiStart(Vot):
    """Runs from anchors; `repetition` is the anchor's frame."""

    experiment = "multistart"

    @classmethod
    def paths(cls, sequence: Sequence, repetition: int = 1) -> list[str]:
        """Files of a run below the tracker's folder; the last is written last."""
        return [f"{cls.experiment}/{sequence.name}/{sequence.name}_{repetition:08d}.txt"]

    @classmethod
    def read(cls, folder: Path, sequence: Sequence) -> list[Run]:
        """The runs of all anchors in their order; none if one is missing.

        Raises:
            UserError: a file that does not fit its anchor.
        """
        runs = []
        for anchor, _ in multistart_anchors(sequence):
            path = folder / cls.paths(sequence, anchor)[0]
            if not path.is_file():
                return []
            codes, regions = _codes_and_regions(path)
            if len(codes) != len(multistart_frames(sequence, anchor)):
                raise UserError(f"{path}: {len(codes)} rows do not fit a run from frame {anchor}")
            runs.append(Run(regions, codes, np.full(len(codes), np.nan)))
        return runs


ANCHOR_STEP = 50  # frames between the starts of a multi-start experiment


def multistart_anchors(sequence: Sequence) -> list[tuple[int, int]]:
    """Frames to start from and the direction, 1 forward or -1 backward.

    The benchmark's own anchors where it gives them; else every 50th frame and the last, each
    towards the farther end of the sequence.
    """
    if sequence.anchors is not None:
        return [(i, 1 if flag > 0 else -1) for i, flag in enumerate(sequence.anchors) if flag]
    count = len(sequence)
    frames = sorted({*range(0, count, ANCHOR_STEP), count - 1})
    known = np.isfinite(sequence.groundtruth).all(1)
    return [(i, 1 if i < count / 2 else -1) for i in frames if known[i]]


def multistart_frames(sequence: Sequence, anchor: int) -> list[int]:
    """The frames of the run from an anchor, in its order."""
    direction = dict(multistart_anchors(sequence))[anchor]
    stop = len(sequence) if direction > 0 else -1
    return list(range(anchor, stop, direction))


class Got10k:
    """GOT-10k's folders, which its server takes."""

    @staticmethod
    def paths(sequence: Sequence, repetition: int = 1) -> list[str]:
        """Files of a run below the tracker's folder; the last is written last."""
        stem = f"{sequence.name}/{sequence.name}"
        return [f"{stem}_time.txt", f"{stem}_{repetition:03d}.txt"]

    @staticmethod
    def write(folder: Path, sequence: Sequence, run: Run, repetition: int = 1) -> None:
        """Writes a run's files, each whole, in the precision of the benchmark."""
        times, rows = Got10k.paths(sequence, repetition)
        seconds = run.seconds if len(run.seconds) else np.zeros(len(run.codes))
        write_whole(folder / times, "".join(f"{value:.8f}\n" for value in seconds))
        lines = (",".join(f"{value:.3f}" for value in row) + "\n" for row in run.regions)
        write_whole(folder / rows, "".join(lines))

    @staticmethod
    def read(folder: Path, sequence: Sequence) -> list[Run]:
        """All repetitions found.

        Raises:
            UserError: another number of rows than frames.
        """
        found = sorted((folder / sequence.name).glob(f"{sequence.name}_[0-9][0-9][0-9].txt"))
        runs = []
        for path in found:
            rows = read_table(path)
            check_length(path, rows, sequence)
            count = len(rows)
            runs.append(Run(rows, np.full(count, REGION, np.int8), np.full(count, np.nan)))
        return runs


FORMATS: dict[str, Any] = {
    "flat": Flat,
    "vot": Vot,
    "vot_toolkit": VotToolkit,
    "longterm": LongTerm,
    "multistart": MultiStart,
    "got10k": Got10k,
}


class Store:
    """The results of several trackers on one benchmark under one folder,
    `<folder>/<tracker>/...`."""

    def __init__(self, folder: Path | str, dataset: Dataset):
        self.folder = Path(folder)
        self.dataset = dataset
        self.form = FORMATS[dataset.results]

    def trackers(self, sequences: tuple[Sequence, ...]) -> list[str]:
        """The folders here that hold a result of one of the sequences; "." for this folder itself.

        Raises:
            UserError: no such folder, or nothing of these sequences in it.
        """
        if not self.folder.is_dir():
            raise UserError(f"--results={self.folder}: no such folder")
        if self._holds(self.folder, sequences):
            return ["."]
        below = sorted(path for path in self.folder.iterdir() if path.is_dir())
        found = [path.name for path in below if self._holds(path, sequences)]
        if not found:
            raise UserError(
                f"--results={self.folder}: no results of these sequences in it; expected for"
                f" example <tracker>/{self.form.paths(sequences[0])[-1]}"
            )
        return found

    def _holds(self, folder: Path, sequences: tuple[Sequence, ...]) -> bool:
        if self.form is Flat:
            return any(find_file(folder, sequence.name) for sequence in sequences)
        if self.form is Got10k:
            return any((folder / Got10k.paths(s)[1]).is_file() for s in sequences)
        if self.form is MultiStart:
            return any((folder / MultiStart.experiment / s.name).is_dir() for s in sequences)
        return any(self.form.files(folder, sequence) for sequence in sequences)

    def done(self, tracker: str, sequence: Sequence, repetition: int = 1) -> bool:
        """Whether all files of a run are there; files are written whole, so they are complete."""
        names = self.form.paths(sequence, repetition)
        return all((self.folder / tracker / name).is_file() for name in names)

    def write(self, tracker: str, sequence: Sequence, run: Run, repetition: int = 1) -> None:
        """Writes a run in the benchmark's form."""
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
