"""CVAT's XML 1.1 for videos: tracks of boxes in px from 0, left, top, right and bottom edge.

Format: docs.cvat.ai/docs/manual/advanced/xml_format. A box with outside="1" says that the target is
not seen from that frame on. Frames between the listed ones are interpolated, the last listed box
holds to the end of the task, as CVAT itself has it. Polygons, ellipses and turned boxes become the
box around them. The attribute "name" of a track is its name. Project exports hold several tasks: a
video each.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from siamjax.files import folder_name
from siamjax.media.labels.images import polygon_box, turned
from siamjax.media.labels.jsons import built_as, part
from siamjax.media.labels.keyframes import Key, filled
from siamjax.media.labels.model import Shape, Track, Video, track
from siamjax.media.labels.places import Places, base_name, is_video
from siamjax.media.labels.xml import element, load, root_tag, text_of

Element = ElementTree.Element
FORM = "CVAT's XML 1.1"


def matches(source: Path) -> bool:
    """An XML file of CVAT without images in it, or a folder with annotations.xml of that
    kind and no videos."""
    return has_images(source) is False


def has_images(source: Path) -> bool | None:
    """Whether CVAT's labels in a file, or in a folder without videos, are those of images; None:
    they are none of CVAT's."""
    path = file_of(source)
    if source.is_dir() and any(map(is_video, source.iterdir())):
        return None
    if root_tag(path) != "annotations":
        return None
    return load(path).find("image") is not None


def file_of(source: Path) -> Path:
    """The file of a source, which may be its folder."""
    return source / "annotations.xml" if source.is_dir() else source


def read(source: Path, places: Places) -> list[Video]:
    """A video per task.

    Raises:
        UserError: not such a file.
    """
    source = file_of(source)
    root = load(source)
    meta = root.find("meta")
    found = [] if meta is None else meta.findall(".//tasks/task")
    tasks = found or [t for t in (() if meta is None else meta) if t.tag in ("task", "job")]
    videos = []
    for task in tasks or [Element("task")]:
        id = task.findtext("id") if len(tasks) > 1 else None
        nodes = [t for t in root.iter("track") if id is None or t.get("task_id") == id]
        with built_as(source, FORM):
            videos.append(_video(source, task, nodes, places, len(tasks) > 1))
    return videos


def _video(
    source: Path, task: Element, nodes: list[Element], places: Places, several: bool
) -> Video:
    file = base_name(task.findtext("source") or "")
    name = (Path(file).stem or task.findtext("name") or "") if several else source.stem
    name = name if name != "annotations" else Path(file).stem or folder_name(source.parent)
    start = int(task.findtext("start_frame") or 0)
    stop = int(task.findtext("stop_frame") or -1)
    size = int(task.findtext("size") or 0)
    step = int((task.findtext("frame_filter") or "1").rpartition("=")[2])
    end = stop + 1 if stop >= 0 else start + (size - 1) * step + 1 if size else None
    frames = range(start, end, step) if end and step > 1 else None
    skipped: Counter[str] = Counter()
    tracks = [_track(node, end, frames, skipped) for node in nodes]
    width, height = (task.findtext(f"original_size/{s}") for s in ("width", "height"))
    stem = "" if several else source.stem
    media = places.media(stem, file) or places.media(task.findtext("name") or "")
    return Video(
        name=name,
        tracks=_named_apart([each for each in tracks if len(each)]),
        **media,
        stated_size=(int(width), int(height)) if width and height else None,
        length=end,
        skipped=skipped,
        source=source,
    )


def _track(node: Element, end: int | None, frames: range | None, skipped: Counter[str]) -> Track:
    keys = []
    names = []
    label, id = node.get("label", ""), node.get("id", "0")
    for child in node:
        with part(f"track {id}, frame {child.get('frame', 'without a number')}"):
            outline = shape_of(child)
            frame = int(child.attrib["frame"]) if outline else 0
        if outline is None:
            skipped[f"{child.tag} is no box"] += 1
            continue
        box, polygon = outline
        outside = child.get("outside") == "1"
        occluded, key = child.get("occluded") == "1", child.get("keyframe", "1") == "1"
        shape = Shape(frame, box, polygon, occluded, key)
        keys.append(Key(shape, not outside, not outside))
        names += [a.text for a in child.findall("attribute") if a.get("name") == "name"]
    return track(id, filled(keys, end, frames), next(filter(None, names), "") or "", label, skipped)


