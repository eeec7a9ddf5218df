"""TrackingNet's test set: 511 videos whose boxes, but the first, only the server knows
(Müller et al. 2018).

Layout: `TEST/frames/<video>/0.jpg, 1.jpg, ...` and `TEST/anno/<video>.txt` with the first box,
left,top,width,height. Results are uploaded as an archive (`--submission`).
"""

from pathlib import Path

from siamjax.datasets.dataset import Absent, Dataset, images_of, subfolder
from siamjax.datasets.sequence import NoFrames, Sequence
from siamjax.errors import UserError
from siamjax.media.frames import ImageFiles
from siamjax.media.tables import read_table


def find(root: Path) -> Path | None:
    """The data set's own folder in `root` or `root` itself; None: not there."""
    for folder in (root, root / "TEST", subfolder(root, "TrackingNet") / "TEST"):
        if (folder / "anno").is_dir():
            return folder
    return None


def names(root: Path) -> list[str]:
    """Names of the benchmark's sequences, in order."""
    return sorted(path.stem for path in (root / "anno").glob("*.txt"))


def load(root: Path, name: str) -> Sequence:
    """Opens a sequence.

    Raises:
        Absent: a partial copy does not have it.
        UserError: its files do not fit together.
    """
    truth_path = root / "anno" / f"{name}.txt"
    if not truth_path.is_file():
        raise Absent(f"{truth_path}: no such file")
    boxes = read_table(truth_path)
    folder = root / "frames" / name
    if not folder.is_dir():
        return Sequence(name=name, frames=NoFrames(len(boxes), folder), groundtruth=boxes)
    frames = ImageFiles(images_of(folder))
    expected = [f"{i}" for i in range(len(frames))]
    if [path.stem for path in frames.paths] != expected:
        raise UserError(f"{folder}: images 0..{len(frames) - 1} have a gap; restore the video")
    if len(boxes) not in (1, len(frames)):
        raise UserError(f"{truth_path}: {len(boxes)} rows for {len(frames)} images in {folder}")
    return Sequence(name=name, frames=frames, groundtruth=boxes)


DATASETS = (
    Dataset(
        name="TrackingNet",
        total=511,
        protocol="ope",
        measures="ope",
        results="flat",
        source="https://tracking-net.org (script of the development kit, folder TEST)",
        layout="TrackingNet/TEST/frames/<video>/0.jpg ...\nTrackingNet/TEST/anno/<video>.txt",
        find=find,
        names=names,
        load=load,
    ),
)
