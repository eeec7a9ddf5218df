"""Labelled videos: what every label format is read into and written from.

A box is x, y, w, h in px of its frame, counted from the left and top edge of the image: the first
pixel covers 0..1. Frames count from 0. A frame in which a track has no box does not show the
target ("outside" in CVAT's words).
"""

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from siamjax.errors import UserError
from siamjax.media.decoded import DecodedFrames
from siamjax.media.frames import ImageFiles
from siamjax.media.labels.sizes import image_size

MOST_FRAMES = 10_000_000  # more than any video has


class Shape(NamedTuple):
    """One target in one frame; fields as of `Track`."""

    frame: int
    box: Sequence[float]
    polygon: np.ndarray | None = None
    occluded: bool = False
    keyframe: bool = True
    columns: Mapping[str, float] = {}


@dataclasses.dataclass(frozen=True, eq=False)
class Track:
    """A target of a video.

    Attributes:
        id: unique in the video.
        frames: (N,) int64, increasing.
        boxes: (N, 4) float64 x, y, w, h.
        name: what people call it; empty: nothing.
        category: what it is, the "label" of most tools; empty: not said.
        polygons: (N,) outlines (K, 2), px, or None where there is none; empty: no outlines at all.
        occluded: (N,) bool, partly hidden.
        keyframe: (N,) bool, given by a person; False: interpolated between such.
        columns: further numbers of each box, (N,): score, second_peak, lost, presence; NaN where a
            box has none.
    """

    id: str
    frames: np.ndarray
    boxes: np.ndarray
    name: str = ""
    category: str = ""
    polygons: Sequence[np.ndarray | None] = ()
    occluded: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, bool))
    keyframe: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, bool))
    columns: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        if len(self.occluded) != len(self.frames):
            object.__setattr__(self, "occluded", np.zeros(len(self.frames), bool))
        if len(self.keyframe) != len(self.frames):
            object.__setattr__(self, "keyframe", np.ones(len(self.frames), bool))

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def title(self) -> str:
        """Its name; else category and id; else the id."""
        return self.name or " ".join(filter(None, (self.category, self.id)))

    @property
    def label(self) -> str:
        """What tools call a label or class: its category; else its name; else "object"."""
        return self.category or self.name or "object"

    def shapes(self) -> list[Shape]:
        """A shape per frame."""
        outlines = self.polygons or [None] * len(self)
        rows = zip(self.frames.tolist(), self.boxes, outlines, self.occluded, self.keyframe)
        columns = [*self.columns.items()]
        return [
            Shape(*row, {name: float(c[i]) for name, c in columns if not np.isnan(c[i])})
            for i, row in enumerate(rows)
        ]

    def select(self, kept: np.ndarray) -> "Track":
        """Only some of its frames, by mask or positions."""
        shapes = self.shapes()
        some = [shapes[i] for i in np.arange(len(self))[kept]]
        return track(self.id, some, self.name, self.category)

    def rows(self, length: int) -> np.ndarray:
        """(length, 4) a box for each frame, NaN where there is none."""
        boxes = np.full((length, 4), np.nan)
        kept = self.frames < length
        boxes[self.frames[kept]] = self.boxes[kept]
        return boxes


