"""TrackingNet: `python -m data_prep.trackingnet --source=TrackingNet --out=data/trackingnet`.

The twelve training chunks TRAIN_0 .. TRAIN_11, or those that are there.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from data_prep.command import main
from data_prep.source import IMAGES, Source, Target, Video, folders, listing, read_numbers
from siamjax.errors import UserError, run_main


class Trackingnet(Source):
    """TrackingNet.

    expected are TRAIN_<n>/anno/<video>.txt and TRAIN_<n>/frames/<video>/<frame>.jpg
    """

    name = "trackingnet"
    official: ClassVar = {"videos": 30_132}

    def videos(self) -> Iterator[Video]:
        """One per annotation file."""
        chunks = [name for name in folders(self.root) if re.fullmatch(r"TRAIN_\d+", name)]
        if not chunks:
            raise UserError(f"{self.root}: no TRAIN_<n> in it; {self.layout()}")
        for chunk in chunks:
            self.need(chunk, "frames")
            for file in listing(self.need(chunk, "anno"), (".txt",)):
                # The size of the file stands for the number of lines.
                size = (self.root / chunk / "anno" / file).stat().st_size
                yield Video(f"{chunk}/{Path(file).stem}", max(1, size // 30))

    def targets(self, video: Video, skipped: Counter) -> Iterator[Target]:
        """The only track of a video; line i is frame i."""
        chunk, name = video.name.split("/", 1)
        folder = f"{chunk}/frames/{name}"
        boxes = read_numbers(self.root / chunk / "anno" / f"{name}.txt", 4)
        files = {}
        for file in listing(self.root / folder, IMAGES):
            if Path(file).stem.isdigit():
                files[int(Path(file).stem)] = file
        skipped["missing annotation"] += sum(number >= len(boxes) for number in files)
        for i, (x, y, w, h) in enumerate(boxes):
            yield Target("0", i, (x, y, x + w, y + h), f"{folder}/{files.get(i, f'{i}.jpg')}")

    def images(self) -> Iterator[str]:
        """All frames."""
        for chunk in folders(self.root):
            for name in folders(self.root / chunk / "frames"):
                for file in listing(self.root / chunk / "frames" / name, IMAGES):
                    yield f"{chunk}/frames/{name}/{file}"


if __name__ == "__main__":
    run_main(lambda: main(Trackingnet))
