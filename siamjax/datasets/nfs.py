"""Need for Speed: 100 videos at 240 frames/s, and every eighth frame of them at 30
(Kiani Galoogahi et al. 2017).

Layout: `<video>/240/<video>/%05d.jpg` and `<video>/240/<video>.txt`, the same under `30`. A row is
"id left top right bottom frame lost occluded generated name"; boxes are taken as they stand. The
files at 30 frames/s hold the rows of all 240: every eighth is taken, from the first on. Frames
marked as lost carry the tag "lost"; they are scored like all others. The names of a video's
attributes may stand in `attributes.txt` beside its boxes, or with all boxes in `NFS30.json`,
`NFS240.json` as PySOT's toolkit has them.
"""

from pathlib import Path

import numpy as np

from siamjax.datasets.dataset import Dataset
from siamjax.datasets.sequence import NoFrames, Sequence
from siamjax.errors import UserError
from siamjax.media.frames import ImageFiles, list_images
from siamjax.media.lines import read_lines

STEP = 8  # frames at 240 per frame at 30


class Nfs(Dataset):
    """The videos at one of the two rates, 30 or 240 frames/s."""

    def open(self, path: Path, name: str) -> Sequence:
        """As the base class.

        Raises:
            UserError: as the base class.
        """
        boxes, lost = _read(path)
        folder = path.with_suffix("")
        images = list_images(folder)
        if self.name == "NFS30" and len(boxes) != len(images):
            boxes, lost = boxes[::STEP], lost[::STEP]
        # the ends of the two rates differ by up to one frame
        if images and abs(len(images) - len(boxes)) > 1:
            raise UserError(
                f"{path}: boxes for {len(boxes)} frames, {len(images)} images in {folder}"
            )
        frames = ImageFiles(images[: len(boxes)]) if images else NoFrames(len(boxes), folder)
        count = len(frames)
        return Sequence(name, frames, boxes[:count], tags={"lost": lost[:count]})


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Boxes left, top, width, height (N, 4), and where the target is lost (N,)."""
    lines = read_lines(path)
    rows: list[tuple[float, ...]] = []
    for number, words in enumerate(lines.rows, lines.first):
        if not words:
            rows.append((np.nan, np.nan, np.nan, np.nan, 1))
            continue
        try:
            left, top, right, bottom, _, lost = map(float, words[1:7])
        except ValueError:
            raise UserError(
                f"{path}:{number}: expected 'id left top right bottom frame lost occluded ...'"
            ) from None
        rows.append((left, top, right - left, bottom - top, lost))
    if not rows:
        raise UserError(f"{path}: the file is empty; one row per frame is expected")
    table = np.array(rows)
    return table[:, :4], table[:, 4] > 0


DATASETS = tuple(
    Nfs(
        name=f"NFS{rate}",
        total=100,
        source="http://ci2cv.net/nfs/index.html",
        layout=f"NFS/<video>/{rate}/<video>/00001.jpg ...\nNFS/<video>/{rate}/<video>.txt",
        truth=f"{{name}}/{rate}/{{name}}.txt",
        folders=("NFS", f"NFS{rate}"),
        annotated=(f"NFS{rate}",),
    )
    for rate in (30, 240)
)
