"""GOT-10k: 180 validation videos with boxes, 180 test videos with the first box alone
(Huang et al. 2019).

Layout: `val/list.txt`, `val/<sequence>/%08d.jpg`, `groundtruth.txt` with left,top,width,height per
frame, `absence.label` and `cover.label` with a number per frame, `meta_info.ini` with the
resolution and the class of the target, which is taken as its attribute; the same under `test/`.
Boxes are taken as they stand. Frames whose cover is 0 are not scored, and neither is the first.
"""

import dataclasses
import re
from pathlib import Path

from siamjax.datasets.dataset import Dataset, aligned_images
from siamjax.datasets.sequence import NoFrames, Sequence
from siamjax.errors import UserError
from siamjax.media.frames import ImageFiles
from siamjax.media.lines import read_text
from siamjax.media.tables import read_table


class Got10k(Dataset):
    """One of the two parts, `inner` is its folder."""

    def on_disk(self, root: Path) -> list[str]:
        """Names of the folders of this part."""
        return sorted(path.name for path in root.glob(f"GOT-10k_{self.inner.title()}_*"))

    def open(self, path: Path, name: str) -> Sequence:
        """As the base class.

        Raises:
            UserError: as the base class.
        """
        sequence, absent = super().open(path, name), None
        boxes = sequence.groundtruth
        cover = path.with_name("cover.label")
        if cover.is_file() and len(boxes) > 1:
            levels = read_table(cover, (1,))[:, 0]
            if len(levels) != len(boxes):
                raise UserError(f"{cover}: {len(levels)} rows for {len(boxes)} frames; restore it")
            absent = levels == 0
        info = _text(path.with_name("meta_info.ini"))
        size = _resolution(info)
        known = absent is not None or len(boxes) == 1
        notes = () if known else ("no cover.label: frames without the target are scored as others",)
        return dataclasses.replace(
            sequence, absent=absent, image_size=size, notes=notes, attributes=_class(info)
        )

    def frames(self, path: Path, name: str, count: int) -> ImageFiles | NoFrames:
        """As the base class; a single row is the first box."""
        return aligned_images(path.parent, count, path, secret=True)


def _text(path: Path) -> str:
    return read_text(path) if path.is_file() else ""


def _class(info: str) -> tuple[str, ...]:
    """The class of the target, as its attribute."""
    found = re.search(r"^object_class\s*[:=]\s*(\S.*?)\s*$", info, re.MULTILINE)
    return (found[1],) if found else ()


def _resolution(text: str) -> tuple[int, int] | None:
    found = re.search(r"resolution\s*[:=]\s*\(\s*(\d{1,6})\s*,\s*(\d{1,6})\s*\)", text)
    return (int(found[1]), int(found[2])) if found else None


DATASETS = tuple(
    Got10k(
        name=f"GOT-10k-{part}",
        total=180,
        source="http://got-10k.aitestunion.com/downloads",
        layout=(
            f"GOT-10k/{part}/list.txt\n"
            f"GOT-10k/{part}/GOT-10k_{part.title()}_000001/00000001.jpg ...\n"
            f"GOT-10k/{part}/GOT-10k_{part.title()}_000001/groundtruth.txt"
        ),
        folders=("GOT-10k", "got10k"),
        inner=part,
        list_file="list.txt",
        measures="got10k",
        results="got10k",
        test=part == "test",
        server=part == "test",
    )
    for part in ("val", "test")
)
