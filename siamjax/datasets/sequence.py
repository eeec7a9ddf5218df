"""One video with one target to track: frames read when asked for, and its ground truth."""

import dataclasses
import unicodedata
from collections.abc import Iterable, Mapping
from collections.abc import Sequence as AbstractSequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from siamjax.errors import UserError
from siamjax.geometry import polygons

_SYMBOLS = frozenset("$+<=>^`|~")  # of ASCII, which Unicode does not count as punctuation


class Absent(UserError):
    """A sequence of the benchmark that a partial copy does not have."""


def key(name: str) -> str:
    """A name without case and punctuation, in any script: Jogging.1, jogging_1 and Jogging-1 are
    one."""
    folded = composed(composed(name).casefold())
    kept = (c for c in folded if not (unicodedata.category(c)[0] in "PZC" or c in _SYMBOLS))
    return "".join(kept) or folded


def composed(name: str) -> str:
    """A name in Unicode's form NFC; file systems give accents in either form."""
    return unicodedata.normalize("NFC", name)


def alike(name: str, names: Iterable[str]) -> list[str]:
    """Which of several names are meant by one: the same name, else all with the same key."""
    names = list(names)
    same = [other for other in names if composed(other) == composed(name)]
    return same or [other for other in names if key(other) == key(name)]


class NoFrames(AbstractSequence):
    """Stands where a sequence's images are not on disk; its length is still known.

    Scoring needs no image, so only reading one is an error.
    """

    def __init__(self, length: int, folder: Path):
        self._length = length
        self._folder = folder

    def __len__(self) -> int:
        return self._length

    def first(self, count: int) -> "NoFrames":
        """The first so many."""
        return NoFrames(count, self._folder)

    def __getitem__(self, index):
        raise UserError(f"{self._folder}: the images are not there; a tracker cannot be run on it")


@dataclasses.dataclass(frozen=True, eq=False)
class Sequence:
    """One video and the target to follow.

    Attributes:
        name: as the benchmark's result files are called.
        frames: lazy images, `len(frames)` and `frames[i]` -> BGR uint8 height x width x 3.
        groundtruth: (N, 4) left, top, width, height or (N, 8) the corners x1, y1 ... x4, y4 of a
            polygon, in pixels, 0-based, float64; NaN where unknown. N may be 1 where a benchmark
            keeps the rest secret.
        absent: (N,) bool, True where the target is not in the image; None: the benchmark does not
            say.
        tags: name -> (N,) bool, what happens in each frame (VOT).
        attributes: what happens somewhere in the sequence (OTB and its like).
        base: what the benchmark's own files count the first pixel as, 0 or 1; result files follow
            it.
        image_size: width, height in pixels where the annotation states it.
        anchors: (N,) int, 1 where a multi-start run begins forward, -1 backward, 0 elsewhere; None:
            not given.
        labelled: (N,) bool, False in frames that nobody labelled, which one-pass figures leave out;
            None: the benchmark's rules count all frames.
        aliases: other names that result files may have.
        skipped: rows that result files of some toolkits have before the first frame.
        notes: what this copy of the benchmark lacks, and how that is scored.
        loose: whether a result file of a name that is only alike may be the sequence's; not where
            another sequence of the benchmark is alike, too.
    """

    name: str
    frames: Any
    groundtruth: np.ndarray
    absent: np.ndarray | None = None
    tags: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    attributes: tuple[str, ...] = ()
    base: int = 0
    image_size: tuple[int, int] | None = None
    anchors: np.ndarray | None = None
    labelled: np.ndarray | None = None
    aliases: tuple[str, ...] = ()
    skipped: int = 0
    notes: tuple[str, ...] = ()
    loose: bool = True

    def __len__(self) -> int:
        return len(self.frames)

    @cached_property
    def boxes(self) -> np.ndarray:
        """(N, 4) left, top, width, height; of a polygon the box of equal area about its centre."""
        if self.groundtruth.shape[1] == 4:
            return self.groundtruth
        return polygons.box_of_region(self.groundtruth)

    @cached_property
    def size(self) -> tuple[int, int]:
        """Width and height of the frames in pixels; reads the first image where the annotation does
        not say.

        Raises:
            UserError: neither says.
        """
        if self.image_size is not None:
            return self.image_size
        if not self.has_images:
            raise UserError(
                f"{self.name}: 'width' and 'height' are not in the annotation and the images are"
                " not there; the overlap inside the image needs one of both"
            )
        height, width = self.frames[0].shape[:2]
        return width, height

    def first(self, count: int) -> "Sequence":
        """The sequence's first so many frames, with what is known about them."""
        return self._part(0, count)

    def since(self, start: int) -> "Sequence":
        """The sequence from a frame on; result files may have rows for those before it."""
        return dataclasses.replace(
            self._part(start, len(self)),
            skipped=self.skipped + start,
            notes=(*self.notes, *start_note(self.name, start)),
        )

    def _part(self, start: int, stop: int) -> "Sequence":
        def cut(values):
            return None if values is None else values[start:stop]

        return dataclasses.replace(
            self,
            frames=self.frames[start:stop] if self.has_images else self.frames.first(stop - start),
            groundtruth=cut(self.groundtruth),
            absent=cut(self.absent),
            tags={tag: cut(flags) for tag, flags in self.tags.items()},
            anchors=cut(self.anchors),
            labelled=cut(self.labelled),
        )

    @property
    def has_images(self) -> bool:
        """Whether a tracker can be run on the sequence."""
        return not isinstance(self.frames, NoFrames)


def start_note(name: str, start: int) -> tuple[str, ...]:
    """What is said of a sequence that starts at a later frame than the first."""
    return (f"{name} starts at frame {start} (from 0), the first with a target",) if start else ()


def shifted(regions: np.ndarray, step: float) -> np.ndarray:
    """Boxes (N, 4) or polygons (N, 8) moved by `step` px in x and y."""
    return regions + np.array([step, step, 0, 0] if regions.shape[1] == 4 else step, np.float64)
