"""`siamjax render`: a clip of the synthetic world, as a video or as frames with their boxes."""

import argparse
import os
import shutil
from pathlib import Path

from siamjax.errors import UserError

_DESCRIPTION = (
    "Renders a clip of the synthetic world; with a folder as --out, frames and true boxes."
)


def add_parser(subparsers) -> argparse.ArgumentParser:
    """Adds the subcommand."""
    parser = subparsers.add_parser(
        "render",
        help="a clip of the synthetic world, as a video or as frames",
        description=_DESCRIPTION,
    )
    add = parser.add_argument
    add("--seed", type=int, default=0, help="which clip (default: %(default)s)")
    add("--split", choices=("train", "test"), default="test", help="default: %(default)s")
    add("--length", type=int, default=120, help="frames (default: %(default)s)")
    add("--size", default="320x240", metavar="WxH", help="of a frame in px (default: %(default)s)")
    add("--fps", type=float, default=25.0, help="of the video (default: %(default)s)")
    add(
        "--out",
        required=True,
        help="video (.webm plays in browsers), or a folder without suffix: img/00000001.png ... "
        "and groundtruth_rect.txt (x,y,w,h from 1) as in OTB",
    )
    add("--boxes", action="store_true", help="draw the target's box, and thinner its distractors'")
    return parser


def run(args: argparse.Namespace) -> None:
    """Renders the clip; the output appears under its name only when it is whole.

    Raises:
        UserError: what the user has to change.
    """
    from tqdm import tqdm

    from siamjax import media, viz
    from siamjax.synthetic.world import SyntheticVideo

    try:
        width, height = (int(side) for side in args.size.lower().split("x"))
    except ValueError:
        raise UserError(f"--size={args.size}: give two numbers as 320x240") from None
    if not 0 < args.fps < 1000:
        raise UserError(f"--fps={args.fps}: give a rate in frames per second")
    try:
        video = SyntheticVideo(args.seed, args.length, height, width, args.split)
    except ValueError as error:
        raise UserError(f"--seed, --length, --size: {error}") from error

    def frame(i):
        image = video.frames[i]
        if not args.boxes:
            return image
        labels = [
            f"{visible:.0%}" if n == 0 else "" for n, visible in enumerate(video.visible[:, i])
        ]
        colours = [viz.PALETTE[3]] + [(128, 128, 128)] * (len(labels) - 1)
        return viz.draw_boxes(image, video.boxes[:, i], labels, colours)

    frames = (frame(i) for i in tqdm(range(len(video.frames)), unit=" frames"))
    if Path(args.out).suffix:
        with media.VideoWriter(args.out, args.fps) as writer:
            for image in frames:
                writer.write(image)
    else:
        _write_folder(Path(args.out), frames, video.boxes[0])
    print(f"{len(video.frames)} frames -> {args.out}")


def _write_folder(out: Path, frames, boxes) -> None:
    """Frames as PNG and boxes in OTB's layout; made beside its place, then moved there."""
    import cv2

    if out.exists():
        raise UserError(f"{out}: exists already; remove it or choose another --out")
    partial = out.with_name(f".{out.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        (partial / "img").mkdir(parents=True)
        for number, image in enumerate(frames, 1):
            (partial / "img" / f"{number:08d}.png").write_bytes(cv2.imencode(".png", image)[1])
        lines = [",".join(f"{v:.4f}" for v in (x + 1, y + 1, w, h)) for x, y, w, h in boxes]
        (partial / "groundtruth_rect.txt").write_text("\n".join(lines) + "\n")
        os.replace(partial, out)
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror})") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
