"""The embedded data set: clips of the synthetic test world, made on the fly, the same on every
machine.

No texture of it occurs in the training world. Nothing is downloaded and nothing is written.
"""

import dataclasses
from pathlib import Path

from siamjax.datasets.dataset import EMBEDDED, Dataset
from siamjax.datasets.sequence import Sequence
from siamjax.synthetic import SyntheticVideo

CLIPS = 16
LENGTH = 120  # frames per clip
_PREFIX = "clip"


@dataclasses.dataclass(frozen=True)
class Synthetic(Dataset):
    """Clips without files.

    Attributes:
        zoom: of the videos, see `siamjax.synthetic.SyntheticVideo`.
    """

    zoom: float = 1.0

    def on_disk(self, root: Path) -> list[str]:
        """Names of the clips, whatever the folder."""
        return [f"{_PREFIX}{number:03d}" for number in range(CLIPS)]

    def load(self, root: Path, name: str) -> Sequence:
        """Clip `clipNNN` is the video of the test world with seed NNN; its target is the video's
        first object."""
        seed = int(name.removeprefix(_PREFIX))
        video = SyntheticVideo(seed, length=LENGTH, split="test", zoom=self.zoom)
        return Sequence(name=name, frames=video.frames, groundtruth=video.boxes[0])


DATASETS = (
    Synthetic(name="synthetic", total=CLIPS, source=EMBEDDED, layout="nothing on disk", test=False),
)
