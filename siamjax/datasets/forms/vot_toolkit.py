"""Supervised runs as the official VOT toolkit reads them.

`<tracker>/baseline/<sequence>/<sequence>_001.txt` and so on for repetitions; per frame a region
with four decimals, or 1 where the run starts, 2 where it fails, 0 where it pauses. The toolkit's
binary files (`.bin`) are read as well, where there is no text.
"""

import struct
from pathlib import Path

import numpy as np

from siamjax.datasets.forms.base import (
    FAILURE,
    REGION,
    START,
    UNKNOWN,
    Form,
    Run,
    numbered,
    unscored,
)
from siamjax.datasets.forms.restarts import marks
from siamjax.datasets.sequence import Sequence
from siamjax.errors import UserError
from siamjax.geometry.polygons import corners
from siamjax.media.lines import as_number, read_lines

SUFFIXES = (".txt", ".bin")


class VotToolkit(Form):
    """All repetitions count.

    Attributes:
        experiment: the folder below the tracker's.
        digits: of the repetition in a file's name.
    """

    experiment, digits = "baseline", 3

    def paths(self, sequence: Sequence, repetition: int = 1) -> list[str]:
        """One file."""
        number = f"{repetition:0{self.digits}d}"
        return [f"{self.experiment}/{sequence.name}/{sequence.name}_{number}.txt"]

    def texts(self, sequence: Sequence, run: Run) -> list[str]:
        """Regions with four decimals, or codes."""
        lines = (
            str(code) if code != REGION else ",".join(f"{value:.4f}" for value in region)
            for code, region in zip(run.codes, run.regions, strict=True)
        )
        return ["".join(f"{line}\n" for line in lines)]

    def files(self, folder: Path, sequence: Sequence) -> list[Path]:
        """Those of all repetitions, with or without the experiment's folder."""
        places = (folder / self.experiment / sequence.name, folder / sequence.name)
        every = (numbered(place, sequence.name, self.digits, SUFFIXES) for place in places)
        return next(filter(None, every), [])

    def read_file(self, path: Path, sequence: Sequence) -> Run:
        """A run from rows that hold a region or a single number, `UNKNOWN`, `START` or `FAILURE`.

        Raises:
            UserError: not of that form.
        """
        return unscored(*(_binary(path) if path.suffix == ".bin" else _text(path)))

    def missed(self, run: Run) -> np.ndarray:
        """As the base class; a 0 between regions is such a row."""
        return super().missed(run) | marks(run).missed


def _text(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Regions and codes of a text file."""
    lines = read_lines(path, (1, 4, 8))
    lengths = np.array([len(row) for row in lines.rows], int)
    values = np.full((len(lengths), max(lengths.max(initial=4), 4)), np.nan)
    wrong = ~np.isin(lengths, (0, 1, 4, 8))
    for length in np.unique(lengths[lengths > 0]):
        rows = np.flatnonzero(lengths == length)
        words = [lines.rows[i] for i in rows]
        try:
            values[rows, :length] = np.array(words, np.float64)
        except ValueError:
            read = [[as_number(word) for word in row] for row in words]
            wrong[rows] |= [None in row for row in read]
            values[rows, :length] = np.array(read, np.float64)  # None becomes NaN
    single = lengths == 1
    codes = np.where(single & np.isfinite(values[:, 0]), values[:, 0], REGION)
    wrong |= single & np.isfinite(values[:, 0]) & ~np.isin(codes, (UNKNOWN, START, FAILURE))
    wrong |= single & np.isinf(values[:, 0])
    if not len(lengths) or wrong.any():
        line = f":{lines.first + int(np.argmax(wrong))}" if len(lengths) else ""
        raise UserError(f"{path}{line}: a region of 4 or 8 numbers or a code expected")
    regions = np.where(single[:, None], np.nan, values)
    if (lengths == 8).any():
        boxes = lengths == 4
        regions[boxes] = corners(regions[boxes, :4])
    return regions[:, : 8 if (lengths == 8).any() else 4], codes.astype(np.int8)


def _binary(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Regions and codes of vot-toolkit's binary form: a version and the number of frames, then for
    each a kind and its numbers: 0 code, 1 rectangle, 2 polygon, 3 mask; little-endian."""
    kinds = {0: "<I", 1: "<4f"}
    found: list[tuple] = []
    try:
        data = path.read_bytes()
        _, count = struct.unpack_from("<hI", data)
        place = struct.calcsize("<hI")
        for _ in range(count):
            kind, place = data[place], place + 1
            if kind == 2:
                (points,) = struct.unpack_from("<H", data, place)
                form, place = f"<{2 * points}f", place + 2
            else:
                form = kinds[kind]
            found.append(struct.unpack_from(form, data, place))
            place += struct.calcsize(form)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except KeyError as error:
        what = "a mask" if error.args == (3,) else f"a region of kind {error}"
        raise UserError(
            f"{path}: frame {len(found) + 1} holds {what}; boxes and polygons of four corners are"
            " scored"
        ) from None
    except (struct.error, IndexError):
        raise UserError(f"{path}: not a whole file of vot-toolkit; copy it again") from None
    lengths = np.array([len(one) for one in found], int)
    if not np.isin(lengths, (1, 4, 8)).all() or not found:
        raise UserError(f"{path}: polygons of other than four corners; they are not scored")
    wide = (lengths == 8).any()
    regions = np.full((len(found), 8 if wide else 4), np.nan)
    codes = np.full(len(found), REGION, np.int8)
    for i, values in enumerate(found):
        if len(values) == 1:
            if values[0] not in (UNKNOWN, START, FAILURE):
                raise UserError(f"{path}: frame {i + 1} holds the code {values[0]}, not 0, 1 or 2")
            codes[i] = values[0]
        else:
            regions[i] = corners(values) if wide else values
    return regions, codes


FORM = VotToolkit()
