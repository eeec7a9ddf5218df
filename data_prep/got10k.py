"""GOT-10k: `python -m data_prep got10k --source=got10k --out=data/got10k`.

Frames in which the target is absent (absence.label) or wholly covered (cover.label 0) are left out.
"""

from data_prep.command import run
from data_prep.sequences import Sequences
from data_prep.source import Videos, folders


class Got10k(Sequences):
    """GOT-10k.

    expected is train/GOT-10k_Train_*/ with groundtruth.txt, absence.label, cover.label and *.jpg
    """

    name = "got10k"
    official = (("videos", 9_335),)
    image_folder = "train"
    hidden = (("absent", "absence.label", 1), ("wholly occluded", "cover.label", 0))

    def videos(self) -> Videos:
        """One per sequence folder."""
        for name in folders(self.need("train")):
            yield self.sequence(f"train/{name}")


if __name__ == "__main__":
    run(Got10k)
