"""What a tracker reported about a sequence, and the steps that all forms of result files share."""

import abc
import dataclasses
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from siamjax.datasets.forms import confidence
from siamjax.datasets.sequence import Sequence
from siamjax.errors import UserError
from siamjax.files import write_whole
from siamjax.media.lines import as_number, read_lines

REGION, UNKNOWN, START, FAILURE = -1, 0, 1, 2  # what a frame of a run holds


class Note(NamedTuple):
    """What was found in a result file.

    Attributes:
        kind: "length", another number of rows than frames; "region", rows without one; "score".
        text: the file, the rows and how they are counted.
    """

    kind: str
    text: str


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
        notes: what was found in the file.
    """

    regions: np.ndarray
    codes: np.ndarray
    scores: np.ndarray
    seconds: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0))
    reading: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0))
    missing: int = 0
    notes: tuple[Note, ...] = ()

    def first(self, count: int) -> "Run":
        """The run's first so many frames."""
        fields = ("regions", "codes", "scores", "seconds", "reading")
        parts = {name: getattr(self, name)[:count] for name in fields}
        lacking = max(count - (len(self.codes) - self.missing), 0)
        return dataclasses.replace(self, missing=lacking, **parts)


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
            area = np.minimum(regions[:, 2], regions[:, 3])
        else:
            x, y = regions[:, 0::2], regions[:, 1::2]
            area = np.abs((x * np.roll(y, -1, 1) - np.roll(x, -1, 1) * y).sum(1))
        # the sum of a row is finite where all its numbers are
        return ~(np.isfinite(regions @ np.ones(regions.shape[1])) & (area > 0))


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

    def missed(self, run: Run) -> np.ndarray:
        """(N,) bool: rows that should hold a region and hold none."""
        return (run.codes == REGION) & without_region(run.regions)

    def write(self, folder: Path, sequence: Sequence, run: Run, repetition: int = 1) -> None:
        """Writes a run's files, each whole; its scores first, in a file beside them where the form
        has no place for them."""
        paths = self.paths(sequence, repetition)
        scores = confidence.beside(Path(paths[-1]))
        if str(scores) not in paths:
            confidence.write(folder / paths[-1], run.scores)
        for path, text in zip(paths, self.texts(sequence, run), strict=True):
            write_whole(folder / path, text)

    def read(self, folder: Path, sequence: Sequence, length: str = "pad") -> list[Run]:
        """The runs of a sequence to score, as long as the sequence, with notes about their files.

        Args:
            length: what becomes of a file with another number of rows, see `LENGTHS`.

        Raises:
            UserError: files that cannot be read, or with "strict" of another length; a line each.
        """
        runs, problems = [], []
        for path in self.files(folder, sequence):
            try:
                run = with_scores(path, self.read_file(path, sequence))
                frames = self.frames(path, sequence)
                if length == "strict":
                    check_length(path, run.codes, frames, sequence.name)
            except UserError as problem:
                problems.append(str(problem))
                continue
            missed = rows_text(self.missed(run))
            run = fitted(path, run, frames, sequence.skipped)
            if missed:
                note = Note("region", f"{path}: {missed} without a region: misses")
                run = dataclasses.replace(run, notes=(*run.notes, note))
            runs.append(dataclasses.replace(run, seconds=seconds(path, frames)))
        if problems:
            raise UserError("\n".join(problems))
        return runs

    def holds(self, folder: Path, sequences: Iterable[Sequence]) -> bool:
        """Whether a tracker's folder has a result of any of the sequences."""
        return any(self.files(folder, sequence) for sequence in sequences)


def with_scores(path: Path, run: Run) -> Run:
    """A run with the scores that stand beside its file, where it has none of its own.

    Raises:
        UserError: unreadable.
    """
    scores = None if np.isfinite(run.scores).any() else confidence.read(path)
    if scores is None:
        return run
    if len(scores) != len(run.codes):
        text = f"{path}: {len(scores)} scores for {len(run.codes)} rows: not used"
        return dataclasses.replace(run, notes=(*run.notes, Note("score", text)))
    return dataclasses.replace(run, scores=scores)


