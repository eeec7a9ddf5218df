"""Makes the picture of failures of docs/bundled.md: rendered clips on which the tracker leaves its
target.

    python docs/make_failures.py

Each row is a clip, its title the seed (siamjax render --seed=N): three frames before the overlap
falls below 0.1 for good, that frame, and two later ones. White: the true box; orange: the tracker's
box with its score.
"""

import argparse
import itertools
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

import siamjax
from siamjax import viz
from siamjax.measures import robustness
from siamjax.synthetic import NoPlan, SyntheticVideo

AROUND = (-24, -12, -4, 0, 8, 24)  # frames that are shown, from the one that is lost first
TRUTH, FOUND = (255, 255, 255), (0, 140, 255)  # BGR


def followed(tracker, video: SyntheticVideo) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (N, 4) and scores (N,) of one run from the true box of the first frame."""
    tracker.init(video.frames[0], video.boxes[0, 0])
    found = [(video.boxes[0, 0], 1.0)]
    for frame in itertools.islice(video.frames, 1, None):
        prediction = tracker.update(frame)
        found.append((np.asarray(prediction.box), prediction.score))
    boxes, scores = zip(*found, strict=True)
    return np.array(boxes, np.float64), np.array(scores)


def loss(video: SyntheticVideo, boxes: np.ndarray) -> int | None:
    """The first frame of the stretch in which the target is lost up to the end; None: it is not."""
    overlap = robustness.overlaps(video.boxes[0], boxes)
    spans = robustness.stretches(overlap < robustness.LOST)
    return spans[-1][0] if spans and spans[-1][1] == len(boxes) else None


def row(seed: int, video: SyntheticVideo, boxes, scores, lost: int, width: int) -> np.ndarray:
    """The frames around a loss, side by side."""
    tiles = []
    for index in np.maximum(lost + np.array(AROUND), 0):
        frame = viz.draw_boxes(video.frames[index], [video.boxes[0, index]], [""], [TRUTH])
        frame = viz.draw_boxes(frame, [boxes[index]], [f"{scores[index]:.2f}"], [FOUND])
        text = f"seed {seed}, frame {index}"
        cv2.putText(frame, text, (6, 232), cv2.FONT_HERSHEY_SIMPLEX, 0.5, TRUTH, 1, cv2.LINE_AA)
        size = (width, round(width * frame.shape[0] / frame.shape[1]))
        tiles.append(cv2.resize(frame, size, interpolation=cv2.INTER_AREA))
    return np.hstack(tiles)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--checkpoint", help="default: the bundled one")
    add("--seeds", type=int, default=16, help="clips that are followed; default: %(default)s")
    add("--length", type=int, default=120, help="frames of a clip; default: %(default)s")
    add("--rows", type=int, default=3, help="clips that are shown; default: %(default)s")
    add("--width", type=int, default=220, help="of a frame, px; default: %(default)s")
    add("--out", default="docs/images/bundled_failures.jpg", help="default: %(default)s")
    args = parser.parse_args()
    tracker = siamjax.load(args.checkpoint)
    rows, clips, losses = [], 0, 0
    for seed in tqdm(range(args.seeds)):
        try:
            video = SyntheticVideo(seed, args.length, split="test")
        except NoPlan:
            continue
        boxes, scores = followed(tracker, video)
        lost = loss(video, boxes)
        clips += 1
        losses += lost is not None
        if lost is not None and lost + AROUND[-1] < args.length and len(rows) < args.rows:
            rows.append(row(seed, video, boxes, scores, lost, args.width))
    print(f"{losses} of {clips} clips of {args.length} frames are lost up to their end")
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(args.out, np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 75])


if __name__ == "__main__":
    main()
