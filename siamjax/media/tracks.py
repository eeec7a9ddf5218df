"""Tracks of a video: following targets, and a table of text formats for where they went."""

import csv
import dataclasses
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np


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


def follow(
    frames: Iterable[np.ndarray], trackers: Sequence[Any], boxes: Sequence[Sequence[float]]
) -> Iterator[tuple[np.ndarray, list[Row], Any]]:
    """Follows a target with each tracker.

    Args:
        trackers: with `init` and `update` as of `siamjax.load`.
        boxes: first box of each target, x, y, w, h in px, 0-based.

    Yields:
        Each frame, a row per target, and the first target's prediction (None in the first frame).
    """
    answers: list[Any]
    found: list[Any] = [None]
    for number, frame in enumerate(frames):
        if number == 0:
            for tracker, box in zip(trackers, boxes):
                tracker.init(frame, box)
            answers = [(*box, 1.0, 0.0, False) for box in boxes]
        else:
            found = [tracker.update(frame) for tracker in trackers]
            answers = [(*p.box, p.score, p.second_peak, p.lost) for p in found]
        yield frame, [Row(number, k, *answer) for k, answer in enumerate(answers)], found[0]


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
