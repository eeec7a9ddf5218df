"""Frames that lie in folders as image files: which they are, in which order, and their pixels."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from siamjax.errors import UserError

# Errors of siamjax say what OpenCV would print; the user's own setting stands.
if "OPENCV_LOG_LEVEL" not in os.environ:
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

# folders that hold a video's frames, in that of the video
INNER = ("", "img", "img1", "color", "frames", "images", "JPEGImages")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


def frame_number(name: str | os.PathLike[str]) -> int:
    """The last number in a file's name, -1 where there is none."""
    numbers = re.findall(r"\d+", Path(name).stem)
    return int(numbers[-1]) if numbers else -1


def readable(name: str) -> str:
    """A file's name as text that can be printed and written: bytes that are no text become "_"."""
    return re.sub("[\ud800-\udfff]", "_", name)


def natural_order(name: str) -> tuple[list[tuple[bool, int, str]], str]:
    """A key to sort names by: numbers in them by their value, what is between as text."""
    stem, suffix = os.path.splitext(name)
    parts = re.findall(r"(\d+)|(\D+)", stem)
    return [(not number, int(number or 0), text) for number, text in parts], suffix


def image_names(folder: str | os.PathLike[str]) -> list[str]:
    """Names of a folder's images, in the order of the numbers in them; [] without such a folder.

    Hidden files are no images.
    """
    names = os.listdir(folder) if os.path.isdir(folder) else []
    images = (n for n in names if n.lower().endswith(IMAGE_SUFFIXES) and not n.startswith("."))
    return sorted(images, key=natural_order)


def list_images(folder: str | os.PathLike[str]) -> list[Path]:
    """As `image_names`, as paths."""
    return [Path(folder) / name for name in image_names(folder)]


def frame_folder(folder: Path) -> Path | None:
    """The folder with the frames of a video's folder, itself or one in it; None: there are none."""
    if not folder.is_dir():
        return None
    return next((folder / part for part in INNER if image_names(folder / part)), None)


def images_of(folder: Path) -> tuple[Path, ...]:
    """The frames of a video's folder, in order; empty: there are none."""
    place = frame_folder(folder)
    return tuple(place / name for name in image_names(place)) if place else ()


class ImageFiles(Sequence):
    """Image files as frames: `frames[i]` reads one, (H, W, 3) BGR uint8.

    A slice is an `ImageFiles`, too, without reading anything.
    """

    def __init__(self, paths: Sequence[Path]):
        self.paths = [Path(path) for path in paths]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return ImageFiles(self.paths[index])
        return read_image(self.paths[index])


def read_image(path: Path) -> np.ndarray:
    """An image file as it is displayed, (H, W, 3) BGR uint8; see `decode_image`.

    Raises:
        UserError: it is not there, or not an image.
    """
    try:
        image = decode_image(path.read_bytes())
        fault = "not a readable image"
    except OSError as error:
        image, fault = None, f"no such image ({error.strerror})"
    if image is None:
        shown = readable(str(path))
        raise UserError(f"{shown}: {fault}; restore it, or leave this frame or sequence out")
    return image


def decode_image(data: bytes) -> np.ndarray | None:
    """The content of an image file as it is displayed, (H, W, 3) BGR uint8; None: not an image.

    An orientation in the metadata (EXIF) is applied. 16 bits are scaled to eight. Grey is repeated
    over the channels, CMYK is converted, transparency is dropped: the colours stand as they are
    stored (those of a TIFF over black). Of an animation it is the first picture.
    """
    if not data:
        return None
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None
