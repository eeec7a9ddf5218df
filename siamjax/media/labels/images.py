"""Labels that lie image by image: when they are separate pictures, and when a video.

Formats of single images know no targets, only objects. Where they name them (an id, a group),
the images of a folder are a video's frames. Where they do not, each image is a video of one frame,
except in a folder that is known to be a video: there a category that no frame has twice is one
target.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from siamjax.media.frames import frame_number, image_names
from siamjax.media.labels.model import Shape, Track, Video, track
from siamjax.media.labels.places import Places


class Item(NamedTuple):
    """An object in an image; `id` is empty where nothing tells it from others."""

    box: Sequence[float]
    category: str = ""
    id: str = ""
    name: str = ""
    polygon: np.ndarray | None = None
    occluded: bool = False


class Picture(NamedTuple):
    """An image with its objects.

    Attributes:
        name: its path, as far as the labels tell, with "/".
        items: the objects.
        path: where it lies; None: it is not there.
        size: width and height in px, where known.
        video: name of its video; empty: its folder's.
        frame: number in the video, from 0; None: its place among the folder's images.
    """

    name: str
    items: Sequence[Item]
    path: Path | None = None
    size: tuple[int, int] | None = None
    video: str = ""
    frame: int | None = None


def group(
    pictures: Sequence[Picture], source: Path, skipped: Counter[str], places: Places
) -> list[Video]:
    """Videos of pictures, by the rule of this module; `skipped` belongs to the first of them."""
    folders: dict[str, list[Picture]] = defaultdict(list)
    for picture in pictures:
        folder = PurePosixPath(picture.name).parent.as_posix()
        folders[picture.video or folder].append(picture)
    videos: list[Video] = []
    for name, members in folders.items():
        if any(p.video or any(item.id for item in p.items) for p in members):
            whole = source.stem if name == "." else name
            found = {} if any(p.path for p in members) else places.media(whole)
            video = join(whole, members, source, found.get("images", ()))
            videos.append(video.replace(media=found.get("media")))
        else:
            videos += (_single(picture, source) for picture in members)
    if videos:
        videos[0].skipped.update(skipped)
    return videos


def _single(picture: Picture, source: Path) -> Video:
    name = PurePosixPath(picture.name).with_suffix("").as_posix()
    tracks = [_track(str(k), item.category, [(0, item)]) for k, item in enumerate(picture.items)]
    images = (picture.path,) if picture.path else ()
    return Video(name, tracks, None, images, picture.size, None, 1, Counter(), source)


def join(
    name: str, pictures: Sequence[Picture], source: Path, images: Sequence[Path] = ()
) -> Video:
    """One video of pictures, its frames.

    Args:
        images: all frames, where the caller knows them; else those beside the first picture.
    """
    paths = [p.path for p in pictures if p.path]
    if not images and paths:
        folder = paths[0].parent
        images = [folder / name for name in image_names(folder)]
    place = {path.stem: i for i, path in enumerate(images)}
    stems = [PurePosixPath(p.name).stem for p in pictures]
    order = sorted(set(stems), key=lambda stem: (frame_number(f"{stem}.x"), stem))
    found = set(stems) <= place.keys()
    place = place if found else {stem: i for i, stem in enumerate(order)}
    skipped: Counter[str] = Counter()
    by_id: dict[tuple[str, str], list[tuple[int, Item]]] = defaultdict(list)
    loose: dict[str, list[tuple[int, Item]]] = defaultdict(list)
    sizes: dict[int, tuple[int, int]] = {}
    for picture, stem in zip(pictures, stems):
        # the number in the video is none of a folder that has some of its frames alone
        frame = place[stem] if found or picture.frame is None else picture.frame
        if picture.size:
            sizes[frame] = picture.size
        for item in picture.items:
            if item.id:
                by_id[item.id, item.category].append((frame, item))
            else:
                loose[item.category].append((frame, item))
    ids = Counter(id for id, _ in by_id)
    tracks = []
    for (id, category), rows in by_id.items():
        unique = id if ids[id] == 1 else f"{category} {id}"
        tracks.append(_track(unique, category, rows, skipped))
    for category, rows in loose.items():
        if max(Counter(frame for frame, _ in rows).values()) == 1:
            tracks.append(_track(category or "0", category, rows, skipped))
        else:
            tracks += (_track(f"{category} {n}", category, [row]) for n, row in enumerate(rows))
    size = next((p.size for p in pictures if p.size), None)
    length = max(len(images), max(place.values(), default=-1) + 1)
    video = Video(name, tracks, None, tuple(images), size, None, length, skipped, source)
    return video.replace(frame_sizes=sizes)


def _track(id: str, category: str, rows: Iterable[tuple[int, Item]], skipped=None) -> Track:
    rows = list(rows)
    shapes = [Shape(frame, i.box, i.polygon, i.occluded) for frame, i in rows]
    name = next((item.name for _, item in rows if item.name), "")
    return track(id, shapes, name, category, skipped)


def by_frame(video: Video) -> list[tuple[int, list[tuple[int, Shape]]]]:
    """Frames with boxes, in order, with the number of the track and the shape of each box."""
    frames: dict[int, list[tuple[int, Shape]]] = defaultdict(list)
    for k, each in enumerate(video.tracks):
        for shape in each.shapes():
            frames[shape.frame].append((k, shape))
    return sorted(frames.items())


def frame_name(video: Video, frame: int, suffix: str = ".jpg") -> str:
    """The file name of a frame: that of its image, else a number of six digits."""
    return video.images[frame].name if frame < len(video.images) else f"{frame:06d}{suffix}"


def polygon_box(polygon: np.ndarray) -> tuple[float, float, float, float]:
    """The box around an outline (K, 2)."""
    low, high = polygon.min(0), polygon.max(0)
    return (float(low[0]), float(low[1]), *(high - low).tolist())


def turned(box: Sequence[float], degrees: float, centre: Sequence[float]):
    """The box around a box that is turned clockwise about a point, and its outline."""
    x, y, w, h = box
    corners = np.array([(x, y), (x + w, y), (x + w, y + h), (x, y + h)])
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    polygon = (corners - centre) @ np.array([[cos, sin], [-sin, cos]]) + centre
    return polygon_box(polygon), polygon


def area_of(polygon: np.ndarray) -> float:
    """Area of an outline (K, 2), px^2, by the shoelace formula."""
    x, y = polygon.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