def track(
    id: str,
    shapes: Iterable[Shape],
    name: str = "",
    category: str = "",
    skipped: Counter[str] | None = None,
) -> Track:
    """A track of shapes in any order; of two in a frame the first counts.

    Args:
        skipped: counts what is left out, by reason.
    """
    by_frame: dict[int, Shape] = {}
    for shape in shapes:
        reason = ""
        if not 0 <= shape.frame < MOST_FRAMES:
            reason = "frame number is none of a video"
        elif not np.isfinite(np.asarray(shape.box, np.float64)).all():
            reason = "box is not a number"
        elif shape.frame in by_frame:
            reason = "two boxes of a track in one frame"
        else:
            by_frame[shape.frame] = shape
        if reason and skipped is not None:
            skipped[reason] += 1
    ordered = [by_frame[frame] for frame in sorted(by_frame)]
    outlines = [shape.polygon for shape in ordered]
    names = {name for shape in ordered for name in shape.columns}
    return Track(
        id=str(id),
        frames=np.array([shape.frame for shape in ordered], np.int64),
        boxes=np.array([tuple(s.box) for s in ordered], np.float64).reshape(-1, 4),
        name=name,
        category=category,
        polygons=outlines if any(outline is not None for outline in outlines) else (),
        occluded=np.array([shape.occluded for shape in ordered], bool),
        keyframe=np.array([shape.keyframe for shape in ordered], bool),
        columns={
            name: np.array([shape.columns.get(name, np.nan) for shape in ordered])
            for name in sorted(names)
        },
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Video:
    """A video with its tracks.

    Attributes:
        name: unique among those that were read together.
        tracks: its targets.
        media: its video file; None: images, or nowhere.
        images: its frames as image files, in order; empty: a video file, or nowhere.
        stated_size: width and height of a frame in px, where the labels say.
        fps: frames per second, where the labels say.
        length: number of frames, where the labels say or images tell.
        skipped: boxes that were left out, by reason.
        source: the file or folder that the labels were read from.
        checkpoint: the weights that tracked it; empty: labelled by a person, or not said.
        per_frame: whether the labels have a row for each frame, so that a frame without a box is
            one, too; a single row is the first box of any number of frames.
        frame_sizes: width and height in px of single frames, where the labels say them one by one.
    """

    name: str
    tracks: Sequence[Track]
    media: Path | None = None
    images: Sequence[Path] = ()
    stated_size: tuple[int, int] | None = None
    fps: float | None = None
    length: int | None = None
    skipped: Counter[str] = dataclasses.field(default_factory=Counter)
    source: Path | None = None
    checkpoint: str = ""
    per_frame: bool = False
    frame_sizes: Mapping[int, tuple[int, int]] = dataclasses.field(default_factory=dict)

    @property
    def last(self) -> int:
        """The last frame with a box; -1 without any."""
        return max((int(t.frames[-1]) for t in self.tracks if len(t)), default=-1)

    @cached_property
    def count(self) -> int:
        """Number of frames, at least as many as there are labels for."""
        known = self.length or len(self.images)
        if not known and self.media is not None:
            known = len(DecodedFrames(self.media))
        return max(self.last + 1, known)

    def digest(self) -> str:
        """Of its targets' titles, frames and boxes."""
        sha = hashlib.sha256(str([each.title for each in self.tracks]).encode())
        for each in self.tracks:
            sha.update(each.frames.tobytes() + each.boxes.tobytes())
        return sha.hexdigest()

    @property
    def boxes(self) -> int:
        """Number of boxes of all tracks."""
        return sum(map(len, self.tracks))

    @property
    def has_frames(self) -> bool:
        """Whether its frames are there."""
        return bool(self.images) or self.media is not None

    def frames(self) -> Sequence[np.ndarray]:
        """Its frames by index, (H, W, 3) BGR uint8, read when asked for.

        Raises:
            UserError: they are not there.
        """
        if self.images:
            return ImageFiles(list(self.images))
        if self.media is not None:
            return DecodedFrames(self.media)
        raise UserError(
            f"{self.source or self.name}: the frames of {self.name} were not found beside the"
            " labels; give their folder as --media=FOLDER"
        )

    @cached_property
    def size(self) -> tuple[int, int]:
        """Width and height of a frame, px; from the first frame where the labels do not say.

        Raises:
            UserError: neither says.
        """
        if self.stated_size is not None:
            return self.stated_size
        return self.shown_size

    @cached_property
    def shown_size(self) -> tuple[int, int]:
        """Width and height of the first frame as it is shown, px, whatever the labels say.

        Raises:
            UserError: it is not there, or not readable.
        """
        if self.images:
            return image_size(self.images[0])
        height, width = self.frames()[0].shape[:2]
        return width, height

    def categories(self) -> list[str]:
        """The categories of its tracks, sorted, without the empty one."""
        return sorted({track.category for track in self.tracks} - {""})

    def replace(self, **changes: Any) -> "Video":
        """A copy with other values of some attributes."""
        return dataclasses.replace(self, **changes)
