"""siamjax's JSON: video, rate and checkpoint, and the frames of each target.

Boxes are x, y, w, h in px from 0, frames count from 0.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from siamjax.media.labels.jsons import built_as, head_of, load
from siamjax.media.labels.model import Shape, Track, Video, track
from siamjax.media.labels.places import Places

KEEPS_LOST = True
_OWN = ("frame", "box", "score", "second_peak", "lost", "presence", "occluded")


def matches(source: Path) -> bool:
    """A JSON file with "targets" and "video"."""
    return {"video", "targets"} <= head_of(source).keys()


def read(source: Path, places: Places) -> list[Video]:
    """One video.

    Raises:
        UserError: not such a file.
    """
    tree = load(source)
    with built_as(source, "siamjax's JSON", "write it again"):
        tracks = [_target(k, target) for k, target in enumerate(tree["targets"])]
        name, fps = str(tree["video"]), tree.get("fps")
    video = Video(name, tracks, **places.media(source.stem, name), fps=fps, source=source)
    return [video.replace(checkpoint=str(tree.get("checkpoint") or ""))]


def _target(number: int, target: dict) -> Track:
    shapes = []
    for row in target["frames"]:
        numbers = {n: float(v) for n, v in row.items() if n not in ("frame", "box", "occluded")}
        box = [float(value) for value in row["box"]]
        occluded = bool(row.get("occluded"))
        shapes.append(Shape(int(row["frame"]), box, None, occluded, True, numbers))
    id, name = str(target.get("id", number)), target.get("name", "")
    return track(id, shapes, name, target.get("category", ""))


def write(videos: Sequence[Video]) -> dict[str, str]:
    """A file per video, indented by one."""
    return {f"{video.name}.json": _text(video) for video in videos}


def _text(video: Video) -> str:
    targets = []
    for number, each in enumerate(video.tracks):
        shapes = each.shapes()
        texts = {"id": "" if each.id == str(number) else each.id, "name": each.name}
        texts["category"] = each.category
        target: dict = {name: text for name, text in texts.items() if text}
        target |= {"box": [float(v) for v in shapes[0].box] if shapes else None}
        target["frames"] = [_row(shape) for shape in shapes]
        targets.append(target)
    head = {"video": video.name, "fps": video.fps, "checkpoint": video.checkpoint}
    return json.dumps(head | {"targets": targets}, indent=1) + "\n"


def _row(shape: Shape) -> dict:
    row: dict = {"frame": shape.frame, "box": [float(value) for value in shape.box]}
    row |= shape.columns
    if "lost" in row:
        row["lost"] = bool(row["lost"])
    if shape.occluded:
        row["occluded"] = True
    known = [name for name in _OWN if name in row]
    return {name: row[name] for name in (*known, *(n for n in row if n not in known))}
