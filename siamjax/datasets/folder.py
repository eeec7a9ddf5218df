"""Any video of one's own: a folder of frames with one file of boxes, or a folder of such folders.

Layout: `<video>/*.jpg` (or `<video>/img/*.jpg`) in the order of the numbers in their names, and one
text file `<video>/groundtruth.txt` (or any single `.txt`) with a row left, top, width, height or
x1, y1 ... x4, y4 per frame, 0-based. A file with one row alone gives the first box: such a video
can be tracked but not scored.
"""

from pathlib import Path

from siamjax.datasets.dataset import Dataset, aligned_images
from siamjax.datasets.sequence import Absent, Sequence
from siamjax.errors import UserError
from siamjax.media.frames import ImageFiles, image_names, list_images
from siamjax.media.tables import read_table

LAYOUT = """\
DIR/0001.jpg ...
DIR/groundtruth.txt with a row x,y,w,h per frame
or a folder of such folders"""

_PREFERRED = ("groundtruth.txt", "groundtruth_rect.txt", "boxes.txt")


def _images(folder: Path) -> Path | None:
    places = (folder, folder / "img", folder / "color", folder / "frames")
    return next((place for place in places if image_names(place)), None)


class Folder(Dataset):
    """A folder of one's own; its name is that of the only sequence "."."""

    def on_disk(self, root: Path) -> list[str]:
        """ "." for a root that is itself a video, else its sub-folders with images."""
        if _images(root):
            return ["."]
        folders = (path for path in root.iterdir() if path.is_dir()) if root.is_dir() else ()
        return sorted(path.name for path in folders if _images(path))

    def truth_file(self, root: Path, name: str) -> Path:
        """The text file with the boxes.

        Raises:
            UserError: there is none, or several of other names than the usual ones.
        """
        folder = root / name
        texts = sorted(path for path in folder.iterdir() if path.suffix.lower() in {".txt", ".csv"})
        usual = [path for path in texts if path.name in _PREFERRED]
        if not usual and len(texts) != 1:
            raise UserError(
                f"{folder}: {len(texts)} text files; put the boxes, a row x,y,w,h per frame,"
                " into groundtruth.txt"
            )
        return (usual or texts)[0]

    def open(self, path: Path, name: str) -> Sequence:
        """As the base class; a single row is the first box of any number of frames.

        Raises:
            UserError: as the base class.
        """
        images = _images(path.parent)
        if images is None:
            raise Absent(f"{path.parent}: no images in it")
        boxes = read_table(path, (4, 8))
        aligned = len(boxes) > 1
        frames = (
            aligned_images(images, len(boxes), path) if aligned else ImageFiles(list_images(images))
        )
        return Sequence(path.parent.resolve().name, frames, boxes)


DATASETS = (Folder(name="folder", total=0, source="your own frames", layout=LAYOUT, test=False),)
