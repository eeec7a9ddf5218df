"""What GOT-10k and LaSOT share: sequences of one target with a box for each frame."""

from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import ClassVar

from data_prep.source import Source, Target, Video, read_numbers
from siamjax.media.frames import image_names


class Sequences(Source):
    """Folders of frames with groundtruth.txt: left, top, width, height.

    expected is a folder per sequence with groundtruth.txt and its frames

    Attributes:
        frame_folder: of the frames, in that of the sequence.
        first_pixel: number of the first pixel in the annotations, 0 or 1.
        hidden: reasons why the target is not to be seen, each with the file that has a number for
            each frame, and the number that stands for it.
    """

    frame_folder: ClassVar[str] = ""
    first_pixel: ClassVar[int] = 0
    hidden: ClassVar[dict[str, tuple[str, int]]]

    def sequence(self, name: str) -> Video:
        """The sequence in a folder, relative to the source's."""
        return Video(name, len(image_names(self.root / name / self.frame_folder)))

    def targets(self, video: Video, skipped: Counter) -> Iterator[Target]:
        """The only track of a sequence; box i belongs to frame i."""
        folder = self.root / video.name
        names = image_names(folder / self.frame_folder)
        boxes = read_numbers(folder / "groundtruth.txt", 4)
        boxes[:, :2] -= self.first_pixel
        skipped["missing annotation"] += max(0, len(names) - len(boxes))
        skipped["missing image"] += max(0, len(boxes) - len(names))
        hidden = {
            reason: set((read_numbers(folder / file) == number).nonzero()[0].tolist())
            for reason, (file, number) in self.hidden.items()
        }
        for i, (name, (x, y, w, h)) in enumerate(zip(names, boxes)):
            reason = next((reason for reason, frames in hidden.items() if i in frames), None)
            if reason:
                skipped[reason] += 1
                continue
            image = PurePosixPath(video.name, self.frame_folder, name).as_posix()
            yield Target("0", i, (x, y, x + w, y + h), image)
