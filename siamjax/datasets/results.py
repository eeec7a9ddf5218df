"""Result files and times of trackers: reading and writing in each benchmark's own form."""

from importlib import import_module
from pathlib import Path

from siamjax.datasets.dataset import Dataset
from siamjax.datasets.forms.base import FAILURE, REGION, START, UNKNOWN, Form, Run  # noqa: F401
from siamjax.datasets.sequence import Sequence
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
        """Whether all files of a run are there; files are written whole, so they are complete."""
        names = self.form.paths(sequence, repetition)
        return all((self.folder / tracker / name).is_file() for name in names)

    def write(self, tracker: str, sequence: Sequence, run: Run, repetition: int = 1) -> None:
        """Writes a run in the benchmark's form."""
        self.form.write(self.folder / tracker, sequence, run, repetition)

    def read(self, tracker: str, sequence: Sequence, length: str = "pad") -> list[Run]:
        """The runs to score; empty if there is none.

        Args:
            length: what becomes of a file with another number of rows, see
                `siamjax.datasets.forms.base.LENGTHS`.

        Raises:
            UserError: files that cannot be read or do not fit the sequence.
        """
        return self.form.read(self.folder / tracker, sequence, length)


def write_times(path: Path, run: Run) -> None:
    """Two columns per frame: seconds of reading the image, seconds of the tracker."""
    rows = zip(run.reading, run.seconds, strict=True)
    write_whole(path, "".join(f"{reading:.6f},{seconds:.6f}\n" for reading, seconds in rows))
