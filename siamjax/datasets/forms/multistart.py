"""Runs from several anchors (VOT2020 on); the repetition is the anchor's frame.

`<tracker>/multistart/<sequence>/<sequence>_<anchor, 8 digits>.txt` in the form of `vot_toolkit`,
rows in the order of the run, which goes backward from anchors marked so.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from siamjax.datasets.forms.base import numbered
from siamjax.datasets.forms.vot_toolkit import SUFFIXES, VotToolkit
from siamjax.datasets.sequence import Sequence

ANCHOR_STEP = 50  # frames between the starts of a multi-start experiment


class MultiStart(VotToolkit):
    """One file per anchor."""

    experiment, digits = "multistart", 8

    def files(self, folder: Path, sequence: Sequence) -> list[Path]:
        """Those of all anchors in their order; none if one is missing."""
        anchors = multistart_anchors(sequence)
        place = folder / self.experiment / sequence.name
        by_anchor = {
            int(path.stem.rpartition("_")[2]): path
            for path in numbered(place, sequence.name, self.digits, SUFFIXES)
        }
        return [by_anchor[a] for a, _ in anchors] if {a for a, _ in anchors} <= {*by_anchor} else []

    def frames(self, path: Path, sequence: Sequence) -> int:
        """Those from the anchor on."""
        return len(multistart_frames(sequence, int(path.stem.rpartition("_")[2])))

    def holds(self, folder: Path, sequences: Iterable[Sequence]) -> bool:
        """Whether there is a folder of any of the sequences."""
        return any((folder / self.experiment / sequence.name).is_dir() for sequence in sequences)


def multistart_anchors(sequence: Sequence) -> list[tuple[int, int]]:
    """Frames to start from and the direction, 1 forward or -1 backward.

    The benchmark's own anchors where it gives them; else every 50th frame and the last, each
    towards the farther end of the sequence.
    """
    if sequence.anchors is not None:
        return [(i, 1 if flag > 0 else -1) for i, flag in enumerate(sequence.anchors) if flag]
    count = len(sequence)
    frames = sorted({*range(0, count, ANCHOR_STEP), count - 1})
    known = np.isfinite(sequence.groundtruth).all(1)
    return [(i, 1 if i < count / 2 else -1) for i in frames if known[i]]


def multistart_frames(sequence: Sequence, anchor: int) -> list[int]:
    """The frames of the run from an anchor, in its order."""
    direction = dict(multistart_anchors(sequence))[anchor]
    stop = len(sequence) if direction > 0 else -1
    return list(range(anchor, stop, direction))


FORM = MultiStart()
