"""`siamjax render`: a clip of the synthetic world, as a video or as frames with their boxes."""

import argparse
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from siamjax import media, viz
from siamjax.commands.flags import check_least
from siamjax.errors import UserError
from siamjax.files import check_new, replacing
from siamjax.media.writer import check_suffix
from siamjax.synthetic import NoPlan, SyntheticVideo
from siamjax.wording import counted

DESCRIPTION = (
    "Renders a clip of the synthetic world; with a folder as --out, frames and true boxes."
)
EXAMPLES = (
    "siamjax render --seed=3 --out=clip.webm --boxes",
    "siamjax render --length=60 --size=640x480 --out=clip",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    add = parser.add_argument
    add("--seed", type=int, default=0, help="which clip (default: %(default)s)")
    add("--split", choices=("train", "test"), default="test", help="default: %(default)s")
    add("--length", type=int, default=120, help="frames (default: %(default)s)")
    add("--categories", type=int, default=0, help="of the targets (default: none)")
    add("--zoom", type=float, default=1.0, help="further change of sizes, 1..1.6 (default: 1)")
    add("--size", default="320x240", metavar="WxH", help="of a frame in px (default: %(default)s)")
    add("--fps", type=float, default=25.0, help="of the video (default: %(default)s)")
    add(
        "--out",
        required=True,
        help="video (.webm plays in browsers), or a folder without suffix: img/00000001.png ... "
        "and groundtruth_rect.txt (x,y,w,h from 1) as in OTB",
    )
    add("--boxes", action="store_true", help="draw the target's box, and thinner its distractors'")


def run(args: argparse.Namespace) -> None:
    """Renders the clip; the output appears under its name only when it is whole.

    Raises:
        UserError: what the user has to change.
    """
    try:
        width, height = (int(side) for side in args.size.lower().split("x"))
    except ValueError:
        raise UserError(f"--size={args.size}: give two numbers as 320x240") from None
    if not 0 < args.fps < 1000:
        raise UserError(f"--fps={args.fps}: give a rate in frames per second")
    check_least(args, seed=0, length=1, categories=0)
    out = Path(args.out)
    if out.suffix:
        check_suffix(out)
    else:
        check_new(out)
    try:
        options = {"categories": args.categories, "zoom": args.zoom}
        video = SyntheticVideo(args.seed, args.length, height, width, args.split, **options)
    except ValueError as error:
        raise UserError(f"--size={args.size}, --zoom={args.zoom:g}: {error}") from error
    except NoPlan as error:
        what = f"no clip of {args.length} frames with seed {args.seed}"
        raise UserError(f"{what}; try another --seed or a shorter --length") from error
    with tqdm(range(len(video.frames)), unit=" frames") as numbers:
        frames = (_with_boxes(video, i) if args.boxes else video.frames[i] for i in numbers)
        if out.suffix:
            with media.VideoWriter(out, args.fps) as writer:
                for image in frames:
                    writer.write(image)
        else:
            _write_folder(out, frames, video.boxes[0])
    x, y, w, h = np.round(video.boxes[0, 0], 1)
    made = counted(len(video.frames), "frame")
    print(f"{made} -> {args.out}; first box: {x:g},{y:g},{w:g},{h:g}")


def _write_folder(out: Path, frames: Iterable[np.ndarray], boxes: np.ndarray) -> None:
    """A clip as OTB has it."""
    with replacing(out) as clip:
        (clip / "img").mkdir(parents=True)
        for number, image in enumerate(frames, 1):
            (clip / "img" / f"{number:08d}.png").write_bytes(cv2.imencode(".png", image)[1])
        # OTB counts pixels from 1
        np.savetxt(clip / "groundtruth_rect.txt", boxes + [1, 1, 0, 0], "%.4f", ",")


def _with_boxes(video: SyntheticVideo, i: int) -> np.ndarray:
    target, *others = video.visible[:, i]
    labels = [f"{target:.0%}"] + [""] * len(others)
    colours = [viz.PALETTE[3]] + [(128, 128, 128)] * len(others)
    return viz.draw_boxes(video.frames[i], video.boxes[:, i], labels, colours)
