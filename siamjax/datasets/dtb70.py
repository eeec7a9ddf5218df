"""DTB70: 70 videos from drones (Li and Yeung 2017).

Layout: `<video>/img/%05d.jpg` and `<video>/groundtruth_rect.txt` with left,top,width,height per
frame, the first pixel counted as 1 as in OTB, whose form the data set takes over.
"""

from pathlib import Path

import numpy as np

from siamjax.datasets import annotations
from siamjax.datasets.dataset import Absent, Dataset, aligned_images, subfolder
from siamjax.datasets.sequence import Sequence
from siamjax.media.tables import read_table

_TRUTH = "groundtruth_rect.txt"


def find(root: Path) -> Path | None:
    """The data set's own folder in `root` or `root` itself; None: not there."""
    for folder in (root, subfolder(root, "DTB70")):
        if annotations.find(folder, ("DTB70",)) or any(folder.glob(f"*/{_TRUTH}")):
            return folder
    return None


def names(root: Path) -> list[str]:
    """Names of the benchmark's sequences, in order."""
    found = sorted(path.parent.name for path in root.glob(f"*/{_TRUTH}"))
    path = annotations.find(root, ("DTB70",))
    return found or (list(annotations.read(path)) if path else [])


def load(root: Path, name: str) -> Sequence:
    """Opens a sequence.

    Raises:
        Absent: a partial copy does not have it.
        UserError: its files do not fit together.
    """
    truth_path = root / name / _TRUTH
    if not truth_path.is_file():
        path = annotations.find(root, ("DTB70",))
        if path is None:
            raise Absent(f"{truth_path}: no such file")
        return annotations.load(path, name, base=1)
    boxes = read_table(truth_path)
    return Sequence(
        name=name,
        frames=aligned_images(root / name / "img", len(boxes), truth_path),
        groundtruth=boxes - np.array([1.0, 1.0, 0.0, 0.0]),
        base=1,
    )


DATASETS = (
    Dataset(
        name="DTB70",
        total=70,
        protocol="ope",
        measures="ope",
        results="flat",
        source="https://github.com/flyers/drone-tracking",
        layout="DTB70/<video>/img/00001.jpg ...\nDTB70/<video>/groundtruth_rect.txt",
        find=find,
        names=names,
        load=load,
    ),
)
