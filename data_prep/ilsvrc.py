"""What ImageNet VID and DET share: annotation files in a tree beside that of the images."""

from collections.abc import Iterator
from xml.etree import ElementTree

from data_prep.source import Skipped, Source

_SIDES = ("xmin", "ymin", "xmax", "ymax")


class Ilsvrc(Source):
    """A part of ILSVRC.

    expected are images below `image_folder` and, in the same folders below `annotations`, *.xml
    """

    annotations: str

    def objects(self, stem: str, skipped: Skipped) -> Iterator[tuple[str, tuple, str]]:
        """The objects of an annotation file; counts a file or an object that can't be read.

        Args:
            stem: path below `annotations`, without suffix.
            skipped: counts by reason.

        Yields:
            Its trackid, or its position in the file, its box as in `Target`, and its category.
        """
        try:
            tree = ElementTree.parse(self.root / self.annotations / f"{stem}.xml")
        except FileNotFoundError:
            skipped["missing annotation"] += 1
            return
        except (ElementTree.ParseError, OSError):
            skipped["annotation is not readable"] += 1
            return
        for i, node in enumerate(tree.iter("object")):
            try:
                # the files name pixels, whose middles lie half a pixel from their edges
                box = tuple(float(node.findtext(f"bndbox/{side}") or "") + 0.5 for side in _SIDES)
            except ValueError:
                skipped["box is not a number"] += 1
                continue
            yield node.findtext("trackid") or str(i), box, node.findtext("name") or ""
