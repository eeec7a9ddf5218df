"""ImageNet VID: `python -m data_prep.vid --source=ILSVRC2015 --out=data/vid`.

A track is all frames of a trackid, also where the object leaves and comes back. Frames that are
marked occluded are kept, as in the published training; the mark also stands for partial occlusion.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from data_prep.command import main
from data_prep.ilsvrc import read_objects
from data_prep.source import IMAGES, Source, Target, Video, folders, listing
from siamjax.errors import UserError, run_main

DATA = "Data/VID/train"
ANNOTATIONS = "Annotations/VID/train"


class Vid(Source):
    """ImageNet VID.

    expected are Data/VID/train/<part>/<video>/*.JPEG and Annotations/VID/train/<part>/<video>/*.xml
    """

    name = "vid"
    official: ClassVar = {"videos": 3_862, "images": 1_122_397}
    code: ClassVar = ("data_prep.ilsvrc",)

    def videos(self) -> Iterator[Video]:
        """One per folder of frames or of annotations."""
        data, annotations = self.need(DATA), self.need(ANNOTATIONS)
        found = False
        for part in sorted({*folders(data), *folders(annotations)}):
            names = {*folders(data / part), *folders(annotations / part)}
            for name in sorted(names):
                found = True
                weight = len(listing(annotations / part / name, (".xml",)))
                yield Video(f"{part}/{name}", weight)
        if not found:
            raise UserError(f"{data}: no video in it; {self.layout()}")

    def targets(self, video: Video, skipped: Counter) -> Iterator[Target]:
        """All objects of all frames."""
        frames = {Path(f).stem: f for f in listing(self.root / DATA / video.name, IMAGES)}
        annotated = {Path(f).stem for f in listing(self.root / ANNOTATIONS / video.name, (".xml",))}
        skipped["missing annotation"] += len(frames.keys() - annotated)
        for stem in sorted(annotated):
            if not stem.isdigit():
                skipped["annotation is not of a frame"] += 1
                continue
            objects = list(
                read_objects(self.root / ANNOTATIONS / video.name / f"{stem}.xml", skipped)
            )
            if not objects:
                skipped["frame without object"] += 1
            image = f"{DATA}/{video.name}/{frames.get(stem, f'{stem}.JPEG')}"
            for found in objects:
                yield Target(found.track, int(stem), found.box, image)

    def images(self) -> Iterator[str]:
        """All frames."""
        for part in folders(self.root / DATA):
            for name in folders(self.root / DATA / part):
                for file in listing(self.root / DATA / part / name, IMAGES):
                    yield f"{DATA}/{part}/{name}/{file}"


if __name__ == "__main__":
    run_main(lambda: main(Vid))
