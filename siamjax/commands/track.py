"""`siamjax track`: follows boxes through a video file, an image folder or a camera's frames."""

import argparse
import contextlib
import itertools
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from siamjax import api, files, media, viz
from siamjax.commands.flags import add_checkpoint, check_least
from siamjax.errors import UserError
from siamjax.media import labels
from siamjax.media.tables import read_targets
from siamjax.media.tracks import Row, Tracks, follow

DESCRIPTION = "Follows one or several boxes through a video and writes where they went."
Box = tuple[float, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    add = parser.add_argument
    add("video", help="video file, folder of images, or the number of a camera")
    add(
        "--box",
        action="append",
        default=[],
        metavar="X,Y,W,H",
        help="box in the first frame, px from 0; give it again for another target",
    )
    add("--box_file", help="text file with one such box per line, or MOT rows")
    add_checkpoint(parser)
    add("--out", help="annotated video; .webm plays in browsers; default NAME_tracked.webm")
    for name in labels.TRACK_FLAGS:
        add(f"--{name}", help=labels.FORMATS[name][1])
    add("--frames", type=int, help="stop after so many frames")
    add("--heatmap", action="store_true", help="lay the first target's score map over the video")
    add("--show", action="store_true", help="show the frames in a window; q ends")


def run(args: argparse.Namespace) -> int | None:
    """Tracks and writes the outputs; 130 when Ctrl-C ended it, with what there was until then.

    Raises:
        UserError: what the user has to change; then no output is written.
    """
    check_least(args, frames=1)
    video = media.read_video(args.video)
    frames = iter(video)
    first = next(frames)
    window = _Window(video.name) if args.show else None
    boxes = _boxes(args, window, first)
    tables = {name: path for name in labels.TRACK_FLAGS if (path := getattr(args, name))}
    if not args.out and not args.show and not tables:
        args.out = f"{video.name}_tracked.webm"
    if args.txt and len(boxes) > 1:
        raise UserError("--txt holds one target; use --mot or --csv for several boxes")
    for path in tables.values():
        files.check_writable(path)
    writer = media.VideoWriter(args.out, video.fps) if args.out else None
    trackers = [api.load(args.checkpoint)]
    trackers += [trackers[0].sibling() for _ in boxes[1:]]

    frames = itertools.islice(itertools.chain([first], frames), args.frames)
    total = min(filter(None, (video.count, args.frames)), default=None)
    rows: list[Row] = []
    interrupted = False
    with writer or contextlib.nullcontext():
        try:
            found = follow(tqdm(frames, total=total, unit=" frames"), trackers, boxes)
            for frame, new, prediction in found:
                rows += new
                if writer or window:
                    canvas = _annotate(frame, new, prediction if args.heatmap else None)
                if writer:
                    writer.write(canvas)
                if window and not window.show(canvas):
                    break
        except KeyboardInterrupt:
            interrupted = True
    checkpoint = str(args.checkpoint or api.default_checkpoint().name)
    tracks = Tracks(rows, boxes, video.name, video.fps, checkpoint)
    for name, path in tables.items():
        files.write_whole(path, labels.text(name, tracks))
    count = len({row.frame for row in rows})
    if outputs := [path for path in (args.out, *tables.values()) if path]:
        print(f"{count} frames -> {', '.join(outputs)}")
    if interrupted:
        print(f"interrupted after {count} frames; they are kept")
    return 130 if interrupted else None


def _annotate(frame: np.ndarray, rows: Sequence[Row], prediction) -> np.ndarray:
    """The frame with the boxes, over the score map of a prediction if there is one."""
    if prediction:
        frame = viz.draw_heatmap(frame, prediction.heatmap.score, prediction.heatmap.extent)
    labels = [f"{row.score:.2f}{' lost' if row.lost else ''}" for row in rows]
    if len(rows) > 1:
        labels = [f"{row.target} {label}" for row, label in zip(rows, labels)]
    return viz.draw_boxes(frame, [row.box for row in rows], labels)


class _Window:
    """A window on the screen; OpenCV's headless wheel has none."""

    def __init__(self, name: str):
        self._name = name
        try:
            cv2.namedWindow(name)
        except cv2.error as error:
            raise UserError(
                "--show: this OpenCV has no windows or there is no display; "
                "write a video by --out, or pip install opencv-python on a desktop"
            ) from error

    def show(self, image: np.ndarray) -> bool:
        """Shows an image; False when q was pressed."""
        cv2.imshow(self._name, image)
        return cv2.waitKey(1) & 0xFF != ord("q")

    def draw_box(self, image: np.ndarray) -> Box:
        """A box drawn with the mouse."""
        return tuple(float(v) for v in cv2.selectROI(self._name, image))


def _boxes(args: argparse.Namespace, window: _Window | None, first: np.ndarray) -> list[Box]:
    """The boxes of --box and --box_file, else one drawn in the window."""
    boxes = [_parse_box(text) for text in args.box]
    if args.box_file is not None:
        if not Path(args.box_file).is_file():
            raise UserError(f"--box_file={args.box_file}: not a readable text file")
        starts = read_targets(args.box_file)
        if starts.frames.any():
            late = starts.targets[int(starts.frames.argmax())]
            raise UserError(f"--box_file={args.box_file}: target {late} is not in the first frame")
        boxes += [tuple(row) for row in starts.boxes.tolist()]
    if boxes:
        return boxes
    if window is None:
        raise UserError("--box=x,y,w,h: name the target in the first frame, or draw it with --show")
    return [window.draw_box(first)]


def _parse_box(text: str) -> Box:
    try:
        x, y, w, h = (float(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise UserError(f"--box={text}: give four numbers x,y,w,h") from None
    return x, y, w, h
