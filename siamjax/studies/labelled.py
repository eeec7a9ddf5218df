"""Pairs of crops of targets with a category: rendered ones, or of labelled videos and images."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from siamjax.data import augment
from siamjax.data.crops import context_crop
from siamjax.errors import UserError
from siamjax.geometry.boxes import xywh_to_xyxy
from siamjax.media import labels
from siamjax.synthetic import SyntheticVideo

CATEGORIES = 6  # of the rendered targets
RENDERED = 16  # targets of each
LEAST, MOST = 8, 60  # targets of a category that counts, and that are taken of it
SMALLEST = 12.0  # px, sides of targets that are taken


class Pair(NamedTuple):
    """One target.

    Attributes:
        template: (exemplar, exemplar, 3) uint8.
        search: (search, search, 3) uint8, the target in the middle; another frame of a video.
        category: of the target.
    """

    template: np.ndarray
    search: np.ndarray
    category: str


def rendered(crops) -> Iterator[Pair]:
    """Targets of the rendered test world, whose textures no training has."""
    for seed in range(CATEGORIES * RENDERED):
        video = SyntheticVideo(seed, length=24, split="test", categories=CATEGORIES)
        seen = np.flatnonzero(video.visible[0] > 0.9)
        places = [(video.frames[i], video.boxes[0, i]) for i in (0, int(seen[-1]))]
        z, x = _cut(places, crops)
        yield Pair(z, x, f"{video.plan.family} {video.category}")


def labelled(source: str, crops) -> Iterator[Pair]:
    """Targets of labels in any format that `siamjax labels` reads, evenly over the source.

    Raises:
        UserError: fewer than two categories with enough targets.
    """
    found: dict[str, list] = {}
    for video in labels.read(source):
        for track in video.tracks:
            large = np.asarray((track.boxes[:, 2:] >= SMALLEST).all(1))
            if track.category and large.any() and video.has_frames:
                found.setdefault(track.category, []).append((video, track.select(large)))
    kept = {name: own for name, own in sorted(found.items()) if len(own) >= LEAST}
    if len(kept) < 2:
        counts = Counter({name: len(own) for name, own in found.items()}).most_common(5)
        said = ", ".join(f"{name} {count}" for name, count in counts) or "none"
        raise UserError(
            f"--labels={source}: two categories with at least {LEAST} targets of {SMALLEST:g} px"
            f" are needed; there are {said}"
        )
    for name, own in kept.items():
        for i in np.unique(np.linspace(0, len(own) - 1, min(MOST, len(own))).astype(int)):
            video, track = own[i]
            frames = video.frames()
            ends = (0, len(track) // 2)
            places = [(frames[int(track.frames[k])], track.boxes[k]) for k in ends]
            z, x = _cut(places, crops)
            yield Pair(z, x, name)


def _cut(places, crops):
    """The middle of the context crops of two targets, template and search."""
    for (image, box), side in zip(places, (crops.exemplar, crops.search)):
        yield still(stored(image, box, crops), side)


def stored(image: np.ndarray, box, crops) -> np.ndarray:
    """(stored, stored, 3) uint8, a target with its surroundings as shards have it.

    Args:
        box: left, top, width, height, px.
        crops: the experiment's section.
    """
    corners = xywh_to_xyxy(np.asarray(box, np.float64))
    return context_crop(image, corners, crops.stored, crops.exemplar, crops.context, edges=True)


def still(image: np.ndarray, side: int, shift=(0.0, 0.0)) -> np.ndarray:
    """(side, side, 3) uint8, cut from `stored` without augmentation but a shift in x and y, px."""
    draw = augment.Draw((1.0, 1.0), tuple(shift), np.zeros(3, np.float32), None, False)
    return augment.patch(draw, image, side)
