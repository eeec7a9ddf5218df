"""LaSOT's test set: 280 long videos of 70 classes (Fan et al. 2019).

Layout: `<class>/<class>-<n>/img/%08d.jpg` (or without the class folder), `groundtruth.txt` with
left,top,width,height per frame, and `full_occlusion.txt`, `out_of_view.txt` with one 0 or 1 per
frame, all in one row. The target is absent where either is 1. Boxes are taken as they stand. Or the
evaluation toolkit's folder: `annos/<sequence>.txt`, `annos/absent/<sequence>.txt` with a 0 or 1 per
frame, `annos/att/<sequence>.txt` with 14 attributes.
"""

import dataclasses
from pathlib import Path

import numpy as np

from siamjax.datasets.dataset import Dataset
from siamjax.datasets.sequence import Sequence
from siamjax.media.tables import read_flags

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
TEST_NAMES = [
    f"{words[0]}-{number}"
    for words in (entry.split() for entry in _TEST.split(";"))
    for number in words[1:]
]


ATTRIBUTES = (
    *("IV", "POC", "DEF", "MB", "CM", "ROT", "BC"),
    *("VC", "SV", "FOC", "FM", "OV", "LR", "ARC"),
)
_NO_FLAGS = "no files of occlusion and view: frames without the target are scored as all others"


class Lasot(Dataset):
    """The testing set."""

    def truth_file(self, root: Path, name: str) -> Path:
        """As the base class, in the folder of the class or without it, or the toolkit's file."""
        folders = root / name.rpartition("-")[0] / name, root / name
        texts = root / "annos" / f"{name}.txt", root / f"{name}.txt"
        nested = (folder / "groundtruth.txt" for folder in folders if folder.is_dir())
        there = (*nested, *(text for text in texts if text.is_file()))
        return next(iter(there), folders[1] / "groundtruth.txt")

    def load(self, root: Path, name: str) -> Sequence:
        """As the base class; says so where absent frames are not known."""
        sequence = super().load(root, name)
        if sequence.absent is not None:
            return sequence
        return dataclasses.replace(sequence, notes=(_NO_FLAGS,))

    def open(self, path: Path, name: str) -> Sequence:
        """As the base class."""
        sequence = super().open(path, name)
        own = path.name == "groundtruth.txt"
        labels = [path.with_name(f"{label}.txt") for label in ("full_occlusion", "out_of_view")]
        if not own:
            labels = [path.parent / "absent" / path.name]
        flags = [read_flags(label, len(sequence)) for label in labels if label.is_file()]
        return dataclasses.replace(sequence, absent=np.any(flags, 0) if flags else None)


DATASETS = (
    Lasot(
        name="LaSOT",
        total=280,
        source="http://vision.cs.stonybrook.edu/~lasot/download.html (testing set)",
        layout=(
            "LaSOT/airplane/airplane-1/img/00000001.jpg ...\n"
            "LaSOT/airplane/airplane-1/groundtruth.txt, full_occlusion.txt, out_of_view.txt\n"
            "or the evaluation toolkit's annos/airplane-1.txt, annos/absent/airplane-1.txt ..."
        ),
        images="img",
        folders=("LaSOT", "LaSOTBenchmark", "LaSOTTesting", "LaSOT_Evaluation_Toolkit", "annos"),
        listed=tuple(TEST_NAMES),
        annotated=("LaSOT", "LaSOTTesting"),
        attributes=ATTRIBUTES,
    ),
)
