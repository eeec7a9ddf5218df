"""What GOT-10k and LaSOT share: sequences of one target with a box for each frame."""

from pathlib import PurePosixPath

import numpy as np

from data_prep.source import Skipped, Source, Target, Targets, Video, read_numbers
from siamjax.media.frames import image_names


class Sequences(Source):
    """Folders of frames with groundtruth.txt: left, top, width, height.

    expected is a folder per sequence with groundtruth.txt and its frames

    Attributes:
        frame_folder: of the frames, in that of the sequence.
        first_pixel: number of the first pixel in the annotations, 0 or 1.
        hidden: reasons why the target is not to be seen, each with the file that has a number for
            each frame, and the number that stands for the reason.
    """

    frame_folder = ""
    first_pixel = 0
    hidden: tuple[tuple[str, str, int], ...]

    def sequence(self, name: str) -> Video:
        """The sequence in a folder, relative to the source's."""
        return Video(name, len(image_names(self.root / name / self.frame_folder)))

    def targets(self, video: Video, skipped: Skipped) -> Targets:
        """The only track of a sequence; box i belongs to frame i.

        Where the numbers of boxes and frames differ nobody knows which box belongs where: the
        sequence is left out, with both numbers as the reason.
        """
        folder = self.root / video.name
        names = image_names(folder / self.frame_folder)
        boxes = read_numbers(folder / "groundtruth.txt", 4)
        boxes[:, :2] -= self.first_pixel
        if not len(boxes) or not names:
            skipped["missing annotation"] += len(names)
            skipped["missing image"] += len(boxes)
            return
        rows = {"groundtruth.txt": len(boxes)}
        hidden: dict[int, str] = {}
        for reason, file, number in reversed(self.hidden):  # the first reason counts
            values = read_numbers(folder / file)
            rows[file] = len(values) or len(names)  # none without the file
            hidden |= dict.fromkeys(np.flatnonzero(values == number).tolist(), reason)
        for file, count in rows.items():
            if count != len(names):
                reason = f"{video.name}: {count} rows in {file} for {len(names)} images"
                skipped[reason] += len(boxes)
                return
        for i, (name, (x, y, w, h)) in enumerate(zip(names, boxes, strict=True)):
            if i in hidden:
                skipped[hidden[i]] += 1
                continue
            image = PurePosixPath(video.name, self.frame_folder, name).as_posix()
            yield Target("0", i, (x, y, x + w, y + h), image)
