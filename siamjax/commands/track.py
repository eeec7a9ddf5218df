"""`siamjax track`: follows boxes through a video file, an image folder or a camera's frames."""

import argparse
import csv
import io
import itertools
import json
import os
from collections.abc import Iterable
from pathlib import Path

from siamjax.errors import UserError

_DESCRIPTION = "Follows one or several boxes through a video and writes where they went."
_FIELDS = ("frame", "target", "x", "y", "w", "h", "score", "second_peak", "lost")


def add_parser(subparsers) -> argparse.ArgumentParser:
    """Adds the subcommand."""
    parser = subparsers.add_parser(
        "track", help="follow boxes through a video", description=_DESCRIPTION
    )
    add = parser.add_argument
    add("video", help="video file, folder of images, or the number of a camera")
    add(
        "--box",
        action="append",
        default=[],
        metavar="X,Y,W,H",
        help="box in the first frame, px from 0; give it again for another target",
    )
    add("--box_file", help="text file with one such box per line")
    add(
        "--checkpoint",
        help="training folder, checkpoint or .npz weights file; default: the one that comes along",
    )
    add("--out", help="annotated video; .webm plays in browsers; default NAME_tracked.webm")
    add("--csv", help=f"table with the columns {','.join(_FIELDS)}")
    add("--json", help="the same with video, rate and checkpoint")
    add("--txt", help="OTB text, x,y,w,h per line; one target only")
    add("--mot", help="MOT text, frame,id,x,y,w,h,score,-1,-1,-1 from 1")
    add("--frames", type=int, help="stop after so many frames")
    add("--heatmap", action="store_true", help="lay the first target's score map over the video")
    add("--show", action="store_true", help="show the frames in a window; q ends")
    return parser


def run(args: argparse.Namespace) -> int | None:
    """Tracks and writes the outputs; 130 when Ctrl-C ended it, with what there was until then.

    Raises:
        UserError: what the user has to change; then no output is written.
    """
    from siamjax import api, files, media

    if args.frames is not None and args.frames < 1:
        raise UserError(f"--frames={args.frames}: give at least 1")
    video = media.read_video(args.video)
    frames = iter(video)
    first = next(frames)
    boxes = [_parse_box(text, "--box") for text in args.box] + _read_boxes(args.box_file)
    window = _Window(video.name) if args.show else None
    if not boxes:
        boxes = [_draw_box(window, first)]
    texts = {name: getattr(args, name) for name in ("csv", "json", "txt", "mot")}
    if not args.out and not args.show and not any(texts.values()):
        args.out = f"{video.name}_tracked.webm"
    if args.txt and len(boxes) > 1:
        raise UserError("--txt holds one target; use --mot or --csv for several boxes")
    for path in filter(None, texts.values()):
        files.check_writable(path)
    _check_boxes(boxes, first)

    writer = media.VideoWriter(args.out, video.fps) if args.out else None
    frames = itertools.islice(itertools.chain([first], frames), args.frames)
    total = min(filter(None, (video.count, args.frames)), default=None)
    trackers = [api.load(args.checkpoint)]
    trackers += [trackers[0].sibling() for _ in boxes[1:]]
    rows: list[dict] = []
    interrupted = False
    try:
        try:
            _follow(frames, total, boxes, trackers, rows, args.heatmap, writer, window)
        except KeyboardInterrupt:
            interrupted = True
        if writer:
            writer.close()
    except BaseException:
        if writer:
            writer.discard()
        raise
    if args.csv:
        _write(args.csv, _csv(rows))
    if args.json:
        _write(
            args.json, _json(rows, boxes, video, args.checkpoint or api.default_checkpoint().name)
        )
    if args.txt:
        _write(args.txt, _otb(rows))
    if args.mot:
        _write(args.mot, _mot(rows))
    count = len({row["frame"] for row in rows})
    outputs = [path for path in (args.out, *texts.values()) if path]
    if outputs:
        print(f"{count} frames -> {', '.join(outputs)}")
    if interrupted:
        print(f"interrupted after {count} frames; they are kept")
        return 130
    return None


