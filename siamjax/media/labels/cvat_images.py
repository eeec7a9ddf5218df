"""CVAT's XML 1.1 for images: the objects of each image, boxes in px from 0.

Format: docs.cvat.ai/docs/manual/advanced/xml_format. Images of a video task are called
frame_000000 and so on. Without ids of targets each image is read as a picture of its own; an
attribute "track_id" of a box, or "name", tells a target.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from siamjax.media.labels.cvat import FORM, document, file_of, has_images, named, shape_of, sides_of
from siamjax.media.labels.images import Item, Picture, by_frame, frame_name, group
from siamjax.media.labels.jsons import built_as
from siamjax.media.labels.model import Video
from siamjax.media.labels.places import Places
from siamjax.media.labels.xml import element, load, text_of

Element = ElementTree.Element


def matches(source: Path) -> bool:
    """An XML file of CVAT with images in it, or a folder with annotations.xml of that
    kind and no videos."""
    return has_images(source) is True


def read(source: Path, places: Places) -> list[Video]:
    """A video per image, or per folder where boxes have ids.

    Raises:
        UserError: not such a file.
    """
    source = file_of(source)
    skipped: Counter[str] = Counter()
    root = load(source)
    with built_as(source, FORM):
        pictures = [_picture(node, places, skipped) for node in root.iter("image")]
    return group(pictures, source, skipped, places)


def _picture(node: Element, places: Places, skipped: Counter[str]) -> Picture:
    items = []
    for child in node:
        outline = shape_of(child)
        if outline is None:
            skipped[f"{child.tag} is no box"] += 1
            continue
        texts = {a.get("name"): a.text or "" for a in child.findall("attribute")}
        name = texts.get("name", "")
        id, label = texts.get("track_id", ""), child.get("label", "")
        occluded = child.get("occluded") == "1"
        items.append(Item(outline[0], label, id or name, name, outline[1], occluded))
    name = node.attrib["name"]
    width, height = int(node.get("width", 0)), int(node.get("height", 0))
    size = (width, height) if width and height else None
    return Picture(name.replace("\\", "/"), items, places.image(name), size)


def image_path(video: Video, frame: int) -> str:
    """Where a frame is expected."""
    return f"{video.name}/{_name(video, frame)}"


def _name(video: Video, frame: int) -> str:
    """As CVAT names the frames of a video."""
    return frame_name(video, frame) if video.images else f"frame_{frame:06d}.jpg"


def write(videos: Sequence[Video]) -> dict[str, str]:
    """A file per video; a box has its target's id as the attribute "track_id".

    Raises:
        UserError: the size of the frames is not known.
    """
    return {f"{video.name}.xml": _text(video) for video in videos}


def _text(video: Video) -> str:
    root = document(video, "annotation", ("track_id", "name"))
    width, height = map(str, video.size)
    shapes = dict(by_frame(video))
    for frame in range(video.count):
        image = ElementTree.SubElement(
            root, "image", id=str(frame), name=_name(video, frame), width=width, height=height
        )
        for k, shape in shapes.get(frame, ()):
            each = video.tracks[k]
            values = {"label": each.label, **sides_of(shape)}
            values["occluded"] = str(int(shape.occluded))
            box = ElementTree.SubElement(image, "box", {**values, "z_order": "0"})
            element(box, "attribute", each.id, name="track_id")
            named(box, each)
    return text_of(root, declared=True)
