"""YOLO's text: per image a file with a line per object: class, centre x, centre y, width, height.

The numbers are fractions of the image's width and height, edges counted from 0
(docs.ultralytics.com/datasets/detect); a line of a class and three or more points is an outline.
Images lie in images/, texts in the same folders below labels/, or both in one folder; names of the
classes in data.yaml, or in classes.txt, obj.names (one per line). The format has no targets: each
image is a picture of its own.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import yaml

from siamjax.errors import UserError
from siamjax.media.frames import IMAGE_SUFFIXES
from siamjax.media.labels.images import Item, Picture, by_frame, frame_name, group, polygon_box
from siamjax.media.labels.model import Video
from siamjax.media.labels.places import Places, lines_of, need_folder, visible
from siamjax.media.labels.sizes import image_size
from siamjax.media.lines import as_number, read_lines

_LISTS = ("classes.txt", "obj.names", "*.names")


def matches(source: Path) -> bool:
    """A folder with data.yaml or obj.names, with labels/ and images/, or texts beside images."""
    if not source.is_dir():
        return False
    parts = all((source / part).is_dir() for part in ("labels", "images"))
    if parts or _yaml(source) or any(source.glob("*.names")):
        return True
    first = next(iter(_beside(source)), None)
    return first is not None and any(map(_line, filter(None, read_lines(first).rows)))


def _yaml(source: Path) -> Path | None:
    return next(iter(visible(source, "data.y*ml", "dataset.y*ml")), None)


def _beside(source: Path) -> list[Path]:
    """Texts that lie beside the image of their name."""
    stems = {p.stem for p in source.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES}
    return [path for path in visible(source, "*.txt") if path.stem in stems]


def read(source: Path, places: Places) -> list[Video]:
    """A video per image with a text.

    Raises:
        UserError: a class without a name, an image that is not there.
    """
    need_folder(source)
    names = _names(source)
    inner = [path for path in visible(source, "**/labels") if path.is_dir()]
    files = [p for folder in inner for p in visible(folder, "**/*.txt") if p.name not in _LISTS]
    files = files or _beside(source) or visible(source, "obj_*_data/**/*.txt")
    skipped: Counter[str] = Counter()
    pictures = [_picture(path, source, names, places, skipped) for path in files]
    return group([picture for picture in pictures if picture], source, skipped, places)


def _picture(
    path: Path, source: Path, names: dict[int, str], places: Places, skipped: Counter[str]
) -> Picture | None:
    below = path.relative_to(source).parts
    turn = max((i for i, part in enumerate(below) if part == "labels"), default=None)
    parts = below if turn is None else (*below[:turn], "images", *below[turn + 1 :])
    stem = source.joinpath(*parts).with_suffix("")
    name = PurePosixPath(*(part for i, part in enumerate(below) if i != turn)).with_suffix("")
    image = next(
        (p for s in IMAGE_SUFFIXES if (p := stem.with_name(stem.name + s)).is_file()), None
    )
    for suffix in IMAGE_SUFFIXES if image is None else ():
        image = image or places.image(f"{name}{suffix}")
    rows = [row for row in read_lines(path).rows if row]
    if image is None:
        skipped["image is missing"] += len(rows)
        return None
    size = image_size(image)
    items = []
    for row in rows:
        line = _line(row)
        if line is None:
            skipped["line is not a box"] += 1
            continue
        kind, box, polygon = line
        category = names.get(kind, str(kind))
        scale = np.array(size, np.float64)
        outline = None if polygon is None else polygon * scale
        items.append(Item((np.array(box) * [*scale, *scale]).tolist(), category, polygon=outline))
    return Picture(f"{name}{image.suffix}", items, image, size)


def _line(words: list[str]):
    """Class, box and outline of a line, in fractions; None: it is none of an object."""
    numbers = [value for word in words if (value := as_number(word)) is not None]
    if len(numbers) < len(words) or not np.isfinite(numbers).all() or numbers[0] % 1:
        return None
    kind, *values = numbers
    if min(values, default=9) < -0.5 or max(values, default=9) > 1.5:
        return None
    if len(values) in (4, 5):  # the fifth is a detector's confidence
        x, y, w, h = values[:4]
        return int(kind), (x - w / 2, y - h / 2, w, h), None
    if len(values) >= 6 and len(values) % 2 == 0:
        polygon = np.array(values, np.float64).reshape(-1, 2)
        return int(kind), polygon_box(polygon), polygon
    return None


def _names(source: Path) -> dict[int, str]:
    """Names of the classes by number; {} where no file has them."""
    path = _yaml(source)
    if path is None:
        places = (source, source / "labels", source.parent)
        lists = [found for place in places for name in _LISTS for found in place.glob(name)]
        lines = lines_of(lists[0]) if lists else []
        return {i: line.strip() for i, line in enumerate(lines) if line.strip()}
    try:
        names = yaml.safe_load("\n".join(lines_of(path))).get("names") or {}
    except (AttributeError, RecursionError, yaml.YAMLError):
        raise UserError(f"{path}: not readable as YAML; write it anew, with names: [...]") from None
    try:
        pairs = enumerate(names) if isinstance(names, list) else names.items()
        return {int(number): str(name) for number, name in pairs}
    except (AttributeError, TypeError, ValueError):
        raise UserError(f"{path}: names are to be a list, or numbers with a name each") from None


def image_path(video: Video, frame: int) -> str:
    """Where a frame is expected."""
    return f"images/{video.name}/{frame_name(video, frame)}"


def write(videos: Sequence[Video]) -> dict[str, str]:
    """labels/<video>/<frame>.txt for each frame, empty where there is no box, and data.yaml.

    Raises:
        UserError: the size of the frames is not known.
    """
    categories = sorted({each.label for v in videos for each in v.tracks})
    head = {"path": ".", "train": "images", "val": "images", "names": dict(enumerate(categories))}
    made = {"data.yaml": yaml.safe_dump(head, allow_unicode=True, sort_keys=False)}
    for video in videos:
        shapes = dict(by_frame(video))
        width, height = video.size
        for frame in range(video.count):
            lines = []
            for k, shape in shapes.get(frame, ()):
                x, y, w, h = shape.box
                kind = categories.index(video.tracks[k].label)
                box = ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height)
                lines.append(" ".join([str(kind), *(f"{value:.6f}" for value in box)]) + "\n")
            stem = Path(frame_name(video, frame)).stem
            made[f"labels/{video.name}/{stem}.txt"] = "".join(lines)
    return made
