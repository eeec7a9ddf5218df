"""DTB70: 70 videos from drones (Li and Yeung 2017).

Layout: `<video>/img/%05d.jpg` and `<video>/groundtruth_rect.txt` with left,top,width,height per
frame, the first pixel counted as 1 as in OTB, whose form the data set takes over.
"""

from pathlib import Path

from siamjax.datasets.dataset import Dataset, aligned_images
from siamjax.datasets.sequence import Sequence, shifted
from siamjax.media.tables import read_table


class Dtb70(Dataset):
    """One folder per video."""

    def open(self, path: Path, name: str) -> Sequence:
        """As the base class; boxes counted from 0."""
        boxes = read_table(path)
        frames = aligned_images(path.parent / "img", len(boxes), path)
        return Sequence(name, frames, shifted(boxes, -1), base=1)


DATASETS = (
    Dtb70(
        name="DTB70",
        total=70,
        source="https://github.com/flyers/drone-tracking",
        layout="DTB70/<video>/img/00001.jpg ...\nDTB70/<video>/groundtruth_rect.txt",
        truth="{name}/groundtruth_rect.txt",
        folders=("DTB70",),
        annotated=("DTB70",),
        base=1,
    ),
)
