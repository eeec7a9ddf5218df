"""YouTube-VIS's JSON: videos, and one annotation per target with a box or nothing for each frame.

Format: youtube-vos.org/dataset/vis: `videos` with `file_names`, `annotations` with `bboxes` and
`segmentations`, lists as long as the video; boxes are COCO's, px from 0.
"""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from siamjax.errors import UserError
from siamjax.media.labels.coco import categories_of, names_of, only, region_fields, region_of
from siamjax.media.labels.images import frame_name
from siamjax.media.labels.jsons import built_as, head_of, load
from siamjax.media.labels.model import Shape, Track, Video, track
from siamjax.media.labels.places import Places


def matches(source: Path) -> bool:
    """A JSON file with "videos" that have "file_names", or a folder with one such file."""
    try:
        head = head_of(only(source))
    except UserError:
        return False
    videos = head.get("videos")
    return bool(videos) and isinstance(videos, list) and "file_names" in videos[0]


def read(source: Path, places: Places) -> list[Video]:
    """A video per entry.

    Raises:
        UserError: not such a file.
    """
    path = only(source)
    content = load(path)
    with built_as(path, "YouTube-VIS's JSON"):
        categories = names_of(content)
        rows: dict[str, list[dict]] = {str(video["id"]): [] for video in content["videos"]}
        lost = 0
        for annotation in content["annotations"]:
            lost += str(annotation["video_id"]) not in rows
            rows.setdefault(str(annotation["video_id"]), []).append(annotation)
        videos = [
            _video(video, rows[str(video["id"])], categories, path, places)
            for video in content["videos"]
        ]
    if lost and videos:
        videos[0].skipped["video is not listed"] += lost
    return videos


def _video(
    video: dict, annotations: list[dict], categories: dict[str, str], path: Path, places: Places
) -> Video:
    files = [str(name).replace("\\", "/") for name in video["file_names"]]
    folder = PurePosixPath(files[0]).parent.as_posix() if files else ""
    name = str(video.get("name") or (folder if folder != "." else video["id"]))
    images = [places.image(file) for file in files]
    there = tuple(image for image in images if image)
    skipped: Counter[str] = Counter()
    if len(there) != len(files):
        found = places.media(name) if len(there) == 0 else {}
    else:
        found = {"images": there}
    tracks = [
        _track(k, annotation, categories, skipped) for k, annotation in enumerate(annotations)
    ]
    size = int(video.get("width") or 0), int(video.get("height") or 0)
    return Video(
        name=name,
        tracks=[each for each in tracks if len(each)],
        **found,
        stated_size=size if all(size) else None,
        length=len(files),
        skipped=skipped,
        source=path,
    )


def _track(number: int, annotation: dict, categories: dict[str, str], skipped) -> Track:
    masks = annotation.get("segmentations") or []
    boxes = annotation.get("bboxes") or [None] * len(masks)
    masks = masks or [None] * len(boxes)
    shapes = []
    for frame, (box, mask) in enumerate(zip(boxes, masks)):
        if not box and not mask:
            continue
        region = region_of(box, mask)
        if region is None:
            skipped["box is not a number"] += 1
        else:
            shapes.append(Shape(frame, *region))
    if annotation.get("iscrowd"):
        skipped["crowd"] += len(shapes)
        shapes = []
    kind = str(annotation.get("category_id", ""))
    name = str((annotation.get("attributes") or {}).get("name", ""))
    return track(str(annotation.get("id", number)), shapes, name, categories.get(kind, kind))


def image_path(video: Video, frame: int) -> str:
    """Where a frame is expected."""
    return f"JPEGImages/{video.name}/{frame_name(video, frame)}"


def write(videos: Sequence[Video]) -> dict[str, str]:
    """One file for all videos.

    Raises:
        UserError: the size of the frames is not known.
    """
    categories = categories_of(videos)
    content: dict = {
        "info": {},
        "categories": [{"id": i, "name": name} for i, name in enumerate(categories, 1)],
        "videos": [],
        "annotations": [],
    }
    for number, video in enumerate(videos, 1):
        width, height = video.size
        files = [f"{video.name}/{frame_name(video, i)}" for i in range(video.count)]
        head = {"id": number, "name": video.name, "width": width, "height": height}
        content["videos"].append(head | {"length": len(files), "file_names": files})
        for each in video.tracks:
            fields: list = [None] * len(files)
            for shape in each.shapes():
                fields[shape.frame] = region_fields(shape)
            lists = {
                plural: [field and (field[single] or None) for field in fields]
                for plural, single in (
                    ("bboxes", "bbox"),
                    ("areas", "area"),
                    ("segmentations", "segmentation"),
                )
            }
            made = {"id": len(content["annotations"]) + 1, "video_id": number}
            made["category_id"] = categories.index(each.label) + 1
            names = {"attributes": {"name": each.name}} if each.name else {}
            content["annotations"].append(
                made | {"iscrowd": 0, "length": len(files)} | lists | names
            )
    return {"youtube_vis.json": json.dumps(content) + "\n"}
