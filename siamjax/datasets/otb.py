"""OTB: 100 targets (OTB2015), its hard half OTB50, and the first edition OTB2013 (Wu et al. 2013,
2015).

Layout: `<video>/img/%04d.jpg` and `<video>/groundtruth_rect.txt`, or `groundtruth_rect.1.txt`,
`.2.txt` for the two targets of one video, named Jogging.1 and Jogging.2 here. Boxes are left, top,
width, height with commas, tabs or spaces, and count the first pixel as 1; a `Sequence` counts it as
0, result files count it as 1 again. Some videos are annotated from a later frame on (David from
image 300); Tiger1 is scored from its sixth box.
"""

from pathlib import Path

import numpy as np

from siamjax.datasets import annotations
from siamjax.datasets.dataset import (
    Absent,
    Dataset,
    frame_number,
    images_of,
    key,
    numbered_images,
    subfolder,
)
from siamjax.datasets.sequence import NoFrames, Sequence
from siamjax.media.tables import read_table

_OTB100 = [
    "Basketball",
    "Biker",
    "Bird1",
    "Bird2",
    "BlurBody",
    "BlurCar1",
    "BlurCar2",
    "BlurCar3",
    "BlurCar4",
    "BlurFace",
    "BlurOwl",
    "Board",
    "Bolt",
    "Bolt2",
    "Box",
    "Boy",
    "Car1",
    "Car2",
    "Car24",
    "Car4",
    "CarDark",
    "CarScale",
    "ClifBar",
    "Coke",
    "Couple",
    "Coupon",
    "Crossing",
    "Crowds",
    "Dancer",
    "Dancer2",
    "David",
    "David2",
    "David3",
    "Deer",
    "Diving",
    "Dog",
    "Dog1",
    "Doll",
    "DragonBaby",
    "Dudek",
    "FaceOcc1",
    "FaceOcc2",
    "Fish",
    "FleetFace",
    "Football",
    "Football1",
    "Freeman1",
    "Freeman3",
    "Freeman4",
    "Girl",
    "Girl2",
    "Gym",
    "Human2",
    "Human3",
    "Human4.2",
    "Human5",
    "Human6",
    "Human7",
    "Human8",
    "Human9",
    "Ironman",
    "Jogging.1",
    "Jogging.2",
    "Jump",
    "Jumping",
    "KiteSurf",
    "Lemming",
    "Liquor",
    "Man",
    "Matrix",
    "Mhyang",
    "MotorRolling",
    "MountainBike",
    "Panda",
    "RedTeam",
    "Rubik",
    "Shaking",
    "Singer1",
    "Singer2",
    "Skater",
    "Skater2",
    "Skating1",
    "Skating2.1",
    "Skating2.2",
    "Skiing",
    "Soccer",
    "Subway",
    "Surfer",
    "Suv",
    "Sylvester",
    "Tiger1",
    "Tiger2",
    "Toy",
    "Trans",
    "Trellis",
    "Twinnings",
    "Vase",
    "Walking",
    "Walking2",
    "Woman",
]

_OTB50 = [
    "Basketball",
    "Biker",
    "Bird1",
    "BlurBody",
    "BlurCar2",
    "BlurFace",
    "BlurOwl",
    "Bolt",
    "Box",
    "Car1",
    "Car4",
    "CarDark",
    "CarScale",
    "ClifBar",
    "Couple",
    "Crowds",
    "David",
    "Deer",
    "Diving",
    "DragonBaby",
    "Dudek",
    "Football",
    "Freeman4",
    "Girl",
    "Human3",
    "Human4.2",
    "Human6",
    "Human9",
    "Ironman",
    "Jump",
    "Jumping",
    "Liquor",
    "Matrix",
    "MotorRolling",
    "Panda",
    "RedTeam",
    "Shaking",
    "Singer2",
    "Skating1",
    "Skating2.1",
    "Skating2.2",
    "Skiing",
    "Soccer",
    "Surfer",
    "Sylvester",
    "Tiger2",
    "Trellis",
    "Walking",
    "Walking2",
    "Woman",
]

_OTB2013 = [
    "Basketball",
    "Bolt",
    "Boy",
    "Car4",
    "CarDark",
    "CarScale",
    "Coke",
    "Couple",
    "Crossing",
    "David",
    "David2",
    "David3",
    "Deer",
    "Dog1",
    "Doll",
    "Dudek",
    "FaceOcc1",
    "FaceOcc2",
    "Fish",
    "FleetFace",
    "Football",
    "Football1",
    "Freeman1",
    "Freeman3",
    "Freeman4",
    "Girl",
    "Ironman",
    "Jogging.1",
    "Jogging.2",
    "Jumping",
    "Lemming",
    "Liquor",
    "Matrix",
    "Mhyang",
    "MotorRolling",
    "MountainBike",
    "Shaking",
    "Singer1",
    "Singer2",
    "Skating1",
    "Skiing",
    "Soccer",
    "Subway",
    "Suv",
    "Sylvester",
    "Tiger1",
    "Tiger2",
    "Trellis",
    "Walking",
    "Walking2",
    "Woman",
]

