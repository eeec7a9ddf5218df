"""What a source data set gives to preparation: its videos, and the boxes in each."""

import abc
import itertools
import math
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from siamjax.errors import UserError
from siamjax.geometry.boxes import LARGEST
from siamjax.media.frames import IMAGE_SUFFIXES, decode_image
from siamjax.media.tables import read_table, read_values


class Video(NamedTuple):
    """A unit of preparation; never split over parts.

    Attributes:
        name: unique in the data set.
        weight: about how many crops it will give.
        payload: what `Source.targets` needs to know besides the name; a JSON value.
    """

    name: str
    weight: int
    payload: Any = None


class Target(NamedTuple):
    """One box in one frame.

    Attributes:
        track: name, unique in the video.
        frame: number of the frame in the video, >= 0.
        box: left, top, right, bottom, px, counted from the image's left and top edge.
        image: path relative to the source's folder; for a video file that and `frame` name it.
        category: of the track; empty: not known.
    """

    track: str
    frame: int
    box: tuple[float, float, float, float]
    image: str
    category: str = ""


Videos = Iterator[Video]
Targets = Iterator[Target]
Skipped = Counter[str]  # how many boxes were left out, by reason


class Source(abc.ABC):
    """A data set in its published layout.

    Attributes:
        name: of the data set, the folder of its crops and the command.
        official: what the official release holds, for --check: pairs of thing and number.
        root: its folder.
        left_out: names of videos that are not taken, such as those kept for validation.
        image_folder: the folder below which all images lie, relative to `root`.
        pixel: side of a pixel in the unit of `targets`; 0 where it depends on the image.
        code: modules besides those of the class and its bases that decide what its crops are.
    """

    name: str
    official: tuple[tuple[str, int], ...] = ()
    image_folder = ""
    pixel = 1.0
    code: tuple[str, ...] = ()
    left_out: frozenset[str] = frozenset()

    def __init__(self, root: str | Path):
        """Args: root: folder of the data set.

        Raises:
            UserError: no such folder.
        """
        self.root = Path(root)
        if not self.root.is_dir():
            raise UserError(f"--source={root}: no such folder; {self.layout()}")

    @classmethod
    def layout(cls) -> str:
        """Where the files are expected, for messages: the second paragraph of the docstring."""
        return " ".join((cls.__doc__ or "").split("\n\n")[1].split())

    @abc.abstractmethod
    def videos(self) -> Videos:
        """All videos, in the order of their names; reads little.

        Raises:
            UserError: the folder does not have the layout.
        """

    def first_videos(self, limit: int = 0) -> Videos:
        """The first videos that are not left out, or all of them with limit 0.

        Raises:
            UserError: the folder does not have the layout, holds no video, or two of one name; all
                videos are left out, or (with limit 0) one that it does not hold.
        """
        names: set[str] = set()
        taken = 0
        for video in self.videos():
            if video.name in names:
                raise UserError(f"{self.root}: two videos are called {video.name}; rename one")
            names.add(video.name)
            if video.name not in self.left_out:
                taken += 1
                yield video
            if taken == limit > 0:
                return
        if not names:
            raise UserError(f"{self.root}: no video in it; {self.layout()}")
        if unknown := sorted(self.left_out - names):
            raise UserError(
                f"--leave_out={unknown[0]}: {self.root} has no such video; its first is called"
                f" {min(names)}"
            )
        if not taken:
            raise UserError(f"--leave_out: names all videos of {self.root}; leave some to prepare")

    @abc.abstractmethod
    def targets(self, video: Video, skipped: Skipped) -> Targets:
        """The boxes of a video in the order of frames; counts those left out by reason."""

    def box_files(self, names: Collection[str]) -> list[Path]:
        """Where the boxes of videos of these names are written down, for messages."""
        return [self.root]

    def about(self) -> dict:
        """Further entries of the manifest, JSON values."""
        return {}

    def images(self) -> Iterator[str]:
        """Paths of all images under `root`, for --check; those without any box are surplus."""
        return self.files_below(self.image_folder, IMAGE_SUFFIXES)

    def frames(
        self, video: Video, targets: Iterable[Target]
    ) -> Iterator[tuple[Target, np.ndarray | None]]:
        """Decodes the frame of each target of a video, once per image; None: it is not readable."""
        for path, of_image in itertools.groupby(targets, lambda target: target.image):
            image = read_image(self.root / path)
            for target in of_image:
                yield target, image

    def exists(self, target: Target) -> bool:
        """Whether the target's image is there."""
        return (self.root / target.image).is_file()

    def need(self, *parts: str) -> Path:
        """A path that the layout demands.

        Raises:
            UserError: it is not there.
        """
        path = self.root.joinpath(*parts)
        if not path.exists():
            raise UserError(f"{path}: missing; {self.layout()}")
        return path

    def files_below(self, folder: str, suffixes: tuple[str, ...]) -> Iterator[str]:
        """Paths, relative to `root`, of the files below a folder that have one of the suffixes."""
        for place in sorted(Path(place) for place, _, _ in os.walk(self.root / folder)):
            for file in listing(place, suffixes):
                yield (place / file).relative_to(self.root).as_posix()


def read_image(path: Path) -> np.ndarray | None:
    """As it is displayed, BGR uint8, see `siamjax.media.frames.decode_image`; None where there is
    no readable, whole image."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    # The decoder fills the missing part of a truncated JPEG with grey instead of failing.
    truncated = data[:2] == b"\xff\xd8" and b"\xff\xd9" not in data[-4096:]
    return None if truncated else decode_image(data)


def box_fault(
    box, width: float | None = None, height: float | None = None, pixel: float = 1.0
) -> str | None:
    """Why a box can't become a crop, or None.

    Args:
        box: left, top, right, bottom.
        width, height: of the image, where known.
        pixel: side of a pixel in the box's unit.
    """
    x1, y1, x2, y2 = box
    if not all(math.isfinite(v) for v in box):
        return "box is not a number"
    if x2 < x1 or y2 < y1:
        return "box is inverted"
    if x2 == x1 or y2 == y1:
        return "box is empty"
    if x2 - x1 <= pixel or y2 - y1 <= pixel:
        return "box is one pixel wide or high"
    if width is not None and (x2 <= 0 or y2 <= 0 or x1 >= width or y1 >= height):
        return "box is outside of the image"
    if width is not None and (x2 - x1 > LARGEST * width or y2 - y1 > LARGEST * height):
        return f"box is over {LARGEST} times the image"
    return None


def read_numbers(path: Path, columns: int | None = None) -> np.ndarray:
    """A text file of numbers in rows, read by `siamjax.media.tables`; what is not a number is NaN,
    as is an empty row. A missing file gives no rows.

    Args:
        path: the file.
        columns: rows of another length become NaN; None: one number per field, flattened.

    Returns:
        (rows, columns) float64, or (numbers,).
    """
    if not path.is_file():
        return np.empty((0,) if columns is None else (0, columns))
    if columns is not None:
        return read_table(path, (columns,), lenient=True)
    return read_values(path)


def listing(folder: Path, suffixes: tuple[str, ...]) -> list[str]:
    """Sorted names of a folder's visible files with one of the (lower-case) suffixes."""
    return sorted(p.name for p in folder.glob("[!.]*") if p.name.lower().endswith(suffixes))


def folders(folder: Path) -> list[str]:
    """Sorted names of a folder's visible folders; [] without folder."""
    return sorted(p.name for p in folder.glob("[!.]*") if p.is_dir())
