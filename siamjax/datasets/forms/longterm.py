"""Long-term runs: one start, a confidence per frame.

`<tracker>/longterm/<sequence>/<sequence>_001.txt` in the form of `vot_toolkit`, and
`<sequence>_001_confidence.value` with a score per frame, the first line empty. A frame whose score
is no number counts as score 0; without any scores all are 1, as of a tracker that is sure.
"""

import dataclasses
from pathlib import Path

import numpy as np

from siamjax.datasets.forms import confidence
from siamjax.datasets.forms.base import Form, Note, Run, rows_text
from siamjax.datasets.forms.vot import Vot
from siamjax.datasets.sequence import Sequence
from siamjax.errors import UserError


class LongTerm(Vot):
    """Regions and confidences."""

    experiment = "longterm"

    def paths(self, sequence: Sequence, repetition: int = 1) -> list[str]:
        """Confidences and regions."""
        (regions,) = super().paths(sequence, repetition)
        return [str(confidence.beside(Path(regions))), regions]

    def texts(self, sequence: Sequence, run: Run) -> list[str]:
        """Confidences with six decimals, regions with four."""
        return [confidence.text(run.scores), *super().texts(sequence, run)]

    def read_file(self, path: Path, sequence: Sequence) -> Run:
        """As the base class.

        Raises:
            UserError: as the base class.
        """
        place = confidence.beside(path)
        run = super().read_file(path, sequence)
        scores = confidence.parse(place) if place.is_file() else np.full(0, np.nan)
        if np.isnan(scores).all():
            sure = np.ones(len(run.codes))
            sure[0] = np.nan
            note = Note("score", f"{place}: no scores, so all are 1: the tracker is sure")
            return dataclasses.replace(run, scores=sure, notes=(note,))
        if len(scores) != len(run.codes):
            raise UserError(f"{place}: {len(scores)} rows for {len(run.codes)} rows of {path.name}")
        unknown = ~np.isfinite(scores)
        unknown[0] = False
        note = Note("score", f"{place}: {rows_text(unknown)} without a score: score 0")
        return dataclasses.replace(run, scores=scores, notes=(note,) if unknown.any() else ())

    def missed(self, run: Run) -> np.ndarray:
        """As `Form`: a 0 says that the target is not there."""
        return Form.missed(self, run)


FORM = LongTerm()