def _follow(frames, total, boxes, trackers, rows, heatmap, writer, window):
    """Appends a row per frame and target, draws, and writes; ends early when the window says so."""
    from tqdm import tqdm

    for number, frame in enumerate(tqdm(frames, total=total, unit=" frames")):
        if number == 0:
            for tracker, box in zip(trackers, boxes):
                tracker.init(frame, box)
            predictions = None
            found = [(box, 1.0, 0.0, False) for box in boxes]
        else:
            predictions = [tracker.update(frame) for tracker in trackers]
            found = [(p.box, p.score, p.second_peak, p.lost) for p in predictions]
        rows += [
            dict(zip(_FIELDS, (number, target, *box, score, second, lost)))
            for target, (box, score, second, lost) in enumerate(found)
        ]
        if not writer and not window:
            continue
        canvas = _annotate(frame, found, predictions if heatmap else None)
        if writer:
            writer.write(canvas)
        if window and not window.show(canvas):
            return


def _annotate(frame, found, predictions):
    from siamjax import viz
    from siamjax.tracking.frames import as_bgr

    canvas = as_bgr(frame)
    if predictions:
        heatmap = predictions[0].heatmap
        canvas = viz.draw_heatmap(canvas, heatmap.score, heatmap.extent)
    labels = [f"{score:.2f}{' lost' if lost else ''}" for _, score, _, lost in found]
    if len(found) > 1:
        labels = [f"{i} {label}" for i, label in enumerate(labels)]
    return viz.draw_boxes(canvas, [box for box, *_ in found], labels)


class _Window:
    """A window on the screen; OpenCV's headless wheel has none."""

    def __init__(self, name: str):
        import cv2

        self._name = name
        try:
            cv2.namedWindow(name)
        except cv2.error as error:
            raise UserError(
                "--show: this OpenCV has no windows or there is no display; "
                "write a video by --out, or pip install opencv-python on a desktop"
            ) from error

    def show(self, image) -> bool:
        """Shows an image; False when q was pressed."""
        import cv2

        cv2.imshow(self._name, image)
        return cv2.waitKey(1) & 0xFF != ord("q")

    def draw_box(self, image) -> tuple[float, ...]:
        """A box drawn with the mouse."""
        import cv2

        return tuple(float(v) for v in cv2.selectROI(self._name, image))


def _draw_box(window, first):
    if window is None:
        raise UserError("--box=x,y,w,h: name the target in the first frame, or draw it with --show")
    return window.draw_box(first)


def _parse_box(text: str, where: str) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.replace(",", " ").split())
    except ValueError:
        values = ()
    if len(values) != 4:
        raise UserError(f"{where}={text}: give four numbers x,y,w,h")
    return values


def _read_boxes(path: str | None) -> list[tuple[float, ...]]:
    if path is None:
        return []
    try:
        lines = Path(path).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--box_file={path}: not a readable text file") from error
    boxes = [_parse_box(line, path) for line in lines if line.strip()]
    if not boxes:
        raise UserError(f"--box_file={path}: no box in it; write x,y,w,h per line")
    return boxes


def _check_boxes(boxes, frame):
    from siamjax.tracking.frames import checked_box

    for box in boxes:
        checked_box(box, frame.shape[1], frame.shape[0])


def _csv(rows: Iterable[dict]) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, _FIELDS, lineterminator="\n")
    table.writeheader()
    for row in rows:
        table.writerow(row | {"lost": int(row["lost"])})
    return text.getvalue()


def _json(rows, boxes, video, checkpoint) -> str:
    targets = [
        {
            "box": box,
            "frames": [
                {"frame": row["frame"], "box": _box(row)}
                | {key: row[key] for key in ("score", "second_peak", "lost")}
                for row in rows
                if row["target"] == target
            ],
        }
        for target, box in enumerate(boxes)
    ]
    head = {"video": video.name, "fps": video.fps, "checkpoint": str(checkpoint)}
    return json.dumps(head | {"targets": targets}, indent=1) + "\n"


def _otb(rows) -> str:
    return "".join(",".join(f"{v:.4f}" for v in _box(row)) + "\n" for row in rows)


def _mot(rows) -> str:
    return "".join(
        f"{row['frame'] + 1},{row['target'] + 1},"
        + ",".join(f"{v:.4f}" for v in (row["x"] + 1, row["y"] + 1, row["w"], row["h"]))
        + f",{row['score']:.6f},-1,-1,-1\n"
        for row in rows
    )


def _box(row) -> list[float]:
    return [row[key] for key in "xywh"]


def _write(path: str, text: str) -> None:
    target = Path(path)
    partial = target.with_name(f".{target.name}.partial")
    partial.write_text(text)
    os.replace(partial, target)
