"""Ground truth of a whole benchmark in one JSON file, as the testing folders of PySOT and its
relatives have it.

Two forms are read: `{video: {"video_dir", "init_rect", "img_names", "gt_rect", ...}}` and `{video:
{"name", "init_rect", "image_files", "gt_rect"}}`. Image names are resolved against the file's
folder.
"""

import json
from collections import Counter
from functools import lru_cache
from pathlib import Path

import numpy as np

from siamjax.datasets.sequence import Absent, NoFrames, Sequence, alike, composed, shifted
from siamjax.errors import UserError
from siamjax.geometry.polygons import pixel_corners
from siamjax.media.frames import ImageFiles
from siamjax.media.labels.jsons import built_as

TAGS = ("camera_motion", "illum_change", "motion_change", "size_change", "occlusion")


def find(root: Path, names: tuple[str, ...]) -> Path | None:
    """The first annotation file of these names, without ".json", in a folder."""
    paths = (root / f"{name}.json" for name in names)
    return next((path for path in paths if path.is_file()), None)


@lru_cache(maxsize=2)
def _parse(path: Path, modified: int) -> dict:
    def unique(pairs):
        names = Counter(composed(name) for name, _ in pairs)
        if twice := [name for name, times in names.items() if times > 1]:
            raise UserError(f"{path}: '{twice[0]}' stands twice in it; leave one")
        return dict(pairs)

    try:
        videos = json.loads(path.read_bytes(), object_pairs_hook=unique)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not a readable JSON file ({error}); restore it") from None
    if not isinstance(videos, dict) or not all(
        isinstance(video, dict) and "gt_rect" in video for video in videos.values()
    ):
        raise UserError(
            f"{path}: not an annotation file: videos with a 'gt_rect' each are expected"
        )
    return videos


def read(path: Path) -> dict:
    """The parsed file, kept in memory while it does not change.

    Raises:
        UserError: not a file of annotations.
    """
    return _parse(path, path.stat().st_mtime_ns)


def load(path: Path, name: str, base: int = 0) -> Sequence:
    """One sequence of an annotation file, whatever case and punctuation its name has there if no
    other is alike.

    Args:
        base: what the file counts the first pixel as, 0 or 1.

    Raises:
        Absent: it is not in the file.
        UserError: rows of other lengths than 4 or 8, or another number of images than of boxes.
    """
    videos = read(path)
    known = alike(name, videos)
    if len(known) != 1:
        raise Absent(f"{path}: no sequence '{name}'" + (f", but {known}" if known else ""))
    with built_as(path, f"an annotation of '{name}'", "restore it"):
        return _sequence(path, name, known[0], videos[known[0]], base)


def _sequence(path: Path, name: str, known: str, video: dict, base: int) -> Sequence:
    truth = _truth(path, name, video["gt_rect"])
    files = video.get("img_names") or video.get("image_files") or []
    if files and len(files) != len(truth):
        raise UserError(f"{path}: '{name}' has {len(truth)} boxes for {len(files)} images")
    absent = video.get("absent")
    return Sequence(
        name=name,
        frames=_frames(path, known, video, files, len(truth)),
        groundtruth=shifted(truth, -base),
        absent=None if absent is None else np.asarray(absent) != 1,
        tags={tag: _flags(video[tag], len(truth)) for tag in TAGS if tag in video},
        attributes=tuple(video.get("attr") or ()),
        base=base,
        image_size=(int(video["width"]), int(video["height"])) if "width" in video else None,
    )


def _flags(values: list, count: int) -> np.ndarray:
    """(count,) bool; what a list is too short for is False (some tags of VOT are empty)."""
    flags = np.zeros(count, bool)
    flags[: len(values)] = np.asarray(values[:count]) > 0
    return flags


def _truth(path, name, rows):
    try:
        table = np.array(rows, np.float64)
    except (TypeError, ValueError):  # rows without a box, or of several lengths
        table = np.empty(0)
    if table.ndim == 2 and table.shape[1] in (4, 8):
        return table
    arrays = [np.array(row or [np.nan] * 4, np.float64) for row in rows]
    widths = {array.size for array in arrays}
    if not widths <= {4, 8}:
        raise UserError(f"{path}: '{name}' has rows of {sorted(widths)} numbers")
    return np.stack(arrays if len(widths) == 1 else [pixel_corners(array) for array in arrays])


def _frames(path, name, video, files, count):
    """The images, searched beside the annotation file under the usual names of folders."""
    if files:
        folder = video.get("video_dir") or video.get("name") or name
        for prefix in (Path(), Path(folder), Path(folder) / "img", Path(folder) / "color"):
            if (path.parent / prefix / files[0]).is_file():
                return ImageFiles([path.parent / prefix / file for file in files])
    return NoFrames(count, path.parent)
