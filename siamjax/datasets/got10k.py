"""GOT-10k: 180 validation videos with boxes, 180 test videos with the first box alone
(Huang et al. 2019).

Layout: `val/list.txt`, `val/<sequence>/%08d.jpg`, `groundtruth.txt` with left,top,width,height per
frame, `absence.label` and `cover.label` with a number per frame, `meta_info.ini` with the
resolution; the same under `test/`. Boxes are taken as they stand. Frames whose cover is 0 are not
scored, and neither is the first.
"""

import re
from pathlib import Path

from siamjax.datasets.dataset import Absent, Dataset, aligned_images, images_of, subfolder
from siamjax.datasets.sequence import NoFrames, Sequence
from siamjax.errors import UserError
from siamjax.media.frames import ImageFiles
from siamjax.media.tables import read_table


def _named(split: str):
    def find(root: Path) -> Path | None:
        inner = subfolder(root, "GOT-10k", "got10k", "GOT10k")
        for folder in (root / split, inner / split, root):
            if folder.is_dir() and any(folder.glob(f"GOT-10k_{split.title()}_*")):
                return folder
        return None

    def names(root: Path) -> list[str]:
        if (root / "list.txt").is_file():
            return (root / "list.txt").read_text().split()
        return sorted(path.name for path in root.glob(f"GOT-10k_{split.title()}_*"))

    return find, names


def load(root: Path, name: str) -> Sequence:
    """Opens a sequence.

    Raises:
        Absent: a partial copy does not have it.
        UserError: its files do not fit together.
    """
    folder = root / name
    if not folder.is_dir():
        raise Absent(f"{folder}: no such folder")
    truth_path = folder / "groundtruth.txt"
    boxes = read_table(truth_path)
    if any(folder.glob("*.jpg")):
        secret = len(boxes) == 1
        frames: ImageFiles | NoFrames = (
            ImageFiles(images_of(folder))
            if secret
            else aligned_images(folder, len(boxes), truth_path)
        )
    else:
        frames = NoFrames(len(boxes), folder)
    absent = None
    cover = folder / "cover.label"
    if cover.is_file() and len(boxes) > 1:
        levels = read_table(cover, (1,))[:, 0]
        if len(levels) != len(boxes):
            raise UserError(f"{cover}: {len(levels)} rows for {len(boxes)} frames; restore it")
        absent = levels == 0
    return Sequence(
        name=name,
        frames=frames,
        groundtruth=boxes,
        absent=absent,
        image_size=_resolution(folder / "meta_info.ini"),
    )


def _resolution(path: Path) -> tuple[int, int] | None:
    if not path.is_file():
        return None
    found = re.search(r"resolution\s*[:=]\s*\(\s*(\d+)\s*,\s*(\d+)\s*\)", path.read_text())
    return (int(found[1]), int(found[2])) if found else None


def _dataset(name: str, split: str) -> Dataset:
    find, names = _named(split)
    return Dataset(
        name=name,
        total=180,
        protocol="ope",
        measures="got10k",
        results="got10k",
        source="http://got-10k.aitestunion.com/downloads",
        layout=(
            f"GOT-10k/{split}/list.txt\n"
            f"GOT-10k/{split}/GOT-10k_{split.title()}_000001/00000001.jpg ...\n"
            f"GOT-10k/{split}/GOT-10k_{split.title()}_000001/groundtruth.txt"
        ),
        find=find,
        names=names,
        load=load,
        test=split == "test",
    )


DATASETS = (_dataset("GOT-10k-val", "val"), _dataset("GOT-10k-test", "test"))