_FIRST_IMAGE = {"BlurCar1": 247, "BlurCar3": 3, "BlurCar4": 18, "David": 300}
_SKIPPED_BOXES = {"Tiger1": 5}

LAYOUT = """\
OTB100/Basketball/img/0001.jpg ...
OTB100/Basketball/groundtruth_rect.txt
OTB100/Jogging/groundtruth_rect.1.txt, groundtruth_rect.2.txt
or one file OTB100.json with all boxes"""

_ANNOTATIONS = ("OTB100", "OTB2015")


def find(root: Path) -> Path | None:
    """OTB's folder: `root` or a folder OTB100, OTB2015, OTB50, OTB2013, OTB in it."""
    for folder in (root, subfolder(root, "OTB100", "OTB2015", "OTB", "OTB50", "OTB2013")):
        if folder.is_dir() and (
            annotations.find(folder, _ANNOTATIONS)
            or any((folder / _split(name)[0]).is_dir() for name in _OTB100)
        ):
            return folder
    return None


def _split(name: str) -> tuple[str, str]:
    """Jogging.1 -> (Jogging, .1); Basketball -> (Basketball, "")."""
    video, dot, target = name.partition(".")
    return video, dot + target


def load(root: Path, name: str) -> Sequence:
    """One target.

    Raises:
        Absent: the copy has no such video.
        UserError: unreadable boxes, missing images.
    """
    video, target = _split(name)
    folder = root / video
    truth_path = folder / f"groundtruth_rect{target}.txt"
    if target and not truth_path.is_file() and (folder / "groundtruth_rect.txt").is_file():
        truth_path = folder / "groundtruth_rect.txt"
    if not truth_path.is_file() and (annotations.find(root, _ANNOTATIONS) or not folder.is_dir()):
        return _from_annotations(root, name)
    boxes = read_table(truth_path)
    images = folder / "img"
    numbers: list[int] = []
    if images.is_dir():
        numbers = [frame_number(path) for path in images_of(images)]
    first = _FIRST_IMAGE.get(video, 1)
    if numbers and first > 1 and len(numbers) == len(boxes):
        first = numbers[0]  # a copy whose images start with the first box
    frames = numbered_images(images, first, len(boxes))
    skipped = _SKIPPED_BOXES.get(video, 0)
    if skipped and len(boxes) == 354:
        boxes = boxes[skipped:]
        frames = NoFrames(len(boxes), images) if isinstance(frames, NoFrames) else frames[skipped:]
    return Sequence(
        name=name,
        frames=frames,
        groundtruth=boxes - np.array([1.0, 1.0, 0.0, 0.0]),
        attributes=_attributes(folder),
        base=1,
    )


def _attributes(folder: Path) -> tuple[str, ...]:
    for name in ("attrs.txt", "attributes.txt"):
        if (folder / name).is_file():
            return tuple((folder / name).read_text().replace(",", " ").split())
    return ()


def _from_annotations(root: Path, name: str) -> Sequence:
    path = annotations.find(root, _ANNOTATIONS)
    if path is None:
        raise Absent(f"{root / _split(name)[0]}: no such folder")
    names = {key(video): video for video in annotations.read(path)}
    if key(name) not in names:
        raise Absent(f"{path}: no sequence '{name}'")
    sequence = annotations.load(path, names[key(name)], base=1)
    return Sequence(
        name=name,
        frames=sequence.frames,
        groundtruth=sequence.groundtruth,
        attributes=sequence.attributes,
        base=1,
    )


def _names(listed: list[str]):
    def names(root: Path) -> list[str]:
        """The official list; an annotation file with none of its names is another benchmark in
        OTB's form."""
        path = annotations.find(root, _ANNOTATIONS)
        if path is not None:
            present = {key(name) for name in annotations.read(path)}
            if not present & {key(name) for name in listed}:
                return list(annotations.read(path))
        return list(listed)

    return names


def _dataset(name: str, listed: list[str]) -> Dataset:
    return Dataset(
        name=name,
        total=len(listed),
        protocol="ope",
        measures="ope",
        results="flat",
        source="http://cvlab.hanyang.ac.kr/tracker_benchmark/datasets.html (98 zip files)",
        layout=LAYOUT,
        find=find,
        names=_names(listed),
        load=load,
    )


DATASETS = (
    _dataset("OTB100", _OTB100),
    _dataset("OTB50", _OTB50),
    _dataset("OTB2013", _OTB2013),
)
