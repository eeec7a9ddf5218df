"""Images as a video: a folder of them, one file, or an animation."""

import contextlib
import functools
from collections.abc import Generator, Sequence
from pathlib import Path

import cv2
import numpy as np

from siamjax.errors import UserError
from siamjax.files import folder_name
from siamjax.media.frames import (
    IMAGE_SUFFIXES,
    ImageFiles,
    decode_image,
    images_of,
    readable,
)
from siamjax.media.selection import Grab, Selection
from siamjax.media.source import DEFAULT_FPS, Video


class Images(Video):
    """Images that can be read by number; `len` and index count the wanted ones.

    Args:
        images: frames by index, (H, W, 3) BGR uint8.
        fps: frames per second; images in a folder have no times, they are taken as 25 a second.
    """

    def __init__(
        self,
        name: str,
        images: Sequence[np.ndarray],
        selection: Selection,
        fps: float = DEFAULT_FPS,
    ):
        super().__init__(name, selection, fps, len(images))
        self._images, self._fps = images, fps
        self._numbers = selection.numbers(len(images), fps)

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: int) -> np.ndarray:
        return self._images[self._numbers[index]]

    def _grabs(self) -> Generator[Grab, None, None]:
        for i in range(len(self._images)):
            yield Grab(i, i / self._fps, functools.partial(self._images.__getitem__, i))


def image_folder(path: Path, selection: Selection) -> Images:
    """The images of a folder, or those of a folder of frames in it as `img`, by number.

    Raises:
        UserError: there is none.
    """
    images = ImageFiles(images_of(path))
    if not images:
        raise UserError(f"{path}: no images there, nor in img ({', '.join(IMAGE_SUFFIXES)})")
    return Images(readable(folder_name(path)), images, selection)


def image_file(path: Path, name: str, shown: str, selection: Selection) -> Images:
    """The pictures of an animated image, or the only one of another.

    Args:
        name: for default output names.
        shown: what messages call it.

    Raises:
        UserError: not an image.
    """
    data = path.read_bytes()
    good, animation = False, None
    with contextlib.suppress(cv2.error):  # empty, or larger than OpenCV takes
        good, animation = cv2.imdecodeanimation(np.frombuffer(data, np.uint8))
    if good and animation is not None and len(animation.frames) > 1:
        frames = [np.ascontiguousarray(frame[..., :3]) for frame in animation.frames]
        seconds = sum(animation.durations) / 1000
        fps = len(frames) / seconds if seconds > 0 else DEFAULT_FPS
        return Images(name, frames, selection, fps)
    image = decode_image(data)
    if image is None:
        raise UserError(f"{shown}: not a readable image")
    return Images(name, [image], selection)
