"""Folders of MOT Challenge (MOT15, MOT16, MOT17, MOT20): <sequence>/gt/gt.txt, img1/, seqinfo.ini.

The sequences lie in the folder itself, in train/ of it, or it is one. The lines of gt.txt are those
of `siamjax.media.labels.mot`. MOT17 has every sequence three times, for three detectors, with one
ground truth: the first is read. gt/labels.txt, which CVAT writes, names own classes.
"""

import configparser
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from siamjax.errors import UserError
from siamjax.files import folder_name
from siamjax.media.frames import images_of
from siamjax.media.labels.model import MOST_FRAMES, Video
from siamjax.media.labels.mot import CLASSES, text, tracks_of
from siamjax.media.labels.places import Places, is_video, lines_of, need_folder
from siamjax.media.lines import as_number

_TRUTH = Path("gt", "gt.txt")


def matches(source: Path) -> bool:
    """A sequence, or a folder of such and of no other videos."""
    if not source.is_dir():
        return False
    found = _sequences(source)
    if not found or found == [source] or found[0].parent != source:
        return bool(found)
    folders = (path for path in source.iterdir() if path.is_dir() and images_of(path))
    others = [path for path in folders if not (path / _TRUTH).is_file()]
    return not others and not any(map(is_video, source.iterdir()))


def _sequences(source: Path) -> list[Path]:
    if (source / _TRUTH).is_file():
        return [source]
    inner = source / "train" if (source / "train").is_dir() else source
    found = sorted(path.parent.parent for path in inner.glob(f"*/{_TRUTH}"))
    unique = {re.sub(r"-(DPM|FRCNN|SDP)$", "", path.name): path for path in reversed(found)}
    return sorted(unique.values())


def read(source: Path, places: Places) -> list[Video]:
    """A video per sequence.

    Raises:
        UserError: no such sequence, or a table that cannot be read.
    """
    need_folder(source)
    sequences = _sequences(source)
    if not sequences:
        raise UserError(f"{source}: no <sequence>/{_TRUTH} in it")
    return [_sequence(folder, places) for folder in sequences]


def _sequence(folder: Path, places: Places) -> Video:
    skipped: Counter[str] = Counter()
    names = folder / "gt" / "labels.txt"
    classes = lines_of(names) if names.is_file() else CLASSES
    tracks = tracks_of(folder / _TRUTH, classes, skipped)
    info = _info(folder / "seqinfo.ini")
    images = images_of(folder / info.get("imdir", "img1"))
    width, height, length = (
        int(_number(info, side)) for side in ("imwidth", "imheight", "seqlength")
    )
    found = {"images": images} if images else places.media(folder.name)
    return Video(
        name=folder_name(folder),
        tracks=tracks,
        **found,
        stated_size=(width, height) if width and height else None,
        fps=_number(info, "framerate") or None,
        length=length or None,
        skipped=skipped,
        source=folder,
    )


def _number(info: dict[str, str], name: str) -> float:
    """A number of seqinfo.ini; 0 where it has none that a video can have."""
    value = as_number(info.get(name, "0"))
    return value if value is not None and 0 <= value < MOST_FRAMES else 0.0


def _info(path: Path) -> dict[str, str]:
    """The entries of seqinfo.ini; {} where it is missing or broken."""
    parser = configparser.ConfigParser()
    try:
        parser.read(path, encoding="utf-8-sig")
        return dict(parser["Sequence"])
    except (configparser.Error, KeyError, UnicodeDecodeError):
        return {}


def image_path(video: Video, frame: int) -> str:
    """Where a frame is expected: numbers from 1."""
    suffix = video.images[0].suffix if video.images else ".jpg"
    return f"{video.name}/img1/{frame + 1:06d}{suffix}"


def write(videos: Sequence[Video]) -> dict[str, str]:
    """gt/gt.txt of nine columns, gt/labels.txt and seqinfo.ini of each video.

    Raises:
        UserError: the size of the frames is not known.
    """
    made = {}
    for video in videos:
        categories = video.categories()
        classes = CLASSES if set(categories) <= {*CLASSES} else categories
        made[f"{video.name}/{_TRUTH}"] = text(video, None, classes)
        made[f"{video.name}/gt/labels.txt"] = "".join(f"{name}\n" for name in classes)
        width, height = video.size
        suffix = video.images[0].suffix if video.images else ".jpg"
        values = {"name": video.name, "imDir": "img1", "frameRate": f"{video.fps or 25:g}"}
        values |= {"seqLength": f"{video.count}", "imWidth": f"{width}", "imHeight": f"{height}"}
        values |= {"imExt": suffix}
        lines = "".join(f"{key}={value}\n" for key, value in values.items())
        made[f"{video.name}/seqinfo.ini"] = f"[Sequence]\n{lines}"
    return made
