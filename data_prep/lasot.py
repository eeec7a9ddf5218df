"""LaSOT: `python -m data_prep lasot --source=LaSOTBenchmark --out=data/lasot`.

With the official training_set.txt in the folder only its sequences are taken, otherwise all. Frames
with full occlusion or out of view are left out.
"""

from collections.abc import Iterator

from data_prep.command import run
from data_prep.sequences import Sequences
from data_prep.source import Videos, folders
from siamjax.media.frames import IMAGE_SUFFIXES
from siamjax.media.lines import read_text


class Lasot(Sequences):
    """LaSOT.

    expected is <class>/<class>-<number>/ with img/*.jpg, groundtruth.txt, full_occlusion.txt and
    out_of_view.txt
    """

    name = "lasot"
    official = (("videos", 1_120),)
    frame_folder = "img"
    first_pixel = 1
    hidden = (("absent", "out_of_view.txt", 1), ("wholly occluded", "full_occlusion.txt", 1))

    def videos(self) -> Videos:
        """One per sequence of the training set."""
        listed = self.root / "training_set.txt"
        wanted = set(read_text(listed).split()) if listed.is_file() else None
        for class_ in folders(self.root):
            for name in folders(self.root / class_):
                if wanted is None or name in wanted:
                    yield self.sequence(f"{class_}/{name}")

    def images(self) -> Iterator[str]:
        """All frames of the sequences taken."""
        for video in self.videos():
            yield from self.files_below(f"{video.name}/img", IMAGE_SUFFIXES)


if __name__ == "__main__":
    run(Lasot)
