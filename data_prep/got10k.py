"""GOT-10k: `python -m data_prep.got10k --source=got10k --out=data/got10k`.

Frames in which the target is absent (absence.label) or wholly covered (cover.label 0) are left out.
"""

from collections import Counter
from collections.abc import Iterator
from typing import ClassVar

from data_prep.command import main
from data_prep.source import IMAGES, Source, Target, Video, folders, listing, read_numbers
from siamjax.errors import UserError, run_main


class Got10k(Source):
    """GOT-10k.

    expected is train/GOT-10k_Train_*/ with groundtruth.txt, absence.label, cover.label and *.jpg
    """

    name = "got10k"
    official: ClassVar = {"videos": 9_335}

    def videos(self) -> Iterator[Video]:
        """One per sequence folder."""
        names = folders(self.need("train"))
        if not names:
            raise UserError(f"{self.root / 'train'}: no sequence in it; {self.layout()}")
        for name in names:
            frames = listing(self.root / "train" / name, IMAGES)
            yield Video(f"train/{name}", len(frames), None)

    def targets(self, video: Video, skipped: Counter) -> Iterator[Target]:
        """The only track of a sequence."""
        folder = self.root / video.name
        files = listing(folder, IMAGES)
        boxes = read_numbers(folder / "groundtruth.txt", 4)
        absent = read_numbers(folder / "absence.label")
        cover = read_numbers(folder / "cover.label")
        yield from sequence_targets(
            video.name,
            files,
            boxes,
            skipped,
            absent=lambda i: i < len(absent) and absent[i] == 1,
            covered=lambda i: i < len(cover) and cover[i] == 0,
        )

    def images(self) -> Iterator[str]:
        """All frames."""
        for name in folders(self.root / "train"):
            for file in listing(self.root / "train" / name, IMAGES):
                yield f"train/{name}/{file}"


def sequence_targets(
    folder, files, boxes, skipped, absent=lambda i: False, covered=lambda i: False, origin=0
) -> Iterator[Target]:
    """The track of a sequence with one box per frame.

    Args:
        folder: of the frames, relative to the source's.
        files: names of the frames in order; box i belongs to file i.
        boxes: (frames, 4) left, top, width, height.
        skipped: counts by reason.
        absent, covered: whether the target is not to be seen in frame i.
        origin: number of the first pixel in the annotations, 0 or 1.
    """
    skipped["missing annotation"] += max(0, len(files) - len(boxes))
    skipped["missing image"] += max(0, len(boxes) - len(files))
    for i, (file, (x, y, w, h)) in enumerate(zip(files, boxes)):
        if absent(i):
            skipped["absent"] += 1
        elif covered(i):
            skipped["wholly occluded"] += 1
        else:
            x, y = x - origin, y - origin
            yield Target("0", i, (x, y, x + w, y + h), f"{folder}/{file}")


if __name__ == "__main__":
    run_main(lambda: main(Got10k))
