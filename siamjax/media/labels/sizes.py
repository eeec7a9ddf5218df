"""Sizes of images from their heads."""

from pathlib import Path

from PIL import Image

from siamjax.errors import UserError

# as Pillow's decoders raise them
BROKEN = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
_ORIENTATION = 0x0112  # EXIF's tag; from 5 on the image is shown on its side


def image_size(path: Path) -> tuple[int, int]:
    """Width and height of an image as displayed, px.

    Raises:
        UserError: it is not there, or not an image.
    """
    return image_sizes(path)[0]


def image_sizes(path: Path) -> tuple[tuple[int, int], tuple[int, int]]:
    """Width and height of an image in px, as displayed and as stored.

    Raises:
        UserError: it is not there, or not an image.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(_ORIENTATION, 1) >= 5
    except BROKEN:
        raise UserError(f"{path}: not a readable image; restore it, or leave it out") from None
    return ((height, width) if turned else (width, height)), (width, height)
