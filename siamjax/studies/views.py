"""Other views of a clip on which a good tracker does the same: mirrored, encoded again, from a
later frame on."""

import dataclasses
from collections.abc import Iterator
from collections.abc import Sequence as AbstractSequence
from typing import Any, NamedTuple

import cv2
import numpy as np

from siamjax.datasets.sequence import Sequence
from siamjax.measures.robustness import mirrored

QUALITY = 60  # of JPEG, where frames are encoded again
STARTS = 5  # starting frames of a clip, evenly spaced
SHORTEST = 10  # frames of a run


class View(NamedTuple):
    """What is done to the frames, and which of the starting frames it is."""

    mirrored: bool
    encoded: bool
    start: int

    @property
    def name(self) -> str:
        """For names of files: plain_0, mirrored_0, encoded_2, encoded_mirrored_2."""
        words = ["encoded"] * self.encoded + ["mirrored"] * self.mirrored
        return "_".join([*(words or ["plain"]), str(self.start)])


FULL = tuple(View(m, e, s) for s in range(STARTS) for e in (False, True) for m in (False, True))
QUICK = tuple(view for view in FULL if (view.encoded, view.start) in ((False, 0), (True, 2)))


class Frames(AbstractSequence):
    """The frames of a clip as a view shows them; a slice reads none."""

    def __init__(self, frames: Any, flip: bool, encode: bool):
        self._frames, self._flip, self._encode = frames, flip, encode

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return Frames(self._frames[index], self._flip, self._encode)
        frame = self._frames[index]
        if self._flip:
            frame = np.ascontiguousarray(frame[:, ::-1])
        if self._encode:
            _, data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
            frame = cv2.imdecode(data, cv2.IMREAD_COLOR)
        return frame


def followable(truth: np.ndarray) -> np.ndarray:
    """(N,) bool, where boxes x, y, w, h (N, 4) are known and larger than 1 px a side."""
    return np.isfinite(truth).all(1) & (truth[:, 2:] > 1).all(1)


def starts(sequence: Sequence) -> list[int]:
    """The starting frames of a clip: those at 0, 1/5 .. 4/5 of its length, or the next with a true
    box; fewer where that leaves less than `SHORTEST` frames."""
    truth = sequence.boxes
    known = np.flatnonzero(followable(truth))
    found: list[int] = []
    for k in range(STARTS):
        later = known[known >= k * len(truth) // STARTS]
        if later.size and len(truth) - later[0] >= SHORTEST and later[0] not in found:
            found.append(int(later[0]))
    return found


def views(sequence: Sequence, chosen: AbstractSequence[View]) -> Iterator[tuple[View, Sequence]]:
    """The views of a clip that are among the chosen; their sequences are named target_view.

    The width of the first frame is that of all.
    """
    places = starts(sequence)
    for view in chosen:
        if view.start >= len(places):
            continue
        part = sequence.since(places[view.start])
        truth = mirrored(part.boxes, float(sequence.size[0])) if view.mirrored else part.boxes
        yield (
            view,
            dataclasses.replace(
                part,
                name=f"{sequence.name}_{view.name}",
                frames=Frames(part.frames, view.mirrored, view.encoded),
                groundtruth=truth,
                tags={},
                anchors=None,
                skipped=0,
                notes=(),
                aliases=(),
                loose=False,
            ),
        )
