"""Tracks in files: a table of formats, each a function from tracks to text."""

import csv
import dataclasses
import io
import json
from collections.abc import Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """One target in one frame: frame and target count from 0; x, y, w, h in px from 0."""

    frame: int
    target: int
    x: float
    y: float
    w: float
    h: float
    score: float
    second_peak: float
    lost: bool

    def answer(self) -> dict[str, float]:
        """How sure the tracker was."""
        return {"score": self.score, "second_peak": self.second_peak, "lost": self.lost}

    @property
    def box(self) -> list[float]:
        """x, y, w, h in px, 0-based."""
        return [self.x, self.y, self.w, self.h]


@dataclasses.dataclass(frozen=True)
class Tracks:
    """The tracks of a video.

    Attributes:
        rows: by frame, then target.
        boxes: first box of each target, x, y, w, h in px, 0-based.
        video: its name.
        fps: frames per second.
        checkpoint: name or path of the tracker's weights.
    """

    rows: Sequence[Row]
    boxes: Sequence[Sequence[float]]
    video: str
    fps: float
    checkpoint: str


def csv_text(tracks: Tracks) -> str:
    """A header and a line per row."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(Row._fields)
    table.writerows((*row[:-1], int(row.lost)) for row in tracks.rows)
    return text.getvalue()


def json_text(tracks: Tracks) -> str:
    """Video, rate, checkpoint, and the frames of each target."""
    targets = []
    for target, box in enumerate(tracks.boxes):
        rows = [row for row in tracks.rows if row.target == target]
        frames = [{"frame": row.frame, "box": row.box} | row.answer() for row in rows]
        targets.append({"box": box, "frames": frames})
    head = {"video": tracks.video, "fps": tracks.fps, "checkpoint": tracks.checkpoint}
    return json.dumps(head | {"targets": targets}, indent=1) + "\n"


def otb_text(tracks: Tracks) -> str:
    """x,y,w,h per line, counted from 0."""
    return "".join(_numbers(row.box) + "\n" for row in tracks.rows)


def mot_text(tracks: Tracks) -> str:
    """frame,id,x,y,w,h,score,-1,-1,-1 per line, frame, id and px counted from 1."""
    return "".join(
        f"{row.frame + 1},{row.target + 1},{_numbers((row.x + 1, row.y + 1, row.w, row.h))},"
        f"{row.score:.6f},-1,-1,-1\n"
        for row in tracks.rows
    )


def _numbers(values: Sequence[float]) -> str:
    return ",".join(f"{value:.4f}" for value in values)


# name -> writer, one-line help
FORMATS = {
    "csv": (csv_text, f"table with the columns {','.join(Row._fields)}"),
    "json": (json_text, "the same with video, rate and checkpoint"),
    "txt": (otb_text, "OTB text, x,y,w,h per line; one target only"),
    "mot": (mot_text, "MOT text, frame,id,x,y,w,h,score,-1,-1,-1 from 1"),
}
