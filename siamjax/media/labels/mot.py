"""MOT Challenge text: frame,id,x,y,w,h,confidence,... per line.

"All frame numbers, target IDs and bounding boxes are 1-based" (motchallenge.net/instructions): a
box's x and y here are the file's less 1. In ground truth a confidence of 0 marks what is not to be
scored; such boxes are left out and counted. Nine columns end with class and visibility (MOT16 on);
wholly hidden boxes (visibility 0) are left out and counted. Ten end with world coordinates.
"""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from siamjax.errors import UserError
from siamjax.media.labels.model import Shape, Track, Video, track
from siamjax.media.labels.places import Places
from siamjax.media.lines import as_number, read_lines

KEEPS_LOST = True
# the benchmark's classes (MOT16, section 3 of arXiv:1603.00831; 13: MOT20)
CLASSES = (
    "pedestrian",
    "person on vehicle",
    "car",
    "bicycle",
    "motorbike",
    "non motorized vehicle",
    "static person",
    "distractor",
    "occluder",
    "occluder on the ground",
    "occluder full",
    "reflection",
    "crowd",
)
_WIDTHS = (6, 7, 9, 10)


def matches(source: Path) -> bool:
    """A .mot file, or a .txt whose first line is a frame, a target and a box."""
    suffix = source.suffix.lower()
    if suffix not in (".mot", ".txt") or not source.is_file():
        return False
    try:
        lines = read_lines(source)
    except UserError:
        return suffix == ".mot"
    first = [as_number(word) for word in next(filter(None, lines.rows), [])]
    whole = [value is not None and value % 1 == 0 for value in first[:2]]
    return suffix == ".mot" or (len(first) in _WIDTHS and whole == [True, True])


def read(source: Path, places: Places) -> list[Video]:
    """One video.

    Raises:
        UserError: not such a table.
    """
    skipped: Counter[str] = Counter()
    tracks = tracks_of(source, CLASSES, skipped)
    return [Video(source.stem, tracks, **places.media(source.stem), skipped=skipped, source=source)]


def tracks_of(path: Path, classes: Sequence[str], skipped: Counter[str]) -> list[Track]:
    """The tracks of a file.

    Args:
        classes: names of the classes, from number 1 on.
        skipped: counts what is left out.
    """
    shapes: dict[str, list[Shape]] = {}
    kinds: dict[str, int] = {}
    for words in filter(None, read_lines(path).rows):
        numbers = [value for word in words if (value := as_number(word)) is not None]
        row = [value for value in numbers[:6] if math.isfinite(value)]
        whole = len(numbers) == len(words) and len(row) == 6
        if not whole or row[0] != int(row[0]) or row[0] < 1:
            skipped["line is not a box"] += 1
            continue
        confidence, kind, visible = (*numbers[6:], *(1, 0, 1)[len(numbers[6:]) :])[:3]
        if len(numbers) != 9 or not math.isfinite(kind):
            kind, visible = 0, 1
        if confidence == 0 or visible == 0:
            skipped["confidence is 0" if confidence == 0 else "wholly occluded"] += 1
            continue
        id = f"{row[1]:.0f}" if row[1] == int(row[1]) else words[1]
        x, y, w, h = row[2:]
        columns = {"score": confidence} if 0 < confidence < 1 else {}
        box = (x - 1, y - 1, w, h)
        shape = Shape(int(row[0]) - 1, box, occluded=visible < 1, columns=columns)
        shapes.setdefault(id, []).append(shape)
        kinds.setdefault(id, int(kind))
    named = {i: name for i, name in enumerate(classes, 1)}
    return [track(id, s, "", named.get(kinds[id], ""), skipped) for id, s in shapes.items()]


def write(videos: Sequence[Video]) -> dict[str, str]:
    """A file per video, a line per frame and target; ids count from 1."""
    return {f"{video.name}.mot": text(video, "-1,-1,-1") for video in videos}


def text(video: Video, end: str | None = None, classes: Sequence[str] = ()) -> str:
    """The lines of a video.

    Args:
        end: of each line, behind the confidence; None: class and visibility, of ground truth.
        classes: names of the classes, from number 1 on.
    """
    lines = []
    for k, (each, id) in enumerate(zip(video.tracks, numbers_of(video))):
        kind = classes.index(each.category) + 1 if each.category in classes else 1
        for shape in each.shapes():
            x, y, w, h = shape.box
            box = ",".join(f"{value:.4f}" for value in (x + 1, y + 1, w, h))
            score = shape.columns.get("score", 1.0)
            behind = f"{score:.6f},{end}"
            if end is None:
                behind = f"1,{kind},{0.5 if shape.occluded else 1}"
            lines.append((shape.frame, k, f"{shape.frame + 1},{id},{box},{behind}\n"))
    return "".join(line for _, _, line in sorted(lines))


def numbers_of(video: Video) -> list[int]:
    """Numbers of the tracks, from 1: their ids where all are such numbers, else their order."""
    ids = [each.id for each in video.tracks]
    numbers = [int(id) for id in ids if id.isascii() and id.isdigit() and id[0] != "0"]
    return numbers if len(numbers) == len(ids) else [*range(1, len(ids) + 1)]
