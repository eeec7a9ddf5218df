"""CSV: a header and a line per frame and target, boxes in px from 0, frames from 0.

Columns: frame,target,x,y,w,h, then, where the labels have them, score, second_peak, lost (0 or 1)
and presence of a tracker, and name, category and occluded. Any table with a header that names a
frame's number and a box is read, in any order of columns; `siamjax.media.tables` says how.
"""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from siamjax.errors import UserError
from siamjax.media import journal, tables
from siamjax.media.labels.model import Shape, Track, Video, track
from siamjax.media.labels.otb import read as read_rows
from siamjax.media.labels.places import Places
from siamjax.media.lines import read_lines
from siamjax.media.tracks import Row

KEEPS_LOST = True
HEAD = ("frame", "target", "x", "y", "w", "h")
TEXTS = ("name", "category", "occluded")


def matches(source: Path) -> bool:
    """A .csv file, or a .txt whose header names a frame and a box."""
    if source.suffix.lower() != ".txt" or not source.is_file():
        return source.is_file() and source.suffix.lower() == ".csv"
    try:
        return bool(read_lines(source).names) and tables.has_frames(source)
    except UserError:
        return False


def read(source: Path, places: Places) -> list[Video]:
    """One video; rows that are no boxes are counted.

    Raises:
        UserError: no such file, or no header that names a frame and a box.
    """
    skipped: Counter[str] = Counter()
    try:
        text = source.read_text("utf-8-sig")
        if text.startswith("#"):  # the rows of a run of `siamjax track` that did not end
            text, damaged = journal.table(text)
            skipped.update({"line is damaged": damaged} if damaged else {})
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    except (OSError, UnicodeDecodeError, csv.Error):
        rows = []
    own = bool(rows) and set(HEAD) <= rows[0].keys()
    if not own and not tables.has_frames(source):
        return read_rows(source, places)
    tracks = _own(rows, skipped) if own else box_tracks(source, skipped)
    media = places.media(source.stem)
    return [Video(source.stem, tracks, **media, skipped=skipped, source=source)]


def box_tracks(source: Path, skipped: Counter[str]) -> list[Track]:
    """The tracks of a table with frames' numbers; boxes of confidence 0 are left out and counted.

    Raises:
        UserError: as `siamjax.media.tables.read_box_rows`.
    """
    rows = tables.read_box_rows(source)
    if rows.unread:
        skipped["line is not a box"] += len(rows.unread)
    shapes: dict[str, list[Shape]] = {}
    values = zip(rows.frames.tolist(), rows.targets, rows.boxes, rows.confidences.tolist())
    for frame, target, box, confidence in values:
        kept = shapes.setdefault(target, [])
        if confidence == 0:
            skipped["confidence is 0"] += 1
        elif np.isfinite(box).all():
            kept.append(Shape(frame, box))
        else:
            skipped["box is not a number"] += 1
    return [track(id, some, skipped=skipped) for id, some in shapes.items() if some]


def _own(rows: list[dict], skipped: Counter[str]) -> list[Track]:
    """Tracks of the columns that siamjax writes."""
    further = [c for c in rows[0] if c and c not in (*HEAD, *TEXTS, *journal.STATE, journal.SEAL)]
    shapes: dict[str, list[Shape]] = {}
    texts: dict[str, dict] = {}
    for row in rows:
        target = (row["target"] or "").strip()
        try:
            frame, box = int(row["frame"]), [float(row[side]) for side in HEAD[2:]]
            columns = {name: float(row[name]) for name in further if row[name]}
        except (TypeError, ValueError):
            skipped["line is not a box"] += 1
            continue
        if frame < 0 or not np.isfinite(box).all():
            skipped["line is not a box" if frame < 0 else "box is not a number"] += 1
            continue
        occluded = (row.get("occluded") or "0").strip() not in ("0", "")
        shape = Shape(frame, box, occluded=occluded, columns=columns)
        shapes.setdefault(target, []).append(shape)
        texts.setdefault(target, row)
    return [
        track(
            id, some, texts[id].get("name") or "", texts[id].get("category") or "", skipped=skipped
        )
        for id, some in shapes.items()
    ]


def write(videos: Sequence[Video]) -> dict[str, str]:
    """A file per video."""
    return {f"{video.name}.csv": _text(video) for video in videos}


def _text(video: Video) -> str:
    given = {name for each in video.tracks for name in each.columns}
    further = [name for name in Row._fields[6:] if name in given]
    further += sorted(given - set(further))
    texts = [n for n in TEXTS[:2] if any(getattr(each, n) for each in video.tracks)]
    texts += [TEXTS[2]] if any(each.occluded.any() for each in video.tracks) else []
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow([*HEAD, *further, *texts])
    lines = []
    for k, each in enumerate(video.tracks):
        for shape in each.shapes():
            values: dict = {**shape.columns, "name": each.name, "category": each.category}
            values["occluded"] = int(shape.occluded)
            if "lost" in values:
                values["lost"] = int(values["lost"])
            cells = [values.get(name, "") for name in (*further, *texts)]
            lines.append((shape.frame, k, [each.id, *map(float, shape.box), *cells]))
    rows.writerows([frame, *cells] for frame, _, cells in sorted(lines, key=lambda row: row[:2]))
    return out.getvalue()
