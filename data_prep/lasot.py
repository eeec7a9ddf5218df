"""LaSOT: `python -m data_prep.lasot --source=LaSOTBenchmark --out=data/lasot`.

With the official training_set.txt in the folder only its sequences are taken, otherwise all. Frames
with full occlusion or out of view are left out.
"""

from collections import Counter
from collections.abc import Iterator
from typing import ClassVar

from data_prep.command import main
from data_prep.got10k import sequence_targets
from data_prep.source import IMAGES, Source, Target, Video, folders, listing, read_numbers
from siamjax.errors import UserError, run_main


class Lasot(Source):
    """LaSOT.

    expected is <class>/<class>-<number>/ with img/*.jpg, groundtruth.txt, full_occlusion.txt and
    out_of_view.txt
    """

    name = "lasot"
    official: ClassVar = {"videos": 1_120}
    code: ClassVar = ("data_prep.got10k",)

    def videos(self) -> Iterator[Video]:
        """One per sequence of the training set."""
        wanted = None
        if (self.root / "training_set.txt").is_file():
            wanted = set((self.root / "training_set.txt").read_text().split())
        found = set()
        for class_ in folders(self.root):
            for name in folders(self.root / class_):
                if wanted is not None and name not in wanted:
                    continue
                found.add(name)
                files = listing(self.root / class_ / name / "img", IMAGES)
                yield Video(f"{class_}/{name}", len(files))
        if not found:
            raise UserError(f"{self.root}: no sequence in it; {self.layout()}")

    def targets(self, video: Video, skipped: Counter) -> Iterator[Target]:
        """The only track of a sequence; its annotation counts pixels from 1."""
        folder = self.root / video.name
        occluded = read_numbers(folder / "full_occlusion.txt")
        out = read_numbers(folder / "out_of_view.txt")
        yield from sequence_targets(
            f"{video.name}/img",
            listing(folder / "img", IMAGES),
            read_numbers(folder / "groundtruth.txt", 4),
            skipped,
            absent=lambda i: i < len(out) and out[i] == 1,
            covered=lambda i: i < len(occluded) and occluded[i] == 1,
            origin=1,
        )

    def images(self) -> Iterator[str]:
        """All frames of the sequences taken."""
        for video in self.videos():
            for file in listing(self.root / video.name / "img", IMAGES):
                yield f"{video.name}/img/{file}"


if __name__ == "__main__":
    run_main(lambda: main(Lasot))
