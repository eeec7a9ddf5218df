"""TrackingNet's test set: 511 videos whose boxes, but the first, are kept by the server
(Müller et al. 2018).

Layout: `TEST/frames/<video>/0.jpg, 1.jpg, ...` and `TEST/anno/<video>.txt` with the first box,
left,top,width,height. Results are uploaded as an archive (`--submission`).
"""

from pathlib import Path

from siamjax.datasets.dataset import Dataset, aligned_images
from siamjax.datasets.sequence import NoFrames
from siamjax.media.frames import ImageFiles


class TrackingNet(Dataset):
    """The test set."""

    def frames(self, path: Path, name: str, count: int) -> ImageFiles | NoFrames:
        """As the base class; a single row is the first box."""
        folder = path.parents[1] / "frames" / name
        return aligned_images(folder, count, path, first=0, secret=True)


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
