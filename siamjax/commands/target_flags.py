"""What the flags --box, --box_file and --add give: which targets start where."""

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np

from siamjax.errors import UserError
from siamjax.geometry.boxes import iou, xywh_to_xyxy
from siamjax.geometry.polygons import box_of_region
from siamjax.media import tables
from siamjax.media.decoded import frame_count
from siamjax.media.frames import readable
from siamjax.wording import counted

Box = tuple[float, float, float, float]
_FEW = 2  # rows that are always targets
_FOLLOWS = 0.3  # overlap of the boxes of one target in frames that follow each other


class Given(NamedTuple):
    """A box of the command line.

    Attributes:
        frame: its number in the video; None: the first that is read.
        box: x, y, w, h, px from 0.
        name: of the target; empty: none.
        shown: what messages call it.
    """

    frame: int | None
    box: Box
    name: str
    shown: str


class Numbered(NamedTuple):
    """Boxes of targets that have numbers.

    Attributes:
        boxes: frame, target and what was given.
        names: of the targets; empty: none.
    """

    boxes: list[tuple[int, int, Given]]
    names: list[str]


def read_given(args: argparse.Namespace, count: int | None) -> list[Given]:
    """What the flags give, in their order.

    Args:
        count: number of frames of the video, where that is known.

    Raises:
        UserError: names the flag and what it takes.
    """
    given = [_box(text) for text in args.box]
    if args.box_file is not None:
        first = tables.first_pixel(Path(args.box_file))
        for one in _of_file(args.box_file, count, getattr(args, "video", None)):
            x, y, w, h = one.box
            given.append(one._replace(box=(x - first, y - first, w, h)))
    return given + [_added(text) for text in args.add]


def numbered(given: list[Given], first: int, stride: int) -> Numbered:
    """Numbers the targets in the order in which they are given.

    Args:
        first: number of the first frame that is read.
        stride: every so many frames are read.

    Raises:
        UserError: a frame that is not read, a number without a target, two boxes for one target in
            a frame.
    """
    names: list[str] = []
    found: dict[tuple[int, int], Given] = {}
    for one in given:
        frame = first if one.frame is None else one.frame
        if frame < first:
            raise UserError(
                f"{one.shown}: frame {frame} is left out by --start; the first read is {first}"
            )
        if (frame - first) % stride:
            read = ", ".join(str(first + i * stride) for i in range(3))
            raise UserError(
                f"{one.shown}: frame {frame} is left out by --stride={stride}; {read}, ... are read"
            )
        if one.name.isdecimal():
            target = int(one.name)
            if target >= len(names):
                raise UserError(
                    f"{one.shown}: {one.name} is the number of a target, and there are "
                    f"{len(names)} before it, counted from 0; a name is not digits alone"
                )
        elif one.name in names and one.name:
            target = names.index(one.name)
        else:
            target = len(names)
            names.append(one.name)
        if (frame, target) in found:
            raise UserError(
                f"{one.shown}: {one.name or target} has a box in frame {frame} already; "
                "give targets different names"
            )
        found[frame, target] = one
    return Numbered([(*key, one) for key, one in found.items()], names)


def _box(text: str) -> Given:
    return Given(None, *_named(f"--box={text}", text), "--box")


def _added(text: str) -> Given:
    frame, colon, rest = text.partition(":")
    if not colon or not frame.strip().isdecimal():
        raise UserError(
            f"--add={text}: give the frame's number and a box, FRAME:x,y,w,h or with :NAME"
        )
    return Given(int(frame), *_named(f"--add={text}", rest), f"--add in frame {int(frame)}")


def _named(text: str, rest: str) -> tuple[Box, str]:
    numbers, colon, name = rest.partition(":")
    name = readable(" ".join(name.split()))
    try:
        x, y, w, h = (float(part) for part in numbers.replace(",", " ").split())
    except ValueError:
        raise UserError(f"{text}: give four numbers x,y,w,h") from None
    if colon and not name:
        raise UserError(f"{text}: no name behind the colon; leave it out, or give one")
    return (x, y, w, h), name


def _of_file(path: str, count: int | None, video: str | None) -> list[Given]:
    shown = f"--box_file={path}"
    if not Path(path).is_file():
        wrong = "a folder; give a file of boxes" if Path(path).is_dir() else "no such file"
        raise UserError(f"{shown}: {wrong}")
    by_frame = tables.has_frames(Path(path))
    if not by_frame:
        boxes = tables.read_boxes(Path(path))
        boxes = boxes if boxes.shape[1] == 4 else box_of_region(boxes)
        if count is not None and len(boxes) != count and _one_target(boxes) and video is not None:
            count = frame_count(Path(video), len(boxes)) if Path(video).is_file() else count
        if count is not None and len(boxes) == count > 1:
            return [_first_box(shown, boxes)]
        if count is not None and _one_target(boxes):
            raise UserError(
                f"{shown}: {len(boxes)} rows that follow one target, for {counted(count, 'frame')};"
                " give a row per frame, or the first box alone"
            )
    rows = tables.read_targets(Path(path))
    given = []
    for frame, target, box in zip(rows.frames.tolist(), rows.targets, rows.boxes.tolist()):
        name = target if by_frame and not target.isdecimal() else ""
        given.append(Given(frame if by_frame else None, tuple(box), name, shown))
    if not by_frame and len(given) > 1:
        print(f"{shown}: a box per target; {len(given)} targets start in the first frame")
    return given


def _one_target(boxes: np.ndarray) -> bool:
    """Whether the rows follow one target from frame to frame, by the overlap of neighbours: boxes
    of several targets in a frame seldom overlap."""
    known = boxes[np.isfinite(boxes).all(1)]
    if len(known) <= _FEW:
        return False
    edges = xywh_to_xyxy(known)
    return bool(np.median(iou(edges[1:], edges[:-1])) >= _FOLLOWS)


def _first_box(shown: str, boxes: np.ndarray) -> Given:
    """The start of the one target whose boxes are given for every frame of a video."""
    known = np.flatnonzero(np.isfinite(boxes).all(1))
    if not len(known):
        raise UserError(f"{shown}: no row with a box")
    start = int(known[0])
    print(f"{shown}: a row per frame; the target starts in frame {start}")
    return Given(start, tuple(boxes[start].tolist()), "", shown)
