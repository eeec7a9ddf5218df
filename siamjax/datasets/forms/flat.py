"""One text file per sequence (OTB, UAV123, LaSOT, NFS, DTB70, TrackingNet).

`<tracker>/<sequence>.txt`: a row left,top,width,height per frame, the first frame included, counted
from the benchmark's own first pixel.
"""

from functools import lru_cache
from pathlib import Path

from siamjax.datasets.forms.base import Form, Run, unscored
from siamjax.datasets.sequence import Sequence, key, shifted
from siamjax.media.tables import read_table


class Flat(Form):
    """Rows that read back as the same float64 numbers."""

    def paths(self, sequence: Sequence, repetition: int = 1) -> list[str]:
        """One file; there are no repetitions."""
        return [f"{sequence.name}.txt"]

    def texts(self, sequence: Sequence, run: Run) -> list[str]:
        """The shortest decimals that give the same numbers."""
        rows = shifted(run.regions, sequence.base)
        return ["".join(",".join(map(repr, row)) + "\n" for row in rows.tolist())]

    def files(self, folder: Path, sequence: Sequence) -> list[Path]:
        """The text file of the sequence, whatever case and punctuation its name has."""
        exact = folder / f"{sequence.name}.txt"
        if exact.is_file():
            return [exact]
        if not folder.is_dir():
            return []
        found = _by_key(folder, folder.stat().st_mtime_ns).get(key(sequence.name))
        return [found] if found else []

    def read_file(self, path: Path, sequence: Sequence) -> Run:
        """As the base class."""
        return unscored(shifted(read_table(path), -sequence.base))


@lru_cache(maxsize=4)
def _by_key(folder: Path, modified: int) -> dict[str, Path]:
    return {key(path.stem): path for path in sorted(folder.glob("*.txt")) if path.name[0] != "."}


FORM = Flat()
