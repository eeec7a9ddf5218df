"""Makes the animated picture of the README: the tracker on four clips of the synthetic world.

    python docs/make_picture.py --checkpoint=runs/demo --out=docs/images/tracking.webp

Each target is followed from its true first box; what is drawn is what the tracker says: its box,
its score, and its score map over the search region.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

import siamjax
from siamjax import viz
from siamjax.synthetic import SyntheticVideo

SEEDS = (0, 3, 5, 6)  # of the test split, which training never sees
COLOURS = ((80, 220, 60), (0, 200, 255), (255, 160, 40), (230, 90, 230))  # BGR


def followed(tracker, seed: int, length: int, every: int, colour):
    """Every `every`-th frame of a clip, (240, 320, 3) uint8 BGR, with what the tracker found."""
    video = SyntheticVideo(seed, length=120, split="test")
    tracker.init(video.frames[0], video.boxes[0, 0])
    for i in range(1, length + 1):
        frame = video.frames[i]
        prediction = tracker.update(frame)
        if i % every:
            continue
        heatmap = prediction.heatmap
        frame = viz.draw_heatmap(frame, heatmap.score, heatmap.extent, opacity=0.45)
        label = f"{prediction.score:.2f}"
        yield viz.draw_boxes(frame, [prediction.box], [label], [colour])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--checkpoint", help="default: the bundled one")
    add("--out", default="docs/images/tracking.webp", help="default: %(default)s")
    add("--frames", type=int, default=100, help="of each clip; default: %(default)s")
    add("--every", type=int, default=2, help="keep every n-th; default: %(default)s")
    add("--quality", type=int, default=50, help="of the picture, 0..100; default: %(default)s")
    args = parser.parse_args()
    first = siamjax.load(args.checkpoint)
    clips = [
        list(followed(first.sibling(), seed, args.frames, args.every, colour))
        for seed, colour in zip(SEEDS, COLOURS)
    ]
    pictures = []
    for a, b, c, d in zip(*clips):
        mosaic = np.concatenate([np.concatenate([a, b], 1), np.concatenate([c, d], 1)])
        pictures.append(Image.fromarray(mosaic[..., ::-1]))
    out = Path(args.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    pictures[0].save(
        out,
        save_all=True,
        append_images=pictures[1:],
        duration=40 * args.every,  # ms: clips have 25 frames per second
        loop=0,
        quality=args.quality,
        method=4,
    )
    print(f"{out}: {len(pictures)} pictures, {out.stat().st_size / 2**20:.2f} MiB")


if __name__ == "__main__":
    main()
