"""What a source data set gives to preparation: its videos, and the boxes in each."""

import abc
import csv
import dataclasses
import hashlib
import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np

from siamjax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Video:
    """A unit of preparation; never split over shards' parts.

    Attributes:
        name: unique in the data set.
        weight: about how many crops it will give.
        payload: what `Source.targets` needs to know besides the name; a JSON value.
    """

    name: str
    weight: int
    payload: Any = None


@dataclasses.dataclass(frozen=True)
class Target:
    """One box in one frame.

    Attributes:
        track: name, unique in the video.
        frame: number of the frame in the video, >= 0.
        box: left, top, right, bottom, px, counted from the image's left and top edge.
        image: path relative to the source's folder; for a video file that and `frame` name it.
    """

    track: str
    frame: int
    box: tuple[float, float, float, float]
    image: str


class Source(abc.ABC):
    """A data set in its published layout.

    Attributes:
        name: of the data set, the folder of its crops and the command.
        official: what the official release holds, for --check: {thing: number}.
        root: its folder.
        pixel: side of a pixel in the unit of `targets`; 0 where it depends on the image.
        code: modules besides the class's own that decide what its crops are.
    """

    name: str
    official: ClassVar[dict[str, int]]
    pixel: ClassVar[float] = 1.0
    code: ClassVar[tuple[str, ...]] = ()

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
        """Where the files are expected, for messages."""
        return " ".join((cls.__doc__ or "").split("\n\n")[1].split())

    @abc.abstractmethod
    def videos(self) -> Iterator[Video]:
        """All videos, in the order of their names; reads little.

        Raises:
            UserError: the folder does not have the layout.
        """

    @abc.abstractmethod
    def targets(self, video: Video, skipped: Counter) -> Iterator[Target]:
        """The boxes of a video in the order of frames; counts those left out by reason."""

    def images(self) -> Iterator[str]:
        """Paths of all images under `root`, for --check; those without any box are surplus."""
        return iter(())

    def frames(
        self, video: Video, targets: Iterable[Target]
    ) -> Iterator[tuple[Target, np.ndarray | None]]:
        """Decodes the frame of each target of a video, once per image; None: it is not readable."""
        path, image = None, None
        for target in targets:
            if target.image != path:
                path, image = target.image, read_image(self.root / target.image)
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


def read_image(path: Path) -> np.ndarray | None:
    """BGR uint8, or None where there is no readable, whole image."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    # The decoder fills the missing part of a truncated JPEG with grey instead of failing.
    if data[:2] == b"\xff\xd8" and b"\xff\xd9" not in data[-4096:]:
        return None
    if not data:
        return None
    # The boxes belong to the pixels as they are stored, not as a camera's orientation tag turns
    # them.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    return cv2.imdecode(np.frombuffer(data, np.uint8), flags)


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
    return None


def read_numbers(path: Path, columns: int | None = None) -> np.ndarray:
    """A text file of numbers separated by commas, blanks or tabs, one row per line.

    Empty fields and words are NaN. A missing file gives no rows.

    Args:
        path: the file.
        columns: rows of another length become NaN; None: one number per field, flattened.

    Returns:
        (rows, columns) float64, or (numbers,).
    """
    if not path.is_file():
        return np.zeros((0, columns) if columns else 0)
    rows = []
    for line in path.read_text(errors="replace").splitlines():
        fields = line.replace(",", " ").split()
        if not fields:
            continue
        row = [_number(field) for field in fields]
        if columns is None:
            rows += row
        else:
            rows.append(row if len(row) == columns else [math.nan] * columns)
    return np.array(rows, np.float64).reshape(-1, columns) if columns else np.array(rows)


def _number(field):
    try:
        return float(field)
    except ValueError:
        return math.nan


def read_json(path: Path) -> dict:
    """A JSON object.

    Raises:
        UserError: not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise UserError(f"{path}: not a JSON file ({error}); download it again") from error


def read_csv(path: Path) -> Iterator[list[str]]:
    """Rows of a CSV file."""
    with open(path, newline="", errors="replace") as file:
        yield from csv.reader(file)


def listing(folder: Path, suffixes: tuple[str, ...]) -> list[str]:
    """Names of a folder's files with one of the (lower-case) suffixes, sorted; [] without
    folder.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(e.name for e in entries if e.name.lower().endswith(suffixes))
    except (FileNotFoundError, NotADirectoryError):
        return []


def folders(folder: Path) -> list[str]:
    """Names of a folder's folders, sorted; [] without folder."""
    try:
        with os.scandir(folder) as entries:
            return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []


def digest(lines: Iterable[str]) -> str:
    """SHA-256 of lines of text."""
    sha = hashlib.sha256()
    for line in lines:
        sha.update(line.encode() + b"\n")
    return sha.hexdigest()


IMAGES = (".jpg", ".jpeg", ".png", ".bmp")
