"""Supervised runs as the official VOT toolkit reads them.

`<tracker>/baseline/<sequence>/<sequence>_001.txt` and so on for repetitions; per frame a region
with four decimals, or 1 where the run starts, 2 where it fails, 0 where it pauses.
"""

from pathlib import Path

import numpy as np

from siamjax.datasets.forms.base import REGION, Form, Run, unscored
from siamjax.datasets.sequence import Sequence
from siamjax.errors import UserError
from siamjax.geometry.polygons import corners


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
        found = (sorted(p.glob(f"{sequence.name}_[0-9][0-9][0-9].txt")) for p in places)
        return next(filter(None, found), [])

    def read_file(self, path: Path, sequence: Sequence) -> Run:
        """A run from rows that hold a region or a single number, `UNKNOWN`, `START` or `FAILURE`.

        Raises:
            UserError: not of that form.
        """
        try:
            lines = path.read_text().rstrip().split("\n")
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror})") from None
        rows = [line.replace("\t", ",").split(",") for line in lines]
        width = 8 if max(map(len, rows)) == 8 else 4
        codes = np.full(len(rows), REGION, np.int8)
        regions = np.full((len(rows), width), np.nan)
        for i, row in enumerate(rows):
            try:
                values = [float(word) for word in row]
                if len(row) == 1:
                    codes[i] = int(values[0])
                else:
                    regions[i] = corners(values) if (len(row), width) == (4, 8) else values
            except ValueError:
                raise UserError(
                    f"{path}:{i + 1}: a region of 4 or 8 numbers or a code expected"
                ) from None
        return unscored(regions, codes)


FORM = VotToolkit()