# what becomes of a result file with more or fewer rows than frames
LENGTHS = {
    "pad": "rows after the last frame are left out, missing rows are misses",
    "cut": "only the frames that all trackers have rows for are scored",
    "strict": "such files are refused",
}


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


def fitted(path: Path, run: Run, frames: int, skipped: int = 0) -> Run:
    """A run with a row per frame.

    Args:
        path: for the note.
        skipped: rows at the head that files of some toolkits have before the first frame.
    """
    rows = len(run.codes)
    if rows == frames:
        return run
    first = skipped if skipped and rows == frames + skipped else 0
    lacking = max(frames - rows, 0)
    if first:
        how = f"the first {first}, before the benchmark's first frame, are left out"
    elif lacking:
        how = f"the {lacking} missing at the end are misses"
    else:
        how = f"the last {rows - frames} are left out"
    kept = slice(first, first + frames)
    scores, regions = run.scores[kept], run.regions[kept]
    return dataclasses.replace(
        run,
        regions=np.pad(regions, ((0, lacking), (0, 0)), constant_values=np.nan),
        codes=np.pad(run.codes[kept], (0, lacking), constant_values=REGION),
        scores=np.pad(scores, (0, frames - len(scores)), constant_values=np.nan),
        missing=lacking,
        notes=(*run.notes, Note("length", f"{path}: {rows} rows for {frames} frames: {how}")),
    )


def rows_text(flags: np.ndarray, most: int = 8) -> str:
    """ "row 3", "rows 3, 5-9 and 4 more", counted from 1; "" for none.

    Args:
        flags: (N,) bool.
        most: so many rows and stretches are named.
    """
    rows = np.flatnonzero(flags) + 1
    if not rows.size:
        return ""
    stretches = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)
    named = [f"{s[0]}" if len(s) == 1 else f"{s[0]}-{s[-1]}" for s in stretches[:most]]
    left = sum(map(len, stretches[most:]))
    more = f" and {left} more" if left else ""
    return f"row{'' if len(rows) == 1 else 's'} {', '.join(named)}{more}"


def numbered(folder: Path, name: str, digits: int, suffixes: Iterable[str]) -> list[Path]:
    """`<name>_<number><suffix>` in a folder, by number; of two suffixes the first counts."""
    if not folder.is_dir():
        return []
    ends = "|".join(map(re.escape, suffixes))
    pattern = re.compile(rf"{re.escape(name)}_(\d{{{digits}}})({ends})")
    order = {suffix: place for place, suffix in enumerate(suffixes)}
    found: dict[str, Path] = {}
    names = (match for path in folder.iterdir() if (match := pattern.fullmatch(path.name)))
    for match in sorted(names, key=lambda match: (match[1], order[match[2]])):
        found.setdefault(match[1], folder / match[0])
    return list(found.values())


def seconds(path: Path, frames: int) -> np.ndarray:
    """(frames,) seconds per frame from the file that toolkits write beside a result; empty without
    one that fits.

    got10k-toolkit: `times/<name>_time.txt`, or `<sequence>_time.txt` with a column per repetition;
    pytracking and PySOT: `<name>_time.txt`; vot-toolkit: `<name>_time.value`.
    """
    stem = path.stem
    beside = (f"{stem}_time.value", f"{stem}_time.txt", f"{re.sub(r'_[0-9]+$', '', stem)}_time.txt")
    places = (*(path.with_name(name) for name in beside), path.parent / "times" / beside[1])
    for place in places:
        if place.is_file():
            rows = [[as_number(word) for word in row] for row in read_lines(place).rows]
            known = [[value for value in row if value is not None] for row in rows]
            values = np.array([np.mean(row) if row else np.nan for row in known])
            return values if len(values) == frames else np.empty(0)
    return np.empty(0)
