"""Result files and times of trackers: reading and writing in each benchmark's own form."""

from importlib import import_module
from pathlib import Path

from siamjax.datasets.dataset import Dataset
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

    def trackers(self, sequences: tuple[Sequence, ...]) -> list[str]:
        """The folders here that hold a result of one of the sequences; "." for this folder itself.

        Raises:
            UserError: no such folder, or nothing of these sequences in it.
        """
        if not self.folder.is_dir():
            raise UserError(f"--results={self.folder}: no such folder")
        below = sorted(path.name for path in self.folder.iterdir() if path.is_dir())
        for names in (["."], below):
            found = [
                name
                for name in names
                if any(self.form.holds(self.folder / name, sequence) for sequence in sequences)
            ]
            if found:
                return found
        raise UserError(
            f"--results={self.folder}: no results of these sequences in it; expected for"
            f" example <tracker>/{self.form.paths(sequences[0])[-1]}"
        )

    def done(self, tracker: str, sequence: Sequence, repetition: int = 1) -> bool:
        """Whether all files of a run are there; files are written whole, so they are complete."""
        names = self.form.paths(sequence, repetition)
        return all((self.folder / tracker / name).is_file() for name in names)

    def write(self, tracker: str, sequence: Sequence, run: Run, repetition: int = 1) -> None:
        """Writes a run in the benchmark's form."""
        self.form.write(self.folder / tracker, sequence, run, repetition)

    def read(self, tracker: str, sequence: Sequence) -> list[Run]:
        """The runs to score; empty if there is none.

        Raises:
            UserError: a file that cannot be read or does not fit the sequence.
        """
        return self.form.read(self.folder / tracker, sequence)


def write_times(path: Path, run: Run) -> None:
    """Two columns per frame: seconds of reading the image, seconds of the tracker."""
    rows = zip(run.reading, run.seconds, strict=True)
    write_whole(path, "".join(f"{reading:.6f},{seconds:.6f}\n" for reading, seconds in rows))
