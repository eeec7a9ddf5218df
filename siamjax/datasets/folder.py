"""Any video of one's own: a folder of frames with one file of boxes, or a folder of such folders.

Layout: `<video>/*.jpg` (or `<video>/img/*.jpg`) in the order of the numbers in their names, and one
text file `<video>/groundtruth.txt` (or any single `.txt`) with a row left, top, width, height or
x1, y1 ... x4, y4 per frame, 0-based. A file with one row alone gives the first box: such a video
can be tracked but not scored.
"""

from pathlib import Path

from siamjax.datasets.dataset import Absent, Dataset, aligned_images, images_of
from siamjax.datasets.sequence import Sequence
from siamjax.errors import UserError
from siamjax.media.frames import ImageFiles, image_names
from siamjax.media.tables import read_table

LAYOUT = """\
DIR/0001.jpg ...
DIR/groundtruth.txt with a row x,y,w,h per frame
or a folder of such folders"""

_PREFERRED = ("groundtruth.txt", "groundtruth_rect.txt", "boxes.txt")


def _images(folder: Path) -> Path | None:
    for candidate in (folder, folder / "img", folder / "color", folder / "frames"):
        if image_names(candidate):
            return candidate
    return None


def find(root: Path) -> Path | None:
    """`root` where it has frames and boxes, or folders that have; None: neither."""
    return root if root.is_dir() and names(root) else None


def names(root: Path) -> list[str]:
    """ "." for a root that is itself a video, else its sub-folders with images."""
    if _images(root):
        return ["."]
    return sorted(path.name for path in root.iterdir() if path.is_dir() and _images(path))


def load(root: Path, name: str) -> Sequence:
    """Opens a sequence.

    Raises:
        Absent: a partial copy does not have it.
        UserError: its files do not fit together.
    """
    folder = root / name
    images = _images(folder)
    if images is None:
        raise Absent(f"{folder}: no images in it")
    truth_path = _truth_file(folder)
    boxes = read_table(truth_path, (4, 8))
    if len(boxes) == 1:
        frames = ImageFiles(images_of(images))
    else:
        frames = aligned_images(images, len(boxes), truth_path)
    return Sequence(name=folder.resolve().name, frames=frames, groundtruth=boxes)


def _truth_file(folder: Path) -> Path:
    texts = sorted(path for path in folder.iterdir() if path.suffix.lower() in {".txt", ".csv"})
    for path in texts:
        if path.name in _PREFERRED:
            return path
    if len(texts) != 1:
        raise UserError(
            f"{folder}: {len(texts)} text files; put the boxes, a row x,y,w,h per frame,"
            " into groundtruth.txt"
        )
    return texts[0]


DATASETS = (
    Dataset(
        name="folder",
        total=0,
        protocol="ope",
        measures="ope",
        results="flat",
        source="your own frames",
        layout=LAYOUT,
        find=find,
        names=names,
        load=load,
        test=False,
    ),
)
