"""ImageNet DET: `python -m data_prep.det --source=ILSVRC2015 --out=data/det`.

Each image is a video of one frame, each object a track.
"""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from data_prep.command import main
from data_prep.ilsvrc import read_objects
from data_prep.source import IMAGES, Source, Target, Video, listing
from siamjax.errors import UserError, run_main

DATA = "Data/DET/train"
ANNOTATIONS = "Annotations/DET/train"


class Det(Source):
    """ImageNet DET.

    expected are Data/DET/train/<part>/**/*.JPEG and Annotations/DET/train/<part>/**/*.xml
    """

    name = "det"
    official: ClassVar = {"images": 456_567}
    code: ClassVar = ("data_prep.ilsvrc",)

    def videos(self) -> Iterator[Video]:
        """One per annotation file."""
        self.need(DATA)
        found = False
        for stem in self._stems(self.need(ANNOTATIONS), (".xml",)):
            found = True
            yield Video(stem, 2)
        if not found:
            raise UserError(f"{self.root / ANNOTATIONS}: no annotation in it; {self.layout()}")

    def targets(self, video: Video, skipped: Counter) -> Iterator[Target]:
        """The objects of an image; the track is the object's position in its file."""
        objects = list(read_objects(self.root / ANNOTATIONS / f"{video.name}.xml", skipped))
        if not objects:
            skipped["image without object"] += 1
        for i, found in enumerate(objects):
            yield Target(str(i), 0, found.box, f"{DATA}/{video.name}.JPEG")

    def images(self) -> Iterator[str]:
        """All images."""
        for stem in self._stems(self.root / DATA, IMAGES):
            yield f"{DATA}/{stem}.JPEG"

    @staticmethod
    def _stems(root, suffixes):
        """Paths below root without suffix; the 2013 part has a folder per category."""
        for folder in sorted(Path(folder) for folder, _, _ in os.walk(root)):
            for file in listing(folder, suffixes):
                yield (folder / file).relative_to(root).with_suffix("").as_posix()


if __name__ == "__main__":
    run_main(lambda: main(Det))
