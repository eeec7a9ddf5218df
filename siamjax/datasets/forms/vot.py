"""Supervised runs as the published figures were made: the files of `vot_toolkit`, but all of
exactly fifteen repetitions count, of any other number the first."""

from pathlib import Path

from siamjax.datasets.forms.vot_toolkit import VotToolkit
from siamjax.datasets.sequence import Sequence

REPETITIONS = 15  # that VOT asks of a tracker that draws random numbers


class Vot(VotToolkit):
    """All of fifteen repetitions, or the first."""

    def files(self, folder: Path, sequence: Sequence) -> list[Path]:
        """All of fifteen; else the first."""
        found = super().files(folder, sequence)
        return found if len(found) == REPETITIONS else found[:1]


FORM = Vot()
