"""Frames that lie in folders as image files: which they are, in which order, and their pixels."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from siamjax.errors import UserError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


def frame_number(name: str | os.PathLike[str]) -> int:
    """The last number in a file's name, -1 where there is none."""
    numbers = re.findall(r"\d+", Path(name).stem)
    return int(numbers[-1]) if numbers else -1


def image_names(folder: str | os.PathLike[str]) -> list[str]:
    """Names of a folder's images, in the order of the numbers in them; [] without such a folder.

    Hidden files are no images. Names of one number, or of none, follow each other as text.
    """
    names = os.listdir(folder) if os.path.isdir(folder) else []
    images = (n for n in names if n.lower().endswith(IMAGE_SUFFIXES) and not n.startswith("."))
    return sorted(images, key=lambda name: (frame_number(name), name))


def list_images(folder: str | os.PathLike[str]) -> list[Path]:
    """As `image_names`, as paths."""
    return [Path(folder) / name for name in image_names(folder)]


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
    """An image file, (H, W, 3) BGR uint8.

    Raises:
        UserError: it is not there, or not an image.
    """
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        fault = "not a readable image" if path.is_file() else "no such image"
        raise UserError(f"{path}: {fault}; restore it, or leave this frame or sequence out")
    return image
