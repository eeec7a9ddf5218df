"""LaSOT's test set: 280 long videos of 70 classes (Fan et al. 2019).

Layout: `<class>/<class>-<n>/img/%08d.jpg` (or without the class folder), `groundtruth.txt` with
left,top,width,height per frame, and `full_occlusion.txt`, `out_of_view.txt` with one 0 or 1 per
frame, all in one row. The target is absent where either is 1. Boxes are taken as they stand.
"""

from pathlib import Path

import numpy as np

from siamjax.datasets import annotations
from siamjax.datasets.dataset import Absent, Dataset, aligned_images, subfolder
from siamjax.datasets.sequence import Sequence
from siamjax.media.tables import read_flags, read_table

_TEST = """
airplane 1 9 13 15; basketball 1 6 7 11; bear 2 4 6 17; bicycle 2 7 9 18; bird 2 3 15 17;
boat 3 4 12 17; book 3 10 11 19; bottle 1 12 14 18; bus 2 5 17 19; car 2 6 9 17; cat 1 3 18 20;
cattle 2 7 12 13; chameleon 3 6 11 20; coin 3 6 7 18; crab 3 6 12 18; crocodile 3 4 10 14;
cup 1 4 7 17; deer 4 8 10 14; dog 1 7 15 19; drone 2 7 13 15; electricfan 1 10 18 20;
elephant 1 12 16 18; flag 2 3 5 9; fox 2 3 5 20; frog 3 4 9 20; gametarget 1 2 7 13;
gecko 1 5 16 19; giraffe 2 10 13 15; goldfish 3 7 8 10; gorilla 4 6 9 13; guitar 3 8 10 16;
hand 2 3 9 16; hat 1 2 5 18; helmet 5 11 13 19; hippo 1 7 9 20; horse 1 4 12 15;
kangaroo 2 5 11 14; kite 4 6 10 15; leopard 1 7 16 20; licenseplate 6 12 13 15; lion 1 5 12 20;
lizard 1 3 6 13; microphone 2 6 14 16; monkey 3 4 9 17; motorcycle 1 3 9 18; mouse 1 8 9 17;
person 1 5 10 12; pig 2 10 13 18; pool 3 7 12 15; rabbit 10 13 17 19; racing 10 15 16 20;
robot 1 5 8 19; rubicCube 1 6 14 19; sepia 6 8 13 16; shark 2 3 5 6; sheep 3 5 7 9;
skateboard 3 8 16 19; spider 14 16 18 20; squirrel 8 11 13 19; surfboard 4 5 8 12;
swing 10 14 17 20; tank 6 9 14 16; tiger 4 6 12 18; train 1 7 11 20; truck 3 6 7 16;
turtle 5 8 9 16; umbrella 2 9 17 19; volleyball 1 13 18 19; yoyo 7 15 17 19; zebra 10 14 16 17
"""
_ANNOTATIONS = ("LaSOT", "LaSOTTesting")

TEST_NAMES = [
    f"{words[0]}-{number}"
    for words in (entry.split() for entry in _TEST.split(";"))
    for number in words[1:]
]


def _folder(root: Path, name: str) -> Path:
    nested = root / name.rpartition("-")[0] / name
    return nested if nested.is_dir() else root / name


def find(root: Path) -> Path | None:
    """The data set's own folder in `root` or `root` itself; None: not there."""
    for folder in (root, subfolder(root, "LaSOT", "LaSOTBenchmark", "LaSOTTesting")):
        if annotations.find(folder, _ANNOTATIONS) or any(
            _folder(folder, name).is_dir() for name in TEST_NAMES
        ):
            return folder
    return None


def names(root: Path) -> list[str]:
    """The official list; an annotation file with none of its names gives its own."""
    path = annotations.find(root, _ANNOTATIONS)
    if path is not None and not set(annotations.read(path)) & set(TEST_NAMES):
        return list(annotations.read(path))
    return list(TEST_NAMES)


def load(root: Path, name: str) -> Sequence:
    """Opens a sequence.

    Raises:
        Absent: a partial copy does not have it.
        UserError: its files do not fit together.
    """
    folder = _folder(root, name)
    truth_path = folder / "groundtruth.txt"
    if not truth_path.is_file():
        path = annotations.find(root, _ANNOTATIONS)
        if path is None or name not in annotations.read(path):
            raise Absent(f"{folder}: no such folder")
        return annotations.load(path, name)
    boxes = read_table(truth_path)
    absent = np.zeros(len(boxes), bool)
    for label in ("full_occlusion.txt", "out_of_view.txt"):
        if (folder / label).is_file():
            absent |= read_flags(folder / label, len(boxes))
    return Sequence(
        name=name,
        frames=aligned_images(folder / "img", len(boxes), truth_path),
        groundtruth=boxes,
        absent=absent,
    )


DATASETS = (
    Dataset(
        name="LaSOT",
        total=280,
        protocol="ope",
        measures="ope",
        results="flat",
        source="http://vision.cs.stonybrook.edu/~lasot/download.html (testing set)",
        layout=(
            "LaSOT/airplane/airplane-1/img/00000001.jpg ...\n"
            "LaSOT/airplane/airplane-1/groundtruth.txt, full_occlusion.txt, out_of_view.txt"
        ),
        find=find,
        names=names,
        load=load,
    ),
)
