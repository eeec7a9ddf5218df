"""TrackingNet: `python -m data_prep trackingnet --source=TrackingNet --out=data/trackingnet`.

The twelve training chunks TRAIN_0 .. TRAIN_11, or those that are there.
"""

import re
from pathlib import Path

from data_prep.command import run
from data_prep.source import Skipped, Source, Target, Targets, Video, Videos, folders, read_numbers
from siamjax.media.frames import frame_number, image_names


class Trackingnet(Source):
    """TrackingNet.

    expected are TRAIN_<n>/anno/<video>.txt and TRAIN_<n>/frames/<video>/<frame>.jpg
    """

    name = "trackingnet"
    official = (("videos", 30_132),)

    def videos(self) -> Videos:
        """One per annotation file."""
        for chunk in (name for name in folders(self.root) if re.fullmatch(r"TRAIN_\d+", name)):
            self.need(chunk, "frames")
            for path in sorted(self.need(chunk, "anno").glob("[!.]*.txt")):
                # The size of the file stands for the number of lines.
                yield Video(f"{chunk}/{path.stem}", max(1, path.stat().st_size // 30))

    def targets(self, video: Video, skipped: Skipped) -> Targets:
        """The only track of a video; line i is frame i."""
        chunk, name = video.name.split("/", 1)
        folder = f"{chunk}/frames/{name}"
        boxes = read_numbers(self.root / chunk / "anno" / f"{name}.txt", 4)
        images = image_names(self.root / folder)
        files = {frame_number(file): file for file in images if Path(file).stem.isdigit()}
        skipped["missing annotation"] += sum(number >= len(boxes) for number in files)
        for i, (x, y, w, h) in enumerate(boxes):
            yield Target("0", i, (x, y, x + w, y + h), f"{folder}/{files.get(i, f'{i}.jpg')}")


if __name__ == "__main__":
    run(Trackingnet)
