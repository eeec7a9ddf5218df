"""The VOT challenges 2016 to 2019 and VOT2018-LT (Kristan et al.; Lukežič et al. 2018).

Layout: `list.txt` and, per sequence, `groundtruth.txt` (four corners, or left, top, width, height,
per frame, 0-based; boxes among polygons become polygons), images `%08d.jpg` in `color/` (2018 on)
or beside the ground truth (2016, 2017), and `<tag>.tag` with 0 or 1 per frame; a tag file that is
too short is taken as 0 to the end. The official toolkit's `sequence` file (width, height) and
`anchor.value` are read where they are there. Instead, one JSON file with all annotations may
stand in the folder. In VOT2018-LT rows of NaN mean that the target is not there.
"""

import dataclasses
from pathlib import Path

import numpy as np

from siamjax.datasets.annotations import TAGS
from siamjax.datasets.dataset import Dataset, aligned_images
from siamjax.datasets.sequence import Sequence
from siamjax.errors import UserError
from siamjax.media.frames import image_names
from siamjax.media.lines import as_number, read_text
from siamjax.media.tables import read_table

_LARGEST = 1_000_000  # px, more than any image has
INTERVALS = {
    "VOT2016": (108, 371),
    "VOT2017": (100, 356),
    "VOT2018": (100, 356),
    "VOT2019": (46, 291),
}


class Vot(Dataset):
    """One folder per sequence."""

    def load(self, root: Path, name: str) -> Sequence:
        """As the base class; a size that the annotation file lacks is the toolkit's.

        Raises:
            UserError: as the base class.
        """
        sequence = super().load(root, name)
        if sequence.image_size is not None:
            return sequence
        return dataclasses.replace(sequence, image_size=_size(root / name / "sequence"))

    def open(self, path: Path, name: str) -> Sequence:
        """As the base class.

        Raises:
            UserError: as the base class.
        """
        folder = path.parent
        truth = read_table(path, (4, 8))
        beside = not (folder / "color").is_dir() and image_names(folder)
        frames = aligned_images(folder if beside else folder / "color", len(truth), path)
        tags = {tag: _values(folder / f"{tag}.tag", len(truth)) for tag in TAGS}
        anchors = _values(folder / "anchor.value", len(truth))
        unknown = np.isnan(truth).any(1)
        return Sequence(
            name=name,
            frames=frames,
            groundtruth=truth,
            absent=unknown if unknown.any() else None,
            tags={tag: flags > 0 for tag, flags in tags.items() if flags is not None},
            image_size=_size(folder / "sequence"),
            anchors=None if anchors is None else anchors.astype(int),
        )


def _size(path: Path) -> tuple[int, int] | None:
    """Width and height, px, from the toolkit's file of `name=value` lines.

    Raises:
        UserError: they are no such numbers.
    """
    lines = read_text(path).splitlines() if path.is_file() else []
    pairs = (line.split("=", 1) for line in lines if "=" in line)
    meta = {name.strip(): value.strip() for name, value in pairs}
    if not {"width", "height"} <= {*meta}:
        return None
    width, height = (as_number(meta[side]) or 0 for side in ("width", "height"))
    if not (1 <= width < _LARGEST and 1 <= height < _LARGEST):
        raise UserError(f"{path}: width and height are no numbers of px; restore the file")
    return int(width), int(height)


def _values(path: Path, count: int) -> np.ndarray | None:
    """One number per frame; missing rows are 0; None without the file.

    Raises:
        UserError: more rows than frames.
    """
    if not path.is_file():
        return None
    values = np.zeros(count)
    if read_text(path).strip():
        rows = read_table(path, (1,))[:, 0]
        if len(rows) > count:
            raise UserError(f"{path}: {len(rows)} rows for {count} frames; restore the file")
        values[: len(rows)] = rows
    return values


def _dataset(name: str, total: int, kind: str, **more) -> Vot:
    return Vot(
        name=name,
        total=total,
        source=f"https://www.votchallenge.net/{name.lower().removesuffix('-lt')}/dataset.html",
        layout=(
            f"{name}/list.txt\n"
            f"{name}/<sequence>/groundtruth.txt, camera_motion.tag ...\n"
            f"{name}/<sequence>/color/00000001.jpg ...\n"
            f"or one file {name}.json with all annotations beside the sequences' folders"
        ),
        folders=(name,),
        inner="sequences",
        list_file="list.txt",
        annotated=(name,),
        annotations_first=True,
        measures=kind,
        results=kind,
        **more,
    )


DATASETS = (
    *(
        _dataset(name, 60, "vot", protocol="supervised", interval=interval)
        for name, interval in INTERVALS.items()
    ),
    _dataset("VOT2018-LT", 35, "longterm", protocol="longterm"),
)
