"""Need for Speed: 100 videos at 240 frames/s, and every eighth frame of them at 30
(Kiani Galoogahi et al. 2017).

Layout: `<video>/240/<video>/%05d.jpg` and `<video>/240/<video>.txt`, the same under `30`. A row is
"id left top right bottom frame lost occluded generated name"; boxes are taken as they stand. The
files at 30 frames/s hold the rows of all 240: every eighth is taken, from the first on. Frames
marked as lost carry the tag "lost"; they are scored like all others.
"""

import shlex
from pathlib import Path

import numpy as np

from siamjax.datasets.dataset import Absent, Dataset, images_of, subfolder
from siamjax.datasets.sequence import NoFrames, Sequence
from siamjax.errors import UserError
from siamjax.media.frames import ImageFiles

STEP = 8  # frames at 240 per frame at 30


def _named(rate: int):
    def find(root: Path) -> Path | None:
        for folder in (root, subfolder(root, "NFS", f"NFS{rate}", "Nfs")):
            if any(folder.glob(f"*/{rate}/*.txt")):
                return folder
        return None

    def names(root: Path) -> list[str]:
        return sorted(path.parent.parent.name for path in root.glob(f"*/{rate}/*.txt"))

    def load(root: Path, name: str) -> Sequence:
        truth_path = root / name / str(rate) / f"{name}.txt"
        if not truth_path.is_file():
            raise Absent(f"{truth_path}: no such file")
        boxes, lost = _read(truth_path)
        images = truth_path.with_suffix("")
        if not images.is_dir():
            if rate == 30:
                boxes, lost = boxes[::STEP], lost[::STEP]
            frames: ImageFiles | NoFrames = NoFrames(len(boxes), images)
        else:
            paths = images_of(images)
            if rate == 30 and len(boxes) != len(paths):
                boxes, lost = boxes[::STEP], lost[::STEP]
            # the two rates end up to one frame apart
            count = min(len(paths), len(boxes))
            if abs(len(paths) - len(boxes)) > 1:
                raise UserError(
                    f"{truth_path}: boxes for {len(boxes)} frames, {len(paths)} images in {images}"
                )
            frames = ImageFiles(paths[:count])
            boxes, lost = boxes[:count], lost[:count]
        return Sequence(name=name, frames=frames, groundtruth=boxes, tags={"lost": lost})

    return find, names, load


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Boxes left, top, width, height (N, 4), and where the target is lost (N,)."""
    boxes, lost = [], []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip():
            continue
        words = shlex.split(line)
        try:
            left, top, right, bottom = (float(word) for word in words[1:5])
            lost.append(int(words[6]) > 0)
        except (ValueError, IndexError):
            raise UserError(
                f"{path}:{number}: expected 'id left top right bottom frame lost occluded ...'"
            ) from None
        boxes.append((left, top, right - left, bottom - top))
    if not boxes:
        raise UserError(f"{path}: the file is empty; one row per frame is expected")
    return np.array(boxes), np.array(lost)


def _dataset(rate: int) -> Dataset:
    find, names, load = _named(rate)
    return Dataset(
        name=f"NFS{rate}",
        total=100,
        protocol="ope",
        measures="ope",
        results="flat",
        source="http://ci2cv.net/nfs/index.html",
        layout=f"NFS/<video>/{rate}/<video>/00001.jpg ...\nNFS/<video>/{rate}/<video>.txt",
        find=find,
        names=names,
        load=load,
    )


DATASETS = (_dataset(30), _dataset(240))
