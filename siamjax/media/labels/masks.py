"""DAVIS and YouTube-VOS: a mask per frame, whose values are the numbers of the targets; read only.

Annotations/<video>/<frame>.png beside JPEGImages/<video>/<frame>.jpg, both with a folder for the
resolution between in DAVIS (480p). A mask of palette colours holds numbers, of which 255 is "void";
in a grey one (DAVIS 2016) 255 is the only target. A box reaches from the edge of the first covered
pixel to that of the last. YouTube-VOS's meta.json names categories. Masks cannot be written from
boxes.
"""

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
from PIL import Image

from siamjax.errors import UserError
from siamjax.media.frames import list_images
from siamjax.media.labels.jsons import load
from siamjax.media.labels.model import Shape, Video, track
from siamjax.media.labels.places import Places, need_folder, visible
from siamjax.media.labels.sizes import BROKEN

_RESOLUTIONS = ("480p", "Full-Resolution", "1080p")


def matches(source: Path) -> bool:
    """A folder with Annotations/ of masks and JPEGImages/."""
    top = _top(source)
    return top is not None and (source / "JPEGImages").is_dir()


def _top(source: Path) -> Path | None:
    """The folder of the videos' folders of masks."""
    places = [source / "Annotations" / part for part in (*_RESOLUTIONS, "")]
    return next((place for place in places if next(place.glob("*/*.png"), None)), None)


def read(source: Path, places: Places) -> list[Video]:
    """A video per folder of masks.

    Raises:
        UserError: there are no masks, or one is not readable.
    """
    need_folder(source)
    top = _top(source)
    if top is None:
        raise UserError(f"{source}: no masks Annotations/<video>/<frame>.png in it")
    pictures = source / "JPEGImages" / top.relative_to(source / "Annotations")
    meta = load(source / "meta.json") if (source / "meta.json").is_file() else {}
    videos = meta.get("videos", {}) if isinstance(meta, dict) else {}
    folders = [path for path in visible(top, "*") if path.is_dir()]
    return [
        _video(folder, pictures / folder.name, videos.get(folder.name, {})) for folder in folders
    ]


def _video(folder: Path, pictures: Path, meta: dict) -> Video:
    masks = list_images(folder)
    images = list_images(pictures) or masks
    place = {path.stem: i for i, path in enumerate(images)}
    skipped: Counter[str] = Counter()
    shapes: dict[int, list[Shape]] = defaultdict(list)
    size = None
    for path in masks:
        if path.stem not in place:
            skipped["image is missing"] += 1
            continue
        numbers, size = _mask(path)
        for number, box in numbers.items():
            shapes[number].append(Shape(place[path.stem], box))
    objects = meta.get("objects", {})
    tracks = [
        track(str(number), rows, "", str(objects.get(str(number), {}).get("category", "")))
        for number, rows in sorted(shapes.items())
    ]
    return Video(
        name=folder.name,
        tracks=tracks,
        images=images if pictures.is_dir() else (),
        stated_size=size,
        length=len(images),
        skipped=skipped,
        source=folder,
    )


def _mask(path: Path) -> tuple[dict[int, tuple], tuple[int, int]]:
    """The box of each number in a mask, and the mask's width and height."""
    try:
        with Image.open(path) as image:
            palette = image.mode == "P"
            values = np.asarray(image if palette else image.convert("L"))
    except BROKEN:
        raise UserError(f"{path}: not a readable mask; restore it") from None
    boxes = {}
    numbers = np.unique(values)
    for number in numbers[numbers > 0].tolist():
        if number == 255 and (palette or len(numbers) > 2):
            continue  # void
        rows, columns = (np.flatnonzero((values == number).any(axis)) for axis in (1, 0))
        x, y = int(columns[0]), int(rows[0])
        boxes[1 if number == 255 else number] = (
            x,
            y,
            int(columns[-1]) + 1 - x,
            int(rows[-1]) + 1 - y,
        )
    return boxes, (values.shape[1], values.shape[0])
