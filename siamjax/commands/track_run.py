"""The work of `siamjax track`: from its flags to rows and outputs."""

import argparse
import contextlib
import itertools
import shlex
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from tqdm import tqdm

from siamjax import api, constants, media
from siamjax.commands import target_flags
from siamjax.commands.target_flags import Given, Numbered
from siamjax.commands.track_others import OtherTargets, TrackerFailed
from siamjax.commands.track_outputs import Outputs, annotate, chosen
from siamjax.commands.track_resume import KeptRows
from siamjax.errors import UserError
from siamjax.evaluation import specs, trackers
from siamjax.geometry.boxes import check_box
from siamjax.media import labels
from siamjax.media.journal import Past
from siamjax.media.tracks import Row, Tracks
from siamjax.remote.weights import BUNDLED
from siamjax.wording import counted


def run(args: argparse.Namespace) -> int | None:
    """Tracks and writes the outputs; 130 when Ctrl-C ended it, with what there was until then.

    Raises:
        UserError: what the user has to change. Rows of frames that were tracked before are kept.
    """
    spec = _spec(args)  # refused before anything is opened
    video = media.read_video(
        args.video,
        start=args.start,
        frames=args.frames,
        stride=args.stride,
        resolution=args.resolution,
        record=args.record,
    )
    outputs = chosen(args, video.name)
    _check_flags(args, video, outputs, spec)
    with KeptRows(outputs.rows, [*outputs.paths.values()], args.resume, video.live) as kept:
        window = _Window(video.name) if args.show else None
        # a camera does not wait: nothing may take time behind its first frame
        ready = _tracker(spec, len(args.box)) if video.live else None
        unseen = kept.unseen if not (window or outputs.video) else ()
        frames = video.numbered(unseen)
        with contextlib.closing(frames if video.live else media.ahead(frames)) as frames:
            number, first = next(frames, (-1, None))
            if number < 0:
                raise UserError(f"{args.video}: no frame there")
            kept.check_first(first)
            size = (first.shape[1], first.shape[0])
            targets = _targets(args, video, window, number, first, kept.past)
            _check_targets(targets, outputs, number, size)
            boxes = [_first_box(targets, k) for k in range(len(targets.names))]
            rate = video.fps * args.stride  # of the numbers of frames
            weights = str(args.checkpoint or spec.name)
            tracks = Tracks([], boxes, video.name, rate, weights, targets.names)
            rows = [Row(number, k, *box, 1.0, 0.0, False) for k, box in enumerate(boxes)]
            source = Path(args.video)
            probe = labels.of_source(tracks._replace(rows=rows), source, size, number + 1)
            outputs.check_labels(probe, _inputs(args, spec), args.resume)
            trackers = ready or _tracker(spec)
            steps = _steps(args, video, (number, first), frames, targets, kept, *trackers)
            ran = _follow(steps, outputs.video, video.fps, window, args.heatmap, targets, kept)
        tracks = tracks._replace(rows=ran.rows)
        paths = outputs.write(labels.of_source(tracks, source, size, ran.last + 1))
        if ran.interrupted and not video.live:
            kept.interrupted()
    return _report(ran, video, paths, targets)


def _spec(args: argparse.Namespace) -> specs.Spec:
    """The tracker that --tracker, --checkpoint and --set name."""
    if len(args.tracker) + bool(args.checkpoint) > 1:
        raise UserError("--tracker: give one tracker, and then no --checkpoint")
    values = constants.parse(args.set)
    if not args.tracker:
        path = args.checkpoint
        if path in (None, BUNDLED):
            path = api.default_checkpoint()
        return specs.Spec(Path(path).name, api.load, "", str(path), values)
    (spec,) = trackers.select(None, args.tracker, constants=values)
    other = spec.checkpoint is None
    for flag, given in (("--resume", args.resume), ("--heatmap", args.heatmap)):
        if other and given:
            raise UserError(f"{flag}: only for siamjax's own tracker, not for {spec.name}")
    return spec


def _tracker(spec: specs.Spec, targets: int = 1) -> tuple:
    """The tracker, and one for several targets, ready for so many."""
    from siamjax.tracking import multi

    if spec.checkpoint is None:
        other = OtherTargets(spec)
        return other, other
    tracker = api.load(spec.checkpoint, constants=spec.constants)
    tracker.doubts = False  # `follow` doubts the boxes, by their flags
    several = multi.MultiTracker(tracker)
    several.prepare(targets)
    return tracker, several


def _steps(args, video: media.Video, first, others, targets: Numbered, kept, tracker, several):
    """Starts the file of kept rows; the steps of the first and the other frames, pairs of a number
    and pixels, behind a progress bar."""
    from siamjax.tracking import follow

    starts = [follow.Start(*place, one.box, one.shown) for *place, one in targets.boxes]
    kept.begin(
        {
            "video": video.name,
            "first": [first[0], zlib.crc32(np.ascontiguousarray(first[1]))],
            "stride": args.stride,
            "tracker": tracker.fingerprint(),
            "starts": [[start.frame, start.target, *start.box] for start in starts],
            "names": targets.names,
        }
    )
    steps = follow.follow(itertools.chain([first], others), several, starts, kept.past)
    return tqdm(steps, total=video.count, unit=" frames")


