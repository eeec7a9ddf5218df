"""OTB text: one target's box per line, x,y,w,h in px counted from 0; line i belongs to frame i.

Lines of NaN, and empty ones, are frames without the target. A file that is called as in the OTB
benchmark, groundtruth_rect.txt, counts px from 1 as its files do (also those of `siamjax render`).
A single line is the first box alone.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from siamjax.errors import UserError
from siamjax.media import tables
from siamjax.media.labels.model import Shape, Video, track
from siamjax.media.labels.places import Places, check_rows

KEEPS_LOST = True


def matches(source: Path) -> bool:
    """Any other .txt file."""
    return source.is_file() and source.suffix.lower() == ".txt"


def read(source: Path, places: Places) -> list[Video]:
    """One video with one track.

    Raises:
        UserError: not such a table.
    """
    first = tables.first_pixel(source)
    boxes = tables.read_table(source) - [first, first, 0, 0]
    good = np.flatnonzero(np.isfinite(boxes).all(1))
    tracks = [track("0", [Shape(int(i), boxes[i]) for i in good])] if len(good) else []
    found = places.media(source.stem)
    check_rows(source, len(boxes), found)
    length = len(boxes) if len(boxes) > 1 else None
    video = Video(source.stem, tracks, **found, length=length, source=source, per_frame=True)
    return [video]


def write(videos: Sequence[Video]) -> dict[str, str]:
    """A file per video; a line of NaN where the target is not there.

    Raises:
        UserError: a video with more than one target.
    """
    return {f"{video.name}.txt": _text(video) for video in videos}


def _text(video: Video) -> str:
    if len(video.tracks) > 1:
        raise UserError(
            f"{video.name}: {len(video.tracks)} targets, and a .txt holds one; write csv or mot"
        )
    length = video.last + 1 if video.length is None else video.count
    rows = video.tracks[0].rows(length) if video.tracks else np.empty((0, 4))
    return "".join(",".join(f"{value:.4f}" for value in row) + "\n" for row in rows)