def _named_apart(tracks: list[Track]) -> list[Track]:
    """Ids made unique: files merged by hand repeat them."""
    ids = [each.id for each in tracks]
    if len(set(ids)) == len(ids):
        return tracks
    return [track(str(k), t.shapes(), t.name, t.category) for k, t in enumerate(tracks)]


def shape_of(node: Element) -> tuple[tuple[float, ...], np.ndarray | None] | None:
    """The box of a node, and its outline where it has one; None: it is no area.

    Raises:
        KeyError, ValueError: an attribute is missing or no number.
    """
    at = node.attrib
    if node.tag == "box":
        x1, y1, x2, y2 = (float(at[side]) for side in ("xtl", "ytl", "xbr", "ybr"))
        box, angle = (x1, y1, x2 - x1, y2 - y1), float(at.get("rotation", 0))
        return turned(box, angle, ((x1 + x2) / 2, (y1 + y2) / 2)) if angle else (box, None)
    if node.tag in ("polygon", "polyline"):
        rows = [pair.split(",") for pair in at["points"].split(";")]
        polygon = np.array(rows, np.float64)
        return polygon_box(polygon), polygon
    if node.tag == "ellipse":
        cx, cy, rx, ry = (float(at[name]) for name in ("cx", "cy", "rx", "ry"))
        return (cx - rx, cy - ry, 2 * rx, 2 * ry), None
    if node.tag == "mask":
        return tuple(float(at[name]) for name in ("left", "top", "width", "height")), None
    return None


def write(videos: Sequence[Video]) -> dict[str, str]:
    """A file per video; every frame is listed, and where a target leaves, outside="1".

    Raises:
        UserError: the size of the frames is not known.
    """
    return {f"{video.name}.xml": _text(video) for video in videos}


def _text(video: Video) -> str:
    names = ("name",) if any(each.name for each in video.tracks) else ()
    root = document(video, "interpolation", names)
    ids = [each.id for each in video.tracks]
    whole = all(id.isdecimal() for id in ids)
    for k, each in enumerate(video.tracks):
        label, id = each.label, each.id if whole else str(k)
        node = ElementTree.SubElement(root, "track", id=id, label=label, source="manual")
        shapes = each.shapes()
        for shape, following in zip(shapes, [*shapes[1:], None]):
            _box(node, each, shape, shape.frame)
            gone = following is None or following.frame > shape.frame + 1
            if gone and shape.frame + 1 < video.count:
                _box(node, each, shape, shape.frame + 1, outside=True)
    return text_of(root, declared=True)


def _box(node: Element, each: Track, shape: Shape, frame: int, outside: bool = False) -> None:
    flags = {"outside": outside, "occluded": shape.occluded, "keyframe": shape.keyframe or outside}
    values = sides_of(shape) | {name: str(int(flag)) for name, flag in flags.items()}
    named(
        ElementTree.SubElement(node, "box", {"frame": str(frame), **values, "z_order": "0"}), each
    )


def sides_of(shape: Shape) -> dict[str, str]:
    """The attributes of a box that say where it is."""
    x, y, w, h = shape.box
    sides = {"xtl": x, "ytl": y, "xbr": x + w, "ybr": y + h}
    return {name: f"{value:.2f}" for name, value in sides.items()}


def named(box: Element, each: Track) -> None:
    """Gives a box the name of its target, if there is one."""
    if each.name:
        element(box, "attribute", each.name, name="name")


def document(video: Video, mode: str, attributes: Sequence[str]) -> Element:
    """The root of a file with the description of its task: its frames, their size, its labels and
    their attributes."""
    root = Element("annotations")
    element(root, "version", "1.1")
    meta = ElementTree.SubElement(root, "meta")
    task = ElementTree.SubElement(meta, "task")
    width, height = video.size
    values = {"name": video.name, "size": video.count, "mode": mode, "start_frame": 0}
    values |= {"stop_frame": max(video.count - 1, 0), "frame_filter": ""}
    for name, value in values.items():
        element(task, name, str(value))
    labels = ElementTree.SubElement(task, "labels")
    for category in sorted({each.label for each in video.tracks}):
        label = ElementTree.SubElement(labels, "label")
        element(label, "name", category)
        listed = ElementTree.SubElement(label, "attributes")
        for attribute_name in attributes:
            attribute = ElementTree.SubElement(listed, "attribute")
            texts = {"name": attribute_name, "mutable": "False", "input_type": "text"}
            for key, text in (texts | {"default_value": "", "values": ""}).items():
                element(attribute, key, text)
    original = ElementTree.SubElement(task, "original_size")
    element(original, "width", str(width))
    element(original, "height", str(height))
    element(task, "source", video.media.name if video.media else video.name)
    return root
