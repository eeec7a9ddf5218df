"""The embedded data set: clips of the synthetic test world, made on the fly, the same on every
machine.

No texture of it occurs in the training world. Nothing is downloaded and nothing is written.
"""

from pathlib import Path

from siamjax.datasets.dataset import Dataset
from siamjax.datasets.sequence import Sequence

CLIPS = 16
LENGTH = 120  # frames per clip
_PREFIX = "clip"


def names(root: Path | None = None) -> list[str]:
    """Names of the clips; `root` is not looked at."""
    return [f"{_PREFIX}{number:03d}" for number in range(CLIPS)]


def load(root: Path | None, name: str) -> Sequence:
    """Clip `clipNNN` is the video of the test world with seed NNN; its target is the video's first
    object."""
    from siamjax.synthetic.world import SyntheticVideo

    video = SyntheticVideo(int(name.removeprefix(_PREFIX)), length=LENGTH, split="test")
    return Sequence(name=name, frames=video.frames, groundtruth=video.boxes[0])


DATASETS = (
    Dataset(
        name="synthetic",
        total=CLIPS,
        protocol="ope",
        measures="ope",
        results="flat",
        source="embedded",
        layout="nothing on disk",
        find=lambda root: root,
        names=names,
        load=load,
        test=False,
    ),
)
