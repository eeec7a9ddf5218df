"""COCO's JSON: images and the boxes in them, x, y, width, height in px from 0.

Format: cocodataset.org/#format-data ("measured from the top left image corner", 0-indexed). Without
ids of targets each image is a picture of its own. COCO-video files (TAO, CocoVID) have `videos`,
`video_id` and `frame_index` or `frame_id` in images and `track_id` or `instance_id` in annotations;
CVAT puts `track_id` and `occluded` among `attributes`. Ids may be numbers or texts. Boxes of images
that are not listed, and crowds, are left out and counted.
"""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from siamjax.errors import UserError
from siamjax.media.labels import rle
from siamjax.media.labels.images import Item, Picture, area_of, frame_name, group, polygon_box
from siamjax.media.labels.jsons import built_as, head_of, load
from siamjax.media.labels.model import Shape, Video
from siamjax.media.labels.places import Places, holds_videos, visible

OUT = "annotations/instances_default.json"


def matches(source: Path) -> bool:
    """A JSON file with "images" and "annotations", or a folder with such a file in annotations/, or
    in itself where there are no videos beside it."""
    return any({"images", "annotations"} <= head_of(path).keys() for path in files_of(source)[:1])


def files_of(source: Path) -> list[Path]:
    """The files that may hold the labels of a source."""
    if source.is_file():
        return [source]
    found = visible(source, "annotations/*.json")
    if not found and not holds_videos(source):
        found = visible(source, "*.json")
    named = [path for path in found if path.name.startswith("instances")]
    return named or found


def only(source: Path) -> Path:
    """The file of a source.

    Raises:
        UserError: there is none, or more than one.
    """
    found = files_of(source)
    if len(found) != 1:
        some = ", ".join(path.name for path in found[:3]) or "none"
        raise UserError(f"{source}: one JSON file is expected, found {some}; name it")
    return found[0]


def read(source: Path, places: Places) -> list[Video]:
    """A video per image, or per video where targets have ids.

    Raises:
        UserError: not such a file.
    """
    path = only(source)
    content = load(path)
    with built_as(path, "COCO's JSON"):
        videos = _videos(content, path, places)
    return videos


def _videos(content: dict, path: Path, places: Places) -> list[Video]:
    skipped: Counter[str] = Counter()
    categories = names_of(content)
    videos = {str(v["id"]): str(v.get("name", v["id"])) for v in content.get("videos", ())}
    items: dict[str, list[Item]] = {str(image["id"]): [] for image in content["images"]}
    for annotation in content["annotations"]:
        image = str(annotation["image_id"])
        if image not in items:
            skipped["image is not listed"] += 1
        elif annotation.get("iscrowd"):
            skipped["crowd"] += 1
        elif item := _item(annotation, categories, skipped):
            items[image].append(item)
    split = path.stem.removeprefix("instances_")
    pictures = []
    for image in content["images"]:
        size = (int(image.get("width") or 0), int(image.get("height") or 0))
        frame = image.get("frame_index", image.get("frame_id"))
        pictures.append(
            Picture(
                name=str(image["file_name"]).replace("\\", "/"),
                items=items[str(image["id"])],
                path=places.image(str(image["file_name"]), split),
                size=size if all(size) else None,
                video=videos.get(str(image.get("video_id")), ""),
                frame=None if frame is None else int(frame),
            )
        )
    return group(pictures, path, skipped, places)


def names_of(content: dict) -> dict[str, str]:
    """Names of the categories by id."""
    return {str(c["id"]): str(c.get("name", c["id"])) for c in content.get("categories", ())}


def _item(annotation: dict, categories: dict[str, str], skipped: Counter[str]) -> Item | None:
    attributes = annotation.get("attributes") or {}
    ids = [annotation.get("track_id"), annotation.get("instance_id"), attributes.get("track_id")]
    id = next((str(value) for value in ids if value is not None), "")
    region = region_of(annotation.get("bbox"), annotation.get("segmentation"))
    if region is None:
        skipped["box is not a number"] += 1
        return None
    kind = str(annotation.get("category_id", ""))
    name = str(attributes.get("name", ""))
    category = categories.get(kind, kind)
    return Item(region[0], category, id, name, region[1], bool(attributes.get("occluded")))


def region_of(box: Any, segmentation: Any) -> tuple[tuple[float, ...], np.ndarray | None] | None:
    """A box, and its outline where it is one polygon; None: neither a box nor a mask of an object.

    Raises:
        UserError: a mask without a box, and pycocotools is not installed.
    """
    polygon: np.ndarray | None = None
    around: tuple[float, ...] | None = None
    if isinstance(segmentation, list) and segmentation and isinstance(segmentation[0], list):
        parts = [np.array(part, np.float64).reshape(-1, 2) for part in segmentation]
        polygon = parts[0] if len(parts) == 1 else None
        around = polygon_box(np.concatenate(parts))
    elif isinstance(segmentation, dict) and not box:
        around = rle.box(segmentation)
    try:
        given = tuple(map(float, box)) if box else around
    except (TypeError, ValueError):
        return None
    if given is None or len(given) != 4 or not np.isfinite(given).all():
        return None
    return given, polygon


def write(videos: Sequence[Video]) -> dict[str, str]:
    """One file for all videos: every frame an image, every box an annotation with `track_id`.

    Raises:
        UserError: the size of the frames is not known.
    """
    categories = categories_of(videos)
    numbers = {name: i for i, name in enumerate(categories, 1)}
    content: dict = {
        "info": {},
        "licenses": [],
        "categories": [{"id": i, "name": n, "supercategory": ""} for n, i in numbers.items()],
        "videos": [{"id": i, "name": video.name} for i, video in enumerate(videos, 1)],
        "images": [],
        "annotations": [],
    }
    tracks = 0
    for number, video in enumerate(videos, 1):
        first = len(content["images"]) + 1
        width, height = video.size
        for frame in range(video.count):
            file = f"{video.name}/{frame_name(video, frame)}"
            image = {"id": first + frame, "width": width, "height": height, "file_name": file}
            content["images"].append(image | {"video_id": number, "frame_index": frame})
        for each in video.tracks:
            tracks += 1
            head = {"category_id": numbers[each.label], "track_id": tracks}
            names = {"name": each.name} if each.name else {}
            for shape in each.shapes():
                made = {"id": len(content["annotations"]) + 1, "image_id": first + shape.frame}
                attributes = names | {"occluded": bool(shape.occluded)}
                content["annotations"].append(
                    made | head | region_fields(shape) | {"attributes": attributes}
                )
    return {OUT: json.dumps(content) + "\n"}


def image_path(video: Video, frame: int) -> str:
    """Where a frame is expected."""
    return f"images/{video.name}/{frame_name(video, frame)}"


def categories_of(videos: Sequence[Video]) -> list[str]:
    """Sorted labels of all targets."""
    return sorted({each.label for video in videos for each in video.tracks})


def region_fields(shape: Shape) -> dict:
    """COCO's fields of a box and its outline."""
    box = [round(float(value), 3) for value in shape.box]
    outline = [] if shape.polygon is None else [np.round(shape.polygon, 2).ravel().tolist()]
    area = round(box[2] * box[3] if shape.polygon is None else area_of(shape.polygon), 3)
    return {"bbox": box, "area": area, "segmentation": outline, "iscrowd": 0}
