"""TrackingNet's test set: 511 videos whose boxes, but the first, are kept by the server
(Müller et al. 2018).

Layout: `TEST/frames/<video>/0.jpg, 1.jpg, ...` and `TEST/anno/<video>.txt` with the first box,
left,top,width,height. Results are uploaded as an archive (`--submission`).
"""

from pathlib import Path

from siamjax.datasets.dataset import Dataset, aligned_images
from siamjax.datasets.sequence import Sequence
from siamjax.media.tables import read_table


class TrackingNet(Dataset):
    """The test set."""

    def open(self, path: Path, name: str) -> Sequence:
        """As the base class."""
        boxes = read_table(path)
        folder = path.parents[1] / "frames" / name
        frames = aligned_images(folder, len(boxes), path, first=0, secret=True)
        return Sequence(name, frames, boxes)


DATASETS = (
    TrackingNet(
        name="TrackingNet",
        total=511,
        source="https://tracking-net.org (script of the development kit, folder TEST)",
        layout="TrackingNet/TEST/frames/<video>/0.jpg ...\nTrackingNet/TEST/anno/<video>.txt",
        truth="anno/{name}.txt",
        folders=("TrackingNet",),
        inner="TEST",
        server=True,
    ),
)
