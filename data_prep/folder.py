"""Your own videos: `python -m data_prep folder --source=mine --out=data/mine`.

The folder holds, for each video, either a video file or a folder of frames, and beside it one text
file of the same name with the boxes, in one of three forms, one box per line:

    mine/cat.mp4         mine/cat.csv    frame,track,left,top,width,height   (with this first line)
    mine/dog/0001.jpg .. mine/dog.txt    left,top,width,height               (line i: frame i)
    mine/run/0001.jpg .. mine/run.mot    frame,track,left,top,width,height,confidence,...

Frames count from 0 in .csv and .txt and from 1 in .mot (MOT Challenge; a confidence of 0 leaves a
box out); the frames of a folder are its images in the order of the numbers in their names. Boxes
are in pixels.
"""

import contextlib
import csv
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from data_prep.command import run
from data_prep.source import Skipped, Source, Target, Targets, Video, Videos, listing, read_numbers
from siamjax.errors import UserError
from siamjax.media.frames import image_names
from siamjax.media.video import read_video

VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg")
BOXES = (".csv", ".txt", ".mot")
HEADER = ["frame", "track", "left", "top", "width", "height"]


class Folder(Source):
    """Videos or folders of frames with boxes.

    expected is for each video <name>.mp4 (or .avi ...) or a folder <name>/ of frames, and its boxes
    in <name>.csv, <name>.txt or <name>.mot
    """

    name = "folder"

    def videos(self) -> Videos:
        """One per file of boxes."""
        for file in listing(self.root, BOXES):
            path = self.root / file
            name = path.stem
            header = _rows(path)[:1] if path.suffix.lower() == ".csv" else [HEADER]
            if [[field.strip() for field in row] for row in header] != [HEADER]:
                raise UserError(f"{path}: its first line must be {','.join(HEADER)}")
            media = [v for v in listing(self.root, VIDEOS) if Path(v).stem == name]
            media += [name] if (self.root / name).is_dir() else []
            if len(media) != 1:
                found = " and ".join(media) or "nothing"
                raise UserError(
                    f"{path}: boxes of a video {name}, but there is {found}; {self.layout()}"
                )
            lines = path.read_bytes().count(b"\n") + 1
            yield Video(name, lines, [file, media[0]])

    def targets(self, video: Video, skipped: Skipped) -> Targets:
        """All boxes in the order of frames."""
        file, media = video.payload
        images = image_names(self.root / media)
        boxes = sorted(_boxes(self.root / file, skipped), key=lambda box: box[:2])
        for number, track, (x, y, w, h) in boxes:
            image = media
            if (self.root / media).is_dir():
                if number >= len(images):
                    skipped["image is missing"] += 1
                    continue
                image = f"{media}/{images[number]}"
            yield Target(track, number, (x, y, x + w, y + h), image)

    def frames(self, video, targets):
        """Decodes images, and video files from their beginning on."""
        path = self.root / video.payload[1]
        if path.is_dir():
            yield from super().frames(video, targets)
            return
        decoded, position, image = _decode(path), -1, None
        for target in targets:
            while position < target.frame:
                position, image = position + 1, next(decoded)
            yield target, image

    def images(self) -> Iterator[str]:
        """All frames of folders that have boxes, and video files."""
        for video in self.videos():
            media = video.payload[1]
            folder = self.root / media
            yield from (
                (f"{media}/{name}" for name in image_names(folder)) if folder.is_dir() else [media]
            )


def _rows(path: Path) -> list[list[str]]:
    with open(path, newline="", errors="replace") as file:
        return list(csv.reader(file))


def _boxes(path: Path, skipped: Skipped) -> Iterator[tuple[int, str, tuple]]:
    """Frame, from 0, track, and left, top, width, height of each box of a file."""
    kind = path.suffix.lower()
    if kind == ".txt":
        for number, box in enumerate(read_numbers(path, 4)):
            yield number, "0", tuple(box)
        return
    first = 1 if kind == ".mot" else 0
    for row in filter(None, _rows(path)[1 - first :]):
        try:
            number, track = int(row[0]) - first, row[1].strip()
            x, y, w, h = (float(v) for v in row[2:6])
            confidence = float(row[6]) if first and len(row) > 6 else 1.0
        except (ValueError, IndexError):
            number, confidence = -1, 1.0
        if confidence == 0:
            skipped["confidence is 0"] += 1
        elif number < 0:
            skipped["line is not a box"] += 1
        else:
            yield number, track, (x, y, w, h)


def _decode(path: Path) -> Iterator[np.ndarray | None]:
    """The frames of a video file, and None for each one behind the last that can be decoded."""
    with contextlib.suppress(UserError):
        yield from read_video(path)
    yield from itertools.repeat(None)


if __name__ == "__main__":
    run(Folder)
