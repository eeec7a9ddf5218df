"""CVAT's XML 1.1 for images: the objects of each image, boxes in px from 0.

Format: docs.cvat.ai/docs/manual/advanced/xml_format. Images of a video task are called
frame_000000 and so on. Without ids of targets each image is read as a picture of its own; an
attribute "track_id" of a box, or "name", tells a target.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from siamjax.errors import UserError
from siamjax.media.labels.cvat import meta_of, shape_of
from siamjax.media.labels.images import Item, Picture, by_frame, frame_name, group
from siamjax.media.labels.jsons import WRONG
from siamjax.media.labels.model import Video
from siamjax.media.labels.places import Places, is_video
from siamjax.media.labels.xml import element, load, root_tag, text_of

Element = ElementTree.Element


def matches(source: Path) -> bool:
    """An XML file of CVAT with images in it, or a folder with annotations.xml of that
    kind and no videos."""
    path = _file(source)
    if source.is_dir() and any(map(is_video, source.iterdir())):
        return False
    return root_tag(path) == "annotations" and load(path).find("image") is not None


def _file(source: Path) -> Path:
    return source / "annotations.xml" if source.is_dir() else source


def read(source: Path, places: Places) -> list[Video]:
    """A video per image, or per folder where boxes have ids.

    Raises:
        UserError: not such a file.
    """
    source = _file(source)
    skipped: Counter[str] = Counter()
    try:
        pictures = [_picture(node, places, skipped) for node in load(source).iter("image")]
    except WRONG as error:
        raise UserError(f"{source}: not CVAT's XML 1.1 ({error!r}); export it again") from None
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
    root = Element("annotations")
    element(root, "version", "1.1")
    root.append(meta_of(video, "annotation", ("track_id", "name")))
    width, height = map(str, video.size)
    shapes = dict(by_frame(video))
    for frame in range(video.count):
        image = ElementTree.SubElement(
            root, "image", id=str(frame), name=_name(video, frame), width=width, height=height
        )
        for k, shape in shapes.get(frame, ()):
            each, (x, y, w, h) = video.tracks[k], shape.box
            sides = {"xtl": x, "ytl": y, "xbr": x + w, "ybr": y + h}
            values = {name: f"{value:.2f}" for name, value in sides.items()}
            values["occluded"] = str(int(shape.occluded))
            label = each.category or "object"
            box = ElementTree.SubElement(image, "box", {"label": label, **values, "z_order": "0"})
            element(box, "attribute", each.id, name="track_id")
            if each.name:
                element(box, "attribute", each.name, name="name")
    return '<?xml version="1.0" encoding="utf-8"?>\n' + text_of(root)
