"""GOT-10k's folders, which its server takes.

`<tracker>/<sequence>/<sequence>_001.txt` and so on for repetitions, with three decimals, and
`<sequence>_time.txt` with the seconds per frame. Found as well: `<sequence>.txt`, as pytracking
writes it.
"""

from pathlib import Path

import numpy as np

from siamjax.datasets.forms.base import Form, Run, numbered, unscored
from siamjax.datasets.forms.flat import found
from siamjax.datasets.sequence import Sequence
from siamjax.media.tables import read_table


class Got10k(Form):
    """Boxes and times."""

    def paths(self, sequence: Sequence, repetition: int = 1) -> list[str]:
        """Times and boxes."""
        stem = f"{sequence.name}/{sequence.name}"
        return [f"{stem}_time.txt", f"{stem}_{repetition:03d}.txt"]

    def texts(self, sequence: Sequence, run: Run) -> list[str]:
        """Seconds with eight decimals, 0 where none were measured, and boxes with three."""
        seconds = run.seconds if len(run.seconds) else np.zeros(len(run.codes))
        rows = (",".join(f"{value:.3f}" for value in row) + "\n" for row in run.regions)
        return ["".join(f"{value:.8f}\n" for value in seconds), "".join(rows)]

    def files(self, folder: Path, sequence: Sequence) -> list[Path]:
        """Those of all repetitions."""
        own = numbered(folder / sequence.name, sequence.name, 3, (".txt",))
        return own or found(folder, (sequence.name,), sequence.loose)

    def read_file(self, path: Path, sequence: Sequence) -> Run:
        """As the base class."""
        return unscored(read_table(path))


FORM = Got10k()
