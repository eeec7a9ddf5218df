"""Result files and times of trackers: reading and writing in each benchmark's own form."""

import os
import re
from importlib import import_module
from pathlib import Path

from siamjax import checksums
from siamjax.datasets.dataset import Dataset
from siamjax.datasets.forms import confidence
from siamjax.datasets.forms.base import FAILURE, REGION, START, UNKNOWN, Form, Run  # noqa: F401
from siamjax.datasets.sequence import Sequence
from siamjax.errors import UserError
from siamjax.files import write_whole

# name -> module with `FORM`; what the files look like stands at the module's head
FORMATS = {
    "flat": "siamjax.datasets.forms.flat",
    "vot": "siamjax.datasets.forms.vot",
    "vot_toolkit": "siamjax.datasets.forms.vot_toolkit",
    "longterm": "siamjax.datasets.forms.longterm",
    "multistart": "siamjax.datasets.forms.multistart",
    "got10k": "siamjax.datasets.forms.got10k",
}


class Store:
    """The results of several trackers on one benchmark under one folder,
    `<folder>/<tracker>/...`."""

    def __init__(self, folder: Path | str, dataset: Dataset):
        self.folder = Path(folder)
        self.dataset = dataset
        self.form: Form = import_module(FORMATS[dataset.results]).FORM

    def done(self, tracker: str, sequence: Sequence, repetition: int = 1) -> bool:
        """Whether all files of a run are there; files are written whole, so they are complete.

        Raises:
            UserError: one of them is not as it was written.
        """
        folder, sums = self.folder / tracker, self._sums(tracker, sequence, repetition)
        paths = [folder / name for name in self.form.paths(sequence, repetition)]
        if not all(path.is_file() for path in paths):
            return False
        if sums.is_file() and (damaged := checksums.first_damaged(sums, folder)) is not None:
            raise UserError(
                f"{damaged}: damaged or changed since it was written; delete {paths[-1]} and run"
                f" again, which makes it anew, or delete {sums} to take it as it is"
            )
        return True

    def write(self, tracker: str, sequence: Sequence, run: Run, repetition: int = 1) -> None:
        """Writes a run in the benchmark's form, then the checksums of its regions and scores, to
        `checksums/<tracker>/` beside the folder of results."""
        folder, sums = self.folder / tracker, self._sums(tracker, sequence, repetition)
        sums.unlink(missing_ok=True)
        self.form.write(folder, sequence, run, repetition)
        regions = self.form.paths(sequence, repetition)[-1]
        names = (regions, str(confidence.beside(Path(regions))))
        checksums.write(sums, folder, [name for name in names if (folder / name).is_file()])

    def _sums(self, tracker: str, sequence: Sequence, repetition: int) -> Path:
        return self._all_sums(tracker) / f"{sequence.name}_{repetition:03d}.txt"

    def _all_sums(self, tracker: str) -> Path:
        return self.folder.with_name("checksums") / tracker

    def read(self, tracker: str, sequence: Sequence, length: str = "pad") -> list[Run]:
        """The runs to score; empty if there is none.

        Args:
            length: what becomes of a file with another number of rows, see
                `siamjax.datasets.forms.base.LENGTHS`.

        Raises:
            UserError: files that cannot be read, do not fit the sequence, or are not as they were
                written; those without checksums, as from elsewhere, are taken as they are.
        """
        own = re.compile(rf"{re.escape(sequence.name)}_(\d{{3,}})\.txt")
        sums = self._all_sums(tracker)
        for match in filter(None, map(own.fullmatch, os.listdir(sums) if sums.is_dir() else ())):
            self.done(tracker, sequence, int(match[1]))
        return self.form.read(self.folder / tracker, sequence, length)


def write_times(path: Path, run: Run) -> None:
    """Two columns per frame: seconds of reading the image, seconds of the tracker."""
    rows = zip(run.reading, run.seconds, strict=True)
    write_whole(path, "".join(f"{reading:.6f},{seconds:.6f}\n" for reading, seconds in rows))
