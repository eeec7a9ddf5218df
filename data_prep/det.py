"""ImageNet DET: `python -m data_prep det --source=ILSVRC2015 --out=data/det`.

Each image is a video of one frame, each object a track.
"""

from data_prep.command import run
from data_prep.ilsvrc import Ilsvrc
from data_prep.source import Skipped, Target, Targets, Video, Videos


class Det(Ilsvrc):
    """ImageNet DET.

    expected are Data/DET/train/<part>/**/*.JPEG and Annotations/DET/train/<part>/**/*.xml
    """

    name = "det"
    official = (("images", 456_567),)
    image_folder = "Data/DET/train"
    annotations = "Annotations/DET/train"

    def videos(self) -> Videos:
        """One per annotation file; the 2013 part has a folder per category."""
        self.need(self.image_folder)
        self.need(self.annotations)
        for file in self.files_below(self.annotations, (".xml",)):
            yield Video(file[len(self.annotations) + 1 : -len(".xml")], 2)

    def targets(self, video: Video, skipped: Skipped) -> Targets:
        """The objects of an image; the track is the object's position in its file."""
        objects = list(self.objects(video.name, skipped))
        skipped["image without object"] += not objects
        for i, (_, box, category) in enumerate(objects):
            yield Target(str(i), 0, box, f"{self.image_folder}/{video.name}.JPEG", category)


if __name__ == "__main__":
    run(Det)
