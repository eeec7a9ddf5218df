"""What ImageNet VID and DET share: the annotation files."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree


class Object(NamedTuple):
    """One object of an annotation file.

    Attributes:
        track: its trackid, or its position in the file.
        box: left, top, right, bottom, px, from the middle of its first pixel to that of its last.
    """

    track: str
    box: tuple[float, float, float, float]


def read_objects(path: Path, skipped: Counter) -> Iterator[Object]:
    """The objects of an annotation file; counts a file or an object that can't be read."""
    try:
        tree = ElementTree.parse(path)
    except FileNotFoundError:
        skipped["missing annotation"] += 1
        return
    except (ElementTree.ParseError, OSError):
        skipped["annotation is not readable"] += 1
        return
    for i, node in enumerate(tree.iter("object")):
        try:
            box = tuple(
                float(node.findtext(f"bndbox/{side}") or "")
                for side in ("xmin", "ymin", "xmax", "ymax")
            )
        except ValueError:
            skipped["box is not a number"] += 1
            continue
        # the files name pixels, whose middles lie half a pixel from their edges
        left, top, right, bottom = (side + 0.5 for side in box)
        yield Object(node.findtext("trackid") or str(i), (left, top, right, bottom))
