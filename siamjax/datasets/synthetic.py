"""The embedded data set: clips of the synthetic test world, made on the fly, the same on every
machine.

No texture of it occurs in the training world. Nothing is downloaded and nothing is written.
"""

from pathlib import Path

from siamjax.datasets.dataset import Dataset
from siamjax.datasets.sequence import Sequence
from siamjax.synthetic import SyntheticVideo

CLIPS = 16
LENGTH = 120  # frames per clip
_PREFIX = "clip"


class Synthetic(Dataset):
    """Clips without files."""

    def on_disk(self, root: Path) -> list[str]:
        """Names of the clips, whatever the folder."""
        return [f"{_PREFIX}{number:03d}" for number in range(CLIPS)]

    def load(self, root: Path, name: str) -> Sequence:
        """Clip `clipNNN` is the video of the test world with seed NNN; its target is the video's
        first object."""
        video = SyntheticVideo(int(name.removeprefix(_PREFIX)), length=LENGTH, split="test")
        return Sequence(name=name, frames=video.frames, groundtruth=video.boxes[0])


DATASETS = (
    Synthetic(
        name="synthetic", total=CLIPS, source="embedded", layout="nothing on disk", test=False
    ),
)
