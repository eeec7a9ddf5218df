"""Your own videos: `python -m data_prep.folder --source=mine --out=data/mine`.

The folder holds, for each video, either a video file or a folder of frames, and beside it one text
file of the same name with the boxes, in one of three forms, one box per line:

    mine/cat.mp4         mine/cat.csv    frame,track,left,top,width,height   (with this first line)
    mine/dog/0001.jpg .. mine/dog.txt    left,top,width,height               (line i: frame i)
    mine/run/0001.jpg .. mine/run.mot    frame,track,left,top,width,height,confidence,...

Frames count from 0 in .csv and .txt and from 1 in .mot (MOT Challenge; a confidence of 0 leaves a
box out); the frames of a folder are its images in the order of their names. Boxes are in pixels.
"""

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import cv2

from data_prep.command import main
from data_prep.source import IMAGES, Source, Target, Video, listing, read_csv, read_numbers
from siamjax.errors import UserError, run_main

VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg")
BOXES = (".csv", ".txt", ".mot")
HEADER = ["frame", "track", "left", "top", "width", "height"]


class Folder(Source):
    """Videos or folders of frames with boxes.

    expected is for each video <name>.mp4 (or .avi ...) or a folder <name>/ of frames, and its boxes
    in <name>.csv, <name>.txt or <name>.mot
    """

    name = "folder"
    official: ClassVar = {}

    def videos(self) -> Iterator[Video]:
        """One per file of boxes."""
        files = listing(self.root, BOXES)
        if not files:
            raise UserError(f"{self.root}: no {', '.join(BOXES)} in it; {self.layout()}")
        for file in files:
            path = self.root / file
            name = Path(file).stem
            if path.suffix.lower() == ".csv":
                header = next(read_csv(path), [])
                if [field.strip() for field in header] != HEADER:
                    raise UserError(f"{path}: its first line must be {','.join(HEADER)}")
            media = [v for v in listing(self.root, VIDEOS) if Path(v).stem == name]
            if (self.root / name).is_dir():
                media.append(name)
            if len(media) != 1:
                found = " and ".join(media) or "nothing"
                raise UserError(
                    f"{path}: boxes of a video {name}, but there is {found}; {self.layout()}"
                )
            lines = path.read_bytes().count(b"\n") + 1
            yield Video(name, lines, [file, media[0]])

    def targets(self, video: Video, skipped: Counter) -> Iterator[Target]:
        """All boxes in the order of frames."""
        file, media = video.payload
        path, folder = self.root / file, self.root / media
        frames = listing(folder, IMAGES) if folder.is_dir() else None
        boxes = sorted(self._boxes(path, skipped), key=lambda box: box[:2])
        for number, track, (x, y, w, h) in boxes:
            if frames is None:
                image = media
            elif 0 <= number < len(frames):
                image = f"{media}/{frames[number]}"
            else:
                skipped["image is missing"] += 1
                continue
            yield Target(track, number, (x, y, x + w, y + h), image)

    @staticmethod
    def _boxes(path, skipped):
        if path.suffix.lower() == ".txt":
            for number, box in enumerate(read_numbers(path, 4)):
                yield number, "0", tuple(box)
            return
        first = 1 if path.suffix.lower() == ".mot" else 0
        for line, row in enumerate(read_csv(path)):
            if not row or (line == 0 and first == 0):
                continue
            try:
                number, track = int(row[0]) - first, row[1].strip()
                x, y, w, h = (float(v) for v in row[2:6])
                confidence = float(row[6]) if first and len(row) > 6 else 1.0
            except (ValueError, IndexError):
                skipped["line is not a box"] += 1
                continue
            if confidence == 0:
                skipped["confidence is 0"] += 1
            elif number < 0:
                skipped["line is not a box"] += 1
            else:
                yield number, track, (x, y, w, h)

    def frames(self, video, targets):
        """Decodes images, and video files from their beginning on."""
        targets = iter(targets)
        first = next(targets, None)
        if first is None:
            return
        every = itertools.chain([first], targets)
        if not first.image.lower().endswith(VIDEOS):
            yield from super().frames(video, every)
            return
        capture = cv2.VideoCapture(str(self.root / first.image))
        position, image = -1, None
        for target in every:
            while position < target.frame:
                position += 1
                image = capture.read()[1]
            yield target, image
        capture.release()

    def images(self) -> Iterator[str]:
        """All frames of folders that have boxes, and video files."""
        for video in self.videos():
            media = video.payload[1]
            if (self.root / media).is_dir():
                for file in listing(self.root / media, IMAGES):
                    yield f"{media}/{file}"
            else:
                yield media


if __name__ == "__main__":
    run_main(lambda: main(Folder))
