"""The VOT challenges: <sequence>/groundtruth.txt with a polygon (or box) per frame, px from 0.

The box of four corners has their centre, their upright extent's proportions and their area; the
outline is kept. Regions of VOT2020 on, masks "m x,y,w,h,...", become the mask's box. Rows of NaN,
"0" and empty ones are frames without the target. One target per sequence.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from siamjax.errors import UserError
from siamjax.files import folder_name
from siamjax.geometry.polygons import corners
from siamjax.media.frames import images_of
from siamjax.media.labels.images import area_of, polygon_box
from siamjax.media.labels.model import Shape, Video, track
from siamjax.media.labels.places import Places, check_rows, lines_of
from siamjax.media.lines import read_lines

_TRUTH = "groundtruth.txt"


def matches(source: Path) -> bool:
    """A folder with list.txt and sequences, or a .txt with polygons or masks."""
    if source.is_dir():
        return (source / "list.txt").is_file() and any(map(_polygons, _files(source)[:1]))
    return source.suffix.lower() == ".txt" and _polygons(source)


def _polygons(path: Path) -> bool:
    rows = (row for row in _rows(path) if row)
    first = next(rows, [])
    return first[:1] == ["m"] or (len(first) >= 8 and len(first) % 2 == 0 and not _mot(first))


def _mot(row: list[str]) -> bool:
    """Ten columns whose first two are whole numbers and last three -1 or world coordinates."""
    return len(row) == 10 and all(word.strip().isdigit() for word in row[:2])


def _rows(path: Path) -> list[list[str]]:
    """The fields of each line; "m" first where it is a mask."""
    try:
        rows = read_lines(path, (4, 8)).rows
    except UserError:
        return []
    return [["m", row[0][1:], *row[1:]] if row and row[0][:1] == "m" else row for row in rows]


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    listed = source / "list.txt"
    if not listed.is_file():
        return sorted(source.glob(f"*/{_TRUTH}")) or [source / _TRUTH]
    names = dict.fromkeys(filter(None, map(str.strip, lines_of(listed))))
    return [source / name / _TRUTH for name in names if (source / name / _TRUTH).is_file()]


def read(source: Path, places: Places) -> list[Video]:
    """A video per sequence.

    Raises:
        UserError: no such file, or a row that is no region.
    """
    return [_sequence(path, places) for path in _files(source)]


def _sequence(path: Path, places: Places) -> Video:
    rows = _rows(path)
    if not rows:
        raise UserError(f"{path}: cannot be read, or is empty; one region per frame is expected")
    shapes = []
    for frame, row in enumerate(rows):
        try:
            region = _region(row)
        except ValueError:
            raise UserError(f"{path}:{frame + 1}: not a region") from None
        if region is not None:
            shapes.append(Shape(frame, *region))
    inside = path.name == _TRUTH
    images = images_of(path.parent) if inside else ()
    name = folder_name(path.parent) if inside else path.stem
    found = {"images": images} if images else places.media(name)
    check_rows(path, len(rows), found)
    tracks = [track("0", shapes)] if shapes else []
    length = len(rows) if len(rows) > 1 else None
    return Video(name, tracks, **found, length=length, source=path, per_frame=True)


def _region(row: list[str]):
    """Box and outline of a row; None: no target.

    Raises:
        ValueError: not a region.
    """
    if row[:1] == ["m"]:
        return tuple(float(word) for word in row[1:5]), None
    numbers = np.array(row, np.float64)
    if len(numbers) < 4 or not np.isfinite(numbers).all():
        return None
    if len(numbers) == 4:
        return tuple(numbers.tolist()), None
    polygon = numbers.reshape(-1, 2)
    if len(numbers) == 8:
        return _of_equal_area(polygon), polygon
    return polygon_box(polygon), polygon


def _of_equal_area(polygon: np.ndarray) -> tuple[float, ...]:
    centre, extent = polygon.mean(0), np.ptp(polygon, 0)
    area = area_of(polygon)
    side = extent * np.sqrt(area / extent.prod()) if extent.all() else extent
    return (*(centre - side / 2).tolist(), *side.tolist())


def image_path(video: Video, frame: int) -> str:
    """Where a frame is expected: numbers from 1."""
    suffix = video.images[0].suffix if video.images else ".jpg"
    return f"{video.name}/color/{frame + 1:08d}{suffix}"


def write(videos: Sequence[Video]) -> dict[str, str]:
    """<video>/groundtruth.txt, four corners per line, and list.txt.

    Raises:
        UserError: a video with more than one target.
    """
    made = {"list.txt": "".join(f"{video.name}\n" for video in videos)}
    for video in videos:
        if len(video.tracks) > 1:
            raise UserError(
                f"{video.name}: {len(video.tracks)} targets, and VOT's files hold one; write cvat"
            )
        regions = np.full((video.count, 8), np.nan)
        for shape in (s for each in video.tracks for s in each.shapes()):
            points = corners(np.asarray(shape.box))
            if shape.polygon is not None and shape.polygon.size == 8:
                points = shape.polygon.ravel()
            regions[shape.frame] = points
        lines = (",".join(f"{value:.4f}" for value in row) + "\n" for row in regions)
        made[f"{video.name}/{_TRUTH}"] = "".join(lines)
    return made
