"""UAV123 and UAV20L: videos from a low-flying aircraft (Mueller et al. 2016).

Layout: `data_seq/UAV123/<video>/%06d.jpg` and `anno/UAV123/<sequence>.txt` or
`anno/UAV20L/<sequence>.txt` with left,top,width,height per frame, the first pixel counted as 1, and
NaN where the target is not visible. Some sequences of UAV123 are parts of a video: car6_2 starts
at image 487 of car6. `anno/.../att/<sequence>.txt` holds twelve attributes as 0 or 1.
"""

import re
from pathlib import Path

from siamjax.datasets.dataset import Dataset, aligned_images
from siamjax.datasets.sequence import NoFrames
from siamjax.media.frames import ImageFiles

# first images of the parts _2, _3, ... of a video
_PARTS = """
bird1 775 1573; car1 751 1627; car16 415; car6 487 1807 2953 3925; car8 1357;
group1 1333 2515 3925; group2 907 1771; group3 1567 2827 4369; person12 601; person14 847 1813;
person17 1501; person19 1243 2791; person2 1189; person4 1501; person5 877; person7 1249;
person8 1075; truck4 577; uav1 1555 2473
"""
_FIRST_IMAGE = {
    f"{words[0]}_{part}": int(first)
    for words in (entry.split() for entry in _PARTS.split(";"))
    for part, first in enumerate(words[1:], 2)
}
ATTRIBUTES = ("SV", "ARC", "LR", "FM", "FOC", "POC", "OV", "BC", "IV", "VC", "CM", "SOB")


class Uav(Dataset):
    """One of the two editions, which share the images."""

    def frames(self, path: Path, name: str, count: int) -> ImageFiles | NoFrames:
        """As the base class; of a part of a video those from its first image on."""
        video, first = name, 1
        if self.name == "UAV123":
            video, first = re.sub(r"_\d+$", "", name), _FIRST_IMAGE.get(name, 1)
        return aligned_images(path.parents[2] / "data_seq" / "UAV123" / video, count, path, first)


DATASETS = tuple(
    Uav(
        name=edition,
        total=total,
        source="https://cemse.kaust.edu.sa/ivul/uav123",
        layout=(
            f"UAV123/data_seq/UAV123/bike1/000001.jpg ...\nUAV123/anno/{edition}/bike1.txt ...\n"
            f"or one file {edition}.json with all boxes"
        ),
        truth=f"anno/{edition}/{{name}}.txt",
        folders=("UAV123", "Dataset_UAV123"),
        annotated=(edition,),
        attributes=ATTRIBUTES,
        base=1,
    )
    for edition, total in (("UAV123", 123), ("UAV20L", 20))
)
