"""ImageNet VID: `python -m data_prep vid --source=ILSVRC2015 --out=data/vid`.

A track is all frames of a trackid, also where the object leaves and comes back. Frames that are
marked occluded are kept, as in the published training; the mark also stands for partial occlusion.
"""

from pathlib import Path

from data_prep.command import run
from data_prep.ilsvrc import Ilsvrc
from data_prep.source import Skipped, Target, Targets, Video, Videos, folders, listing
from siamjax.media.frames import image_names


class Vid(Ilsvrc):
    """ImageNet VID.

    expected are Data/VID/train/<part>/<video>/*.JPEG and Annotations/VID/train/<part>/<video>/*.xml
    """

    name = "vid"
    official = (("videos", 3_862), ("images", 1_122_397))
    image_folder = "Data/VID/train"
    annotations = "Annotations/VID/train"

    def videos(self) -> Videos:
        """One per folder of frames or of annotations."""
        trees = images, annotations = self.need(self.image_folder), self.need(self.annotations)
        for part in sorted({*folders(images), *folders(annotations)}):
            for name in sorted({name for tree in trees for name in folders(tree / part)}):
                weight = len(listing(annotations / part / name, (".xml",)))
                yield Video(f"{part}/{name}", weight)

    def targets(self, video: Video, skipped: Skipped) -> Targets:
        """All objects of all frames."""
        folder = f"{self.image_folder}/{video.name}"
        frames = {Path(name).stem: name for name in image_names(self.root / folder)}
        files = listing(self.root / self.annotations / video.name, (".xml",))
        annotated = {Path(file).stem for file in files}
        skipped["missing annotation"] += len(frames.keys() - annotated)
        for stem in sorted(annotated):
            if not stem.isdigit():
                skipped["annotation is not of a frame"] += 1
                continue
            objects = list(self.objects(f"{video.name}/{stem}", skipped))
            skipped["frame without object"] += not objects
            image = f"{folder}/{frames.get(stem, f'{stem}.JPEG')}"
            for track, box, category in objects:
                yield Target(track, int(stem), box, image, category)


if __name__ == "__main__":
    run(Vid)
