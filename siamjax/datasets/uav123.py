"""UAV123 and UAV20L: videos from a low-flying aircraft (Mueller et al. 2016).

Layout: `data_seq/UAV123/<video>/%06d.jpg` and `anno/UAV123/<sequence>.txt` or
`anno/UAV20L/<sequence>.txt` with left,top,width,height per frame, the first pixel counted as 1, and
NaN where the target is not visible. Some sequences of UAV123 are parts of a video: car6_2 starts
at image 487 of car6. `anno/.../att/<sequence>.txt` holds twelve attributes as 0 or 1.
"""

import re
from pathlib import Path

import numpy as np

from siamjax.datasets import annotations
from siamjax.datasets.dataset import Absent, Dataset, numbered_images, subfolder
from siamjax.datasets.sequence import Sequence
from siamjax.media.tables import read_table

# first image of the parts that do not start with their video
_FIRST_IMAGE = {
    "bird1_2": 775,
    "bird1_3": 1573,
    "car1_2": 751,
    "car1_3": 1627,
    "car16_2": 415,
    "car6_2": 487,
    "car6_3": 1807,
    "car6_4": 2953,
    "car6_5": 3925,
    "car8_2": 1357,
    "group1_2": 1333,
    "group1_3": 2515,
    "group1_4": 3925,
    "group2_2": 907,
    "group2_3": 1771,
    "group3_2": 1567,
    "group3_3": 2827,
    "group3_4": 4369,
    "person12_2": 601,
    "person14_2": 847,
    "person14_3": 1813,
    "person17_2": 1501,
    "person19_2": 1243,
    "person19_3": 2791,
    "person2_2": 1189,
    "person4_2": 1501,
    "person5_2": 877,
    "person7_2": 1249,
    "person8_2": 1075,
    "truck4_2": 577,
    "uav1_2": 1555,
    "uav1_3": 2473,
}
_ATTRIBUTES = ("SV", "ARC", "LR", "FM", "FOC", "POC", "OV", "BC", "IV", "VC", "CM", "SOB")


def _named(edition: str):
    def find(root: Path) -> Path | None:
        for folder in (root, subfolder(root, "UAV123", "Dataset_UAV123")):
            if (folder / "anno" / edition).is_dir() or annotations.find(folder, (edition,)):
                return folder
        return None

    def names(root: Path) -> list[str]:
        folder = root / "anno" / edition
        if folder.is_dir():
            return sorted(path.stem for path in folder.glob("*.txt"))
        return list(annotations.read(_file(root)))

    def _file(root: Path) -> Path:
        path = annotations.find(root, (edition,))
        if path is None:
            raise Absent(f"{root / 'anno' / edition}: no such folder")
        return path

    def load(root: Path, name: str) -> Sequence:
        truth_path = root / "anno" / edition / f"{name}.txt"
        if not truth_path.parent.is_dir():
            return annotations.load(_file(root), name, base=1)
        boxes = read_table(truth_path)
        video, first = name, 1
        if edition == "UAV123":
            first = _FIRST_IMAGE.get(name, 1)
            video = re.sub(r"_\d+$", "", name)
        attributes = truth_path.parent / "att" / f"{name}.txt"
        flags = read_table(attributes, (12,))[0] if attributes.is_file() else np.zeros(12)
        return Sequence(
            name=name,
            frames=numbered_images(root / "data_seq" / "UAV123" / video, first, len(boxes)),
            groundtruth=boxes - np.array([1.0, 1.0, 0.0, 0.0]),
            attributes=tuple(a for a, flag in zip(_ATTRIBUTES, flags, strict=True) if flag > 0),
            base=1,
        )

    return find, names, load


def _dataset(edition: str, total: int) -> Dataset:
    find, names, load = _named(edition)
    return Dataset(
        name=edition,
        total=total,
        protocol="ope",
        measures="ope",
        results="flat",
        source="https://cemse.kaust.edu.sa/ivul/uav123",
        layout=(
            f"UAV123/data_seq/UAV123/bike1/000001.jpg ...\nUAV123/anno/{edition}/bike1.txt ...\n"
            f"or one file {edition}.json with all boxes"
        ),
        find=find,
        names=names,
        load=load,
    )


DATASETS = (_dataset("UAV123", 123), _dataset("UAV20L", 20))
