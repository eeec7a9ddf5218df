"""OTB: 100 targets (OTB2015), its hard half OTB50, and the first edition OTB2013 (Wu et al. 2013,
2015).

Layout: `<video>/img/%04d.jpg` and `<video>/groundtruth_rect.txt`, or `groundtruth_rect.1.txt`,
`.2.txt` for the two targets of one video, named Jogging.1 and Jogging.2 here. Boxes are left, top,
width, height with commas, tabs or spaces, and count the first pixel as 1; a `Sequence` counts it as
0, result files count it as 1 again. Some videos are annotated from a later frame on (David from
image 300), and some not to their end: images without a row are left out, and counted in a note.
Tiger1 is scored from its sixth box.
"""

import dataclasses
from pathlib import Path

from siamjax.datasets.dataset import Dataset, aligned_images
from siamjax.datasets.sequence import NoFrames, Sequence, shifted
from siamjax.media.frames import frame_number, list_images
from siamjax.media.tables import read_table
from siamjax.wording import counted

# OTB100; a star marks what is in OTB50 as well, an equals sign what is in OTB2013
_TARGETS = """
Basketball*= Biker* Bird1* Bird2 BlurBody* BlurCar1 BlurCar2* BlurCar3 BlurCar4 BlurFace* BlurOwl*
Board Bolt*= Bolt2 Box* Boy= Car1* Car2 Car24 Car4*= CarDark*= CarScale*= ClifBar* Coke= Couple*=
Coupon Crossing= Crowds* Dancer Dancer2 David*= David2= David3= Deer*= Diving* Dog Dog1= Doll=
DragonBaby* Dudek*= FaceOcc1= FaceOcc2= Fish= FleetFace= Football*= Football1= Freeman1= Freeman3=
Freeman4*= Girl*= Girl2 Gym Human2 Human3* Human4.2* Human5 Human6* Human7 Human8 Human9* Ironman*=
Jogging.1= Jogging.2= Jump* Jumping*= KiteSurf Lemming= Liquor*= Man Matrix*= Mhyang= MotorRolling*=
MountainBike= Panda* RedTeam* Rubik Shaking*= Singer1= Singer2*= Skater Skater2 Skating1*=
Skating2.1* Skating2.2* Skiing*= Soccer*= Subway= Surfer* Suv= Sylvester*= Tiger1= Tiger2*= Toy
Trans Trellis*= Twinnings Vase Walking*= Walking2*= Woman*=
"""

_FIRST_IMAGE = {"BlurCar1": 247, "BlurCar3": 3, "BlurCar4": 18, "David": 300}
_SKIPPED_BOXES = {"Tiger1": 5}
_ALL = frozenset(word.rstrip("*=") for word in _TARGETS.split())

LAYOUT = """\
OTB100/Basketball/img/0001.jpg ...
OTB100/Basketball/groundtruth_rect.txt
OTB100/Jogging/groundtruth_rect.1.txt, groundtruth_rect.2.txt
or one file OTB100.json with all boxes"""


class Otb(Dataset):
    """One folder per video, one or two targets in it."""

    def truth_file(self, root: Path, name: str) -> Path:
        """As the base class: of Jogging.1 the file with `.1`, where there is one."""
        video, dot, target = name.partition(".")
        own = root / video / f"groundtruth_rect{dot}{target}.txt"
        shared = root / video / "groundtruth_rect.txt"
        return shared if shared.is_file() and not own.is_file() else own

    def load(self, root: Path, name: str) -> Sequence:
        """As the base class, with what other toolkits call it and how many more rows they have.

        The only scored target of a video has the video's name in the got10k toolkit (Human4), which
        tracks Tiger1 from its first box.
        """
        video, _, target = name.partition(".")
        only = bool(target) and sum(one.partition(".")[0] == video for one in _ALL) == 1
        return dataclasses.replace(
            super().load(root, name),
            aliases=(video,) if only else (),
            skipped=_SKIPPED_BOXES.get(name, 0),
        )

    def open(self, path: Path, name: str) -> Sequence:
        """As the base class; boxes counted from 0."""
        boxes = read_table(path)
        folder = path.parent
        images = list_images(folder / "img")
        first = _FIRST_IMAGE.get(folder.name, 1)
        if images and first > 1 and len(images) == len(boxes):
            first = frame_number(images[0])  # a copy whose images start with the first box
        frames = aligned_images(folder / "img", len(boxes), path, first)
        later = sum(frame_number(image) >= first + len(boxes) for image in images)
        note = f"{name}: {counted(later, 'image')} after the last row of its boxes left out"
        skipped = _SKIPPED_BOXES.get(name, 0)
        if skipped and len(boxes) == 354:
            boxes = boxes[skipped:]
            frames = NoFrames(len(boxes), folder) if not images else frames[skipped:]
        notes = (note,) if later else ()
        return Sequence(name, frames, shifted(boxes, -1), base=1, notes=notes)


DATASETS = tuple(
    Otb(
        name=name,
        total=len(listed),
        source="http://cvlab.hanyang.ac.kr/tracker_benchmark/datasets.html (98 zip files)",
        layout=LAYOUT,
        folders=("OTB100", "OTB2015", "OTB", "OTB50", "OTB2013"),
        listed=tuple(word.rstrip("*=") for word in listed),
        annotated=("OTB100", "OTB2015"),
        base=1,
        aliases=aliases,
    )
    for name, mark, aliases in (
        ("OTB100", "", ("otb2015", "otb")),
        ("OTB50", "*", ("tb50",)),
        ("OTB2013", "=", ("cvpr13",)),
    )
    for listed in [[word for word in _TARGETS.split() if mark in word]]
)