class _Ran(NamedTuple):
    """What was tracked: rows, number of frames, and number of the last one; what ended it."""

    rows: list[Row]
    count: int
    last: int
    interrupted: bool
    failed: TrackerFailed | None = None


def _follow(steps, out, fps, window, heatmap, targets, kept) -> _Ran:
    """Tracks, keeps the rows and shows the frames until there are no more, or until it is ended."""
    rows: list[Row] = []
    count, last, interrupted, failed = 0, -1, False, None
    writing = media.VideoWriter(out, fps) if out else contextlib.nullcontext()
    with steps, writing as writer:
        try:
            for step in steps:
                rows += step.rows
                kept.append(step.rows, step.states)
                count, last = count + 1, step.number
                if writer or window:
                    prediction = step.prediction if heatmap else None
                    canvas = annotate(step.frame, step.rows, targets.names, prediction)
                if writer:
                    writer.write(canvas)
                if window and not window.show(canvas):
                    break
        except KeyboardInterrupt:
            interrupted = True
        except TrackerFailed as error:
            failed = error
        if not rows:  # no output then
            late = targets.boxes[0][-1].shown
            nothing = UserError(f"{late}: not reached, frame {last} was the last one; nothing done")
            raise failed or (KeyboardInterrupt if interrupted else nothing)
    return _Ran(rows, count, last, interrupted, failed)


def _report(ran: _Ran, video: media.Video, paths: Sequence[str], targets: Numbered) -> int | None:
    """Prints what was done; the exit code."""
    if paths:
        print(f"{counted(ran.count, 'frame')} -> {', '.join(paths)}")
    if video.live and video.dropped:
        print(f"{video.dropped} frames came while the tracker was busy, and were left out")
    if ran.failed:
        print(f"{ran.failed}; what was found before is kept", file=sys.stderr)
        return 1
    if not ran.interrupted:
        for frame, _, one in targets.boxes:
            if frame > ran.last:
                print(f"{one.shown}: not reached, frame {ran.last} was the last one")
        return None
    more = "" if video.live or not paths else "; --resume continues"
    print(f"interrupted after {ran.count} frames; they are kept{more}")
    return 130


def _inputs(args: argparse.Namespace, spec: specs.Spec) -> dict[str, str]:
    """Files that are read, by flag; without the video."""
    inputs = {"--box_file": args.box_file, "--checkpoint": spec.checkpoint}
    return {flag: path for flag, path in inputs.items() if path is not None}


def _check_flags(
    args: argparse.Namespace, video: media.Video, outputs: Outputs, spec: specs.Spec
) -> None:
    outputs.check(args.video, _inputs(args, spec), args.record)
    if video.live and (args.add or args.resume):
        flag = "--add" if args.add else "--resume"
        raise UserError(f"{flag}: only for video files and folders, {args.video} is live")
    if args.resume and outputs.rows is None:
        raise UserError("--resume: no output to continue; give those of the run before")
    if args.resume and args.heatmap and outputs.video:
        raise UserError("--resume: score maps of earlier frames are not kept; leave out --heatmap")


def _targets(args, video, window, number: int, first: np.ndarray, past: Past | None) -> Numbered:
    """The boxes of the flags, else those of the run before, else one drawn in the window."""
    count = None if args.box_file is None or video.live else media.read_video(args.video).count
    given = target_flags.read_given(args, count)
    if past and not given:
        boxes = [
            (frame, target, Given(frame, tuple(box), past.head["names"][target], shown))
            for frame, target, *box in past.head["starts"]
            if (shown := f"box in frame {frame}, given to the run before,")
        ]
        return Numbered(boxes, past.head["names"])
    if window and not given:
        given = [Given(None, window.draw_box(first), "", "the drawn box")]
    if not given:
        raise UserError(
            "--box=x,y,w,h: give the target's place in the first frame, px; to draw it instead: "
            f"siamjax serve {shlex.quote(args.video)}, in the browser; "
            "--add=FRAME:x,y,w,h for a target that comes later"
        )
    return target_flags.numbered(given, number, args.stride)


def _check_targets(targets: Numbered, outputs: Outputs, number: int, size) -> None:
    """Refuses boxes of the first frame, and more targets than a table holds, at once."""
    if "txt" in outputs.tables and len(targets.names) > 1:
        raise UserError("--txt holds one target; use --mot or --csv for several boxes")
    for frame, _, one in targets.boxes:
        if frame == number:
            check_box(one.box, size, one.shown, doubts=False)


def _first_box(targets: Numbered, number: int) -> tuple[float, float, float, float]:
    return min((frame, one.box) for frame, target, one in targets.boxes if target == number)[1]


class _Window:
    """A window on the screen; OpenCV's headless wheel has none."""

    def __init__(self, name: str):
        self._name = name
        try:
            cv2.namedWindow(name)
        except cv2.error as error:
            raise UserError(
                "--show: this OpenCV has no windows or there is no display; "
                "write a video by --out, or put opencv-contrib-python in the headless wheel's place"
            ) from error

    def show(self, image: np.ndarray) -> bool:
        """Shows an image; False when q was pressed."""
        cv2.imshow(self._name, image)
        return cv2.waitKey(1) & 0xFF != ord("q")

    def draw_box(self, image: np.ndarray) -> tuple[float, float, float, float]:
        """A box drawn with the mouse."""
        x, y, w, h = cv2.selectROI(self._name, image)
        return float(x), float(y), float(w), float(h)
