"""The VOT challenges 2016 to 2019 and VOT2018-LT (Kristan et al.; Lukežič et al. 2018).

Layout: `list.txt` and, per sequence, `groundtruth.txt` (four corners, or left, top, width, height,
per frame, 0-based; boxes among polygons become polygons), images `%08d.jpg` in `color/` (2018 on)
or beside the ground truth (2016, 2017), and `<tag>.tag` with 0 or 1 per frame; a tag file that is
too short is taken as 0 to the end. The official toolkit's `sequence` file (width, height) and
`anchor.value` are read where they are there. Instead, one JSON file with all annotations may
stand in the folder. In VOT2018-LT rows of NaN mean that the target is not there.
"""

from pathlib import Path

import numpy as np

from siamjax.datasets import annotations
from siamjax.datasets.dataset import (
    Absent,
    Dataset,
    aligned_images,
    subfolder,
)
from siamjax.datasets.sequence import Sequence
from siamjax.errors import UserError
from siamjax.media.frames import image_names
from siamjax.media.tables import read_table

TAGS = annotations.TAGS
INTERVALS = {
    "VOT2016": (108, 371),
    "VOT2017": (100, 356),
    "VOT2018": (100, 356),
    "VOT2019": (46, 291),
}
LONGTERM = "VOT2018-LT"
_TOTALS = {**dict.fromkeys(INTERVALS, 60), LONGTERM: 35}


def _named(name: str):
    """The three functions of a `Dataset` for one edition."""

    def find(root: Path) -> Path | None:
        for folder in (root, subfolder(root, name, name.lower()), root / "sequences"):
            if folder.is_dir() and (
                annotations.find(folder, (name,))
                or (folder / "list.txt").is_file()
                or any(folder.glob("*/groundtruth.txt"))
            ):
                return folder
        return None

    def names(root: Path) -> list[str]:
        path = annotations.find(root, (name,))
        if path is not None:
            return list(annotations.read(path))
        if (root / "list.txt").is_file():
            return (root / "list.txt").read_text().split()
        return sorted(path.parent.name for path in root.glob("*/groundtruth.txt"))

    def load(root: Path, sequence: str) -> Sequence:
        path = annotations.find(root, (name,))
        if path is not None:
            return annotations.load(path, sequence)
        return load_folder(root / sequence)

    return find, names, load


def load_folder(folder: Path) -> Sequence:
    """One sequence in the plain layout.

    Raises:
        Absent: no such folder.
        UserError: unreadable ground truth, another number of images than of rows.
    """
    if not folder.is_dir():
        raise Absent(f"{folder}: no such folder")
    truth_path = folder / "groundtruth.txt"
    truth = read_table(truth_path, (4, 8))
    meta = _metadata(folder / "sequence")
    frames = aligned_images(_image_folder(folder), len(truth), truth_path)
    count = len(truth)
    tags = {}
    for tag in TAGS:
        if (folder / f"{tag}.tag").is_file():
            tags[tag] = _flags(folder / f"{tag}.tag", count) > 0
    anchors = None
    if (folder / "anchor.value").is_file():
        anchors = _flags(folder / "anchor.value", count).astype(int)
    unknown = np.isnan(truth).any(1)
    size = None
    if "width" in meta and "height" in meta:
        size = int(meta["width"]), int(meta["height"])
    return Sequence(
        name=folder.name,
        frames=frames,
        groundtruth=truth,
        absent=unknown if unknown.any() else None,
        tags=tags,
        image_size=size,
        anchors=anchors,
    )


def _image_folder(folder: Path) -> Path:
    """`color/` or the folder itself; `color/` where there are no images at all."""
    if (folder / "color").is_dir():
        return folder / "color"
    if image_names(folder):
        return folder
    return folder / "color"


def _metadata(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    pairs = (line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def _flags(path: Path, count: int) -> np.ndarray:
    """One number per frame; missing rows are 0.

    Raises:
        UserError: more rows than frames.
    """
    values = np.zeros(count)
    if path.read_text().strip():
        rows = read_table(path, (1,))[:, 0]
        if len(rows) > count:
            raise UserError(f"{path}: {len(rows)} rows for {count} frames; restore the file")
        values[: len(rows)] = rows
    return values


def _layout(name: str) -> str:
    return (
        f"{name}/list.txt\n"
        f"{name}/<sequence>/groundtruth.txt, camera_motion.tag ...\n"
        f"{name}/<sequence>/color/00000001.jpg ...\n"
        f"or one file {name}.json with all annotations beside the sequences' folders"
    )


def _dataset(name: str) -> Dataset:
    find, names, load = _named(name)
    long_term = name == LONGTERM
    return Dataset(
        name=name,
        total=_TOTALS[name],
        protocol="longterm" if long_term else "supervised",
        measures="longterm" if long_term else "vot",
        results="longterm" if long_term else "vot",
        source=f"https://www.votchallenge.net/{name.lower().removesuffix('-lt')}/dataset.html",
        layout=_layout(name),
        find=find,
        names=names,
        load=load,
        interval=INTERVALS.get(name),
    )


DATASETS = tuple(_dataset(name) for name in _TOTALS)
