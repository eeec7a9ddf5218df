"""labelme's JSON: a file per image with shapes, points in px from 0 (github.com/wkentaro/labelme).

A rectangle is two opposite corners; polygons, circles (centre and a point of the rim) and the like
become the box around them; points are none. `group_id` tells a target from others of its label; in
a folder where no image has two shapes of a label, the label does.
"""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from siamjax.errors import UserError
from siamjax.media.labels.images import Item, Picture, by_frame, frame_name, group, polygon_box
from siamjax.media.labels.jsons import built_as, head_of, load
from siamjax.media.labels.model import Video
from siamjax.media.labels.places import Places, base_name, holds_videos, visible


def matches(source: Path) -> bool:
    """Such a JSON file, or a folder of such and of no videos."""
    if source.is_dir() and not visible(source, "*.json") and holds_videos(source):
        return False
    return any("shapes" in head_of(path) for path in _files(source)[:1])


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    return visible(source, "*.json") or visible(source, "*/*.json")


def read(source: Path, places: Places) -> list[Video]:
    """A video per image, or per folder where shapes have a group_id.

    Raises:
        UserError: not such files.
    """
    skipped: Counter[str] = Counter()
    pictures = []
    for path in _files(source):
        content = load(path)
        below = path.relative_to(source) if path != source else Path(path.name)
        if isinstance(content, dict) and "shapes" not in content:
            continue
        with built_as(path, "labelme's JSON", "save it again"):
            pictures.append(_picture(content, path, below.parent, places, skipped))
    if not pictures:
        raise UserError(f"{source}: no labelme file in it")
    return group(pictures, source, skipped, places)


def _picture(
    content: dict, path: Path, below: Path, places: Places, skipped: Counter[str]
) -> Picture:
    items = []
    for shape in content["shapes"]:
        points = np.array(shape["points"], np.float64).reshape(-1, 2)
        kind = shape.get("shape_type") or "polygon"
        if kind == "circle" and len(points) == 2:
            radius = float(np.linalg.norm(points[1] - points[0]))
            points = np.stack([points[0] - radius, points[0] + radius])
        if len(points) < 2 or kind in ("point", "points"):
            skipped[f"{kind} is no box"] += 1
            continue
        id = "" if shape.get("group_id") is None else str(shape["group_id"])
        outline = points if kind == "polygon" else None
        name = str(shape.get("description") or "")
        occluded = bool((shape.get("flags") or {}).get("occluded"))
        items.append(Item(polygon_box(points), shape["label"], id, name, outline, occluded))
    file = base_name(str(content.get("imagePath") or "")) or f"{path.stem}.jpg"
    image = (PurePosixPath(below.as_posix()) / path.stem).with_suffix(Path(file).suffix)
    found = path.with_name(file) if path.with_name(file).is_file() else places.image(file)
    size = int(content.get("imageWidth") or 0), int(content.get("imageHeight") or 0)
    return Picture(image.as_posix(), items, found, size if all(size) else None)


def write(videos: Sequence[Video]) -> dict[str, str]:
    """A file per frame with boxes, <video>/<frame>.json; group_id is the number of the target.

    Raises:
        UserError: the size of the frames is not known.
    """
    made = {}
    for video in videos:
        ids = [each.id for each in video.tracks]
        numbers = [int(id) for id in ids] if all(id.isdecimal() for id in ids) else None
        width, height = video.size
        for frame, shapes in by_frame(video):
            image = frame_name(video, frame)
            content: dict = {"version": "5.5.0", "flags": {}, "shapes": []}
            for k, shape in shapes:
                each, (x, y, w, h) = video.tracks[k], map(float, shape.box)
                content["shapes"].append(
                    {
                        "label": each.label,
                        "points": [[x, y], [x + w, y + h]],
                        "group_id": numbers[k] if numbers else k,
                        "description": each.name,
                        "shape_type": "rectangle",
                        "flags": {"occluded": True} if shape.occluded else {},
                    }
                )
            content |= {"imagePath": image, "imageData": None}
            content |= {"imageHeight": height, "imageWidth": width}
            made[f"{video.name}/{Path(image).stem}.json"] = json.dumps(content, indent=2) + "\n"
    return made
