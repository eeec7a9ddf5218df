"""Pascal VOC's XML: an annotation per image.

A side is the number of the first or last pixel of the object, counted from 1, so that a box of the
whole image is 1, 1, width, height (VOC development kit, host.robots.ox.ac.uk/pascal/VOC/voc2012).
Here x = xmin - 1 and w = xmax - xmin + 1. `trackid`, as in ImageNet VID, tells targets; without
it each image is a picture of its own.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

from siamjax.errors import UserError
from siamjax.media.labels.images import Item, Picture, by_frame, frame_name, group
from siamjax.media.labels.model import Video
from siamjax.media.labels.places import Places, visible
from siamjax.media.labels.xml import element, load, root_tag, text_of

Element = ElementTree.Element
_SIDES = ("xmin", "ymin", "xmax", "ymax")


def matches(source: Path) -> bool:
    """Such an XML file, or a folder of such, or one with Annotations/."""
    return any(root_tag(path) == "annotation" for path in _files(source)[:1])


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    inner = source / "Annotations"
    return visible(inner, "**/*.xml") if inner.is_dir() else visible(source, "*.xml")


def read(source: Path, places: Places) -> list[Video]:
    """A video per image, or per folder where objects have a trackid.

    Raises:
        UserError: not such files.
    """
    files = _files(source)
    top = source / "Annotations" if (source / "Annotations").is_dir() else source
    skipped: Counter[str] = Counter()
    pictures = []
    for path in files:
        below = path.relative_to(top) if path != top else Path(path.name)
        pictures.append(_picture(path, below.as_posix(), places, skipped))
    if not pictures:
        raise UserError(f"{source}: no annotation in it")
    return group(pictures, source, skipped, places)


def _picture(path: Path, name: str, places: Places, skipped: Counter[str]) -> Picture:
    root = load(path)
    items = []
    for node in root.iter("object"):
        try:
            x1, y1, x2, y2 = (float(node.findtext(f"bndbox/{side}") or "") for side in _SIDES)
        except ValueError:
            skipped["box is not a number"] += 1
            continue
        category, id = node.findtext("name") or "", node.findtext("trackid") or ""
        box = (x1 - 1, y1 - 1, x2 - x1 + 1, y2 - y1 + 1)
        hidden = node.findtext("occluded") == "1"
        items.append(Item(box, category.strip(), id.strip(), occluded=hidden))
    try:
        width, height = (int(root.findtext(f"size/{s}") or 0) for s in ("width", "height"))
    except ValueError:
        width = height = 0
    suffix = PurePosixPath(root.findtext("filename") or "").suffix or ".jpg"
    image = PurePosixPath(name).with_suffix(suffix).as_posix()
    found = places.image(image)
    if found is None and (file := root.findtext("filename")):
        found = places.image(file)
    return Picture(image, items, found, (width, height) if width and height else None)


def image_path(video: Video, frame: int) -> str:
    """Where a frame is expected."""
    return f"JPEGImages/{video.name}/{frame_name(video, frame)}"


def write(videos: Sequence[Video]) -> dict[str, str]:
    """A file per frame with boxes, Annotations/<video>/<frame>.xml, and the list of them.

    Raises:
        UserError: the size of the frames is not known.
    """
    made = {}
    listed = []
    for video in videos:
        for frame, shapes in by_frame(video):
            image = PurePosixPath(video.name, frame_name(video, frame))
            stem = image.with_suffix("").as_posix()
            listed.append(f"{stem}\n")
            made[f"Annotations/{stem}.xml"] = _text(video, image, shapes)
    return made | {"ImageSets/Main/default.txt": "".join(listed)}


def _text(video: Video, image: PurePosixPath, shapes) -> str:
    root = Element("annotation")
    element(root, "folder", image.parent.as_posix())
    element(root, "filename", image.name)
    size = ElementTree.SubElement(root, "size")
    for name, value in zip(("width", "height", "depth"), (*video.size, 3)):
        element(size, name, str(value))
    element(root, "segmented", "0")
    for k, shape in shapes:
        each, (x, y, w, h) = video.tracks[k], shape.box
        node = ElementTree.SubElement(root, "object")
        element(node, "name", each.label)
        element(node, "trackid", each.id)
        for name in ("truncated", "difficult"):
            element(node, name, "0")
        element(node, "occluded", str(int(shape.occluded)))
        box = ElementTree.SubElement(node, "bndbox")
        for name, side in zip(_SIDES, (x + 1, y + 1, x + w, y + h)):
            element(box, name, f"{side:.2f}".rstrip("0").rstrip("."))
    return text_of(root)
