"""What the rows of a supervised run say: starts, failures and pauses, with lost marks put back.

The marks are those of the VOT challenges (Kristan et al. 2016): 1 starts, 2 fails, 0 pauses.
A row without a region while the tracker runs is a miss: its overlap is 0. A file in which a mark
itself was lost would else score better than the whole one: a failure that is not marked is not
counted, and frames after a start that is not marked count for the accuracy.
"""

import dataclasses

import numpy as np
from jaxtyping import Bool, Int

from siamjax.datasets.forms.base import FAILURE, REGION, START, UNKNOWN, Run, without_region

SKIPPING = 5  # frames from a failure to the next start


@dataclasses.dataclass(frozen=True, eq=False)
class Marks:
    """What each frame of a run holds.

    Attributes:
        codes: `REGION`, `START`, `FAILURE` or `UNKNOWN`.
        missed: the tracker ran and gave no region.
    """

    codes: Int[np.ndarray, " n"]
    missed: Bool[np.ndarray, " n"]

    @property
    def regions(self) -> Bool[np.ndarray, " n"]:
        """Frames with a region."""
        return (self.codes == REGION) & ~self.missed


def marks(run: Run) -> Marks:
    """The marks of a run.

    - A row without a region, or a 0 between regions, is a miss.
    - Where the run does not begin with a start, the row without a region is the start; after a
      failure it is the first such row from which a start was due, if a region follows.
    - Misses and zeros that end in a start or with the run, or that contain zeros and last for a
      whole restart, begin with a failure.
    """
    codes = np.asarray(run.codes, np.int8)
    lost = (codes == REGION) & without_region(run.regions)
    if lost.any() or _zeros_while_running(codes):
        return _settled(codes.copy(), lost)
    return Marks(codes, lost)


def _zeros_while_running(codes) -> bool:
    """Whether there is a 0 that follows a start or a region."""
    frames = np.arange(len(codes))
    last = np.maximum.accumulate(np.where(codes != UNKNOWN, frames, -1))
    return bool(((codes == UNKNOWN) & (last >= 0) & (codes[last] != FAILURE)).any())


def _settled(codes, lost) -> Marks:
    empty, missed = lost | (codes == UNKNOWN), np.zeros(len(codes), bool)
    running, i, count, due = False, 0, len(codes), 0
    if lost[0]:
        codes[0], empty[0] = START, False
    while i < count:
        if not empty[i]:
            running, due = codes[i] != FAILURE, i + SKIPPING
            i += 1
            continue
        full = np.flatnonzero(~empty[i:])
        stop = i + int(full[0]) if full.size else count  # rows i..stop - 1 are empty
        following = codes[stop] if stop < count else None
        if running:
            zeros = codes[i:stop] == UNKNOWN
            restart = zeros.any() and stop - i > SKIPPING
            if following in (START, None) or restart:
                missed[i:stop] = ~zeros
                codes[i], codes[i + 1 : stop] = FAILURE, UNKNOWN
                if restart and following == REGION:
                    codes[stop - 1], missed[stop - 1] = START, False
            else:
                codes[i:stop], missed[i:stop] = REGION, True
        else:
            starts = np.flatnonzero(lost[i:stop]) + i
            codes[i:stop] = UNKNOWN
            if starts.size and following in (REGION, FAILURE):
                start = next((row for row in starts if row >= due), starts[-1])
                codes[start] = START
                codes[start + 1 : stop], missed[start + 1 : stop] = REGION, True
        i = stop
    return Marks(codes, missed)
