"""Objects cut out of photographs by their outlines and pasted into other photographs.

A clip is planned (`plan`: where everything lies in each frame, from a seed and outlines alone) and
then painted (`Painter`). Points are x, y in px, as in `siamjax.synthetic.drawing`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from siamjax.synthetic.drawing import blend, centred, coverage, rotation

SIDE = (28.0, 130.0)  # px, root of the area of the target's box before the frames' poses
GROWTH = 1.3  # of an object at most: it stays about as sharp as its surroundings
TURN = 0.3  # radians, uniform in +/-, of each object in the whole clip
# Per frame, uniform in +/-: log of the size, half the log of width / height, turn (radians), shear.
POSE = np.array([0.3, 0.2, 0.2, 0.15])
OTHER_SIZE = 0.5  # log of another object's size over the target's, uniform in +/-
DISTANCE = (0.4, 2.5)  # of another object's centre from the target's, in mean sides of the two
ABOVE = 0.5  # probability that another object lies above the target
# Probability that the target is a part of its object, and the part's sides as shares of the
# object's: a box follows what the first one held, even where something larger looks whole.
PART, PART_SIDES = 0.3, (0.4, 0.85)
COVERED = 0.4  # share of a target's box that the boxes above it cover at most

MARGIN = 4  # px around an object in its cut-out
SOFT = 0.7  # px, standard deviation of the soft edge
ZOOM = (1.0, 1.5)  # of the scene, in a clip
LIGHT, TINT = 0.2, 0.06  # log of a frame's gain over all channels and of each, uniform in +/-
OBJECT_LIGHT = 0.15  # the same of each object in the whole clip
DEFOCUS = (0.3, 1.2)  # probability; largest standard deviation, px
NOISE = 5.0  # largest standard deviation, grey levels


class Placed(NamedTuple):
    """An object in a frame.

    Attributes:
        number: of the object in the clip; 0 is the target.
        matrix: (2, 3) from its photograph to the frame.
        box: left, top, right, bottom of its outline.
    """

    number: int
    matrix: np.ndarray
    box: np.ndarray


class Frame(NamedTuple):
    """A planned frame.

    Attributes:
        view: (2, 3) from the scene's photograph to the frame.
        below, above: the other objects under and over the target, in the order of painting.
        target: the target's object.
        box: left, top, right, bottom of the target, the object or a part of it.
    """

    view: np.ndarray
    below: tuple[Placed, ...]
    target: Placed
    above: tuple[Placed, ...]
    box: np.ndarray


def plan(
    seed: Sequence[int], size: tuple[int, int], outlines: Sequence[Sequence], frames: int
) -> list[Frame]:
    """Draws where everything lies.

    Args:
        seed: numbers that determine the clip.
        size: width and height of the scene's photograph and of the frames, px.
        outlines: of each object, the target first: polygons as flat lists x, y, x, y, ... in its
            photograph.
        frames: how many.
    """
    rng = np.random.default_rng((*seed, 0))
    points = [np.concatenate([np.reshape(part, (-1, 2)) for part in parts]) for parts in outlines]
    sides = [np.sqrt(np.prod(np.ptp(p, axis=0))) for p in points]
    wanted = np.exp(rng.uniform(*np.log(SIDE)))
    zooms = [min(wanted / sides[0], GROWTH)]
    for side in sides[1:]:
        like = zooms[0] * sides[0] * np.exp(rng.uniform(-OTHER_SIZE, OTHER_SIZE))
        zooms.append(min(like / side, GROWTH))
    mirrored = np.where(rng.random(len(points)) < 0.5, -1.0, 1.0)
    turns = rng.uniform(-TURN, TURN, len(points))
    zoom = rng.uniform(*ZOOM)
    part = _draw_part(rng, points[0]) if rng.random() < PART else None

    def place(number, centre, point=None):
        """Point: what comes to lie at the centre, in the object's photograph; None: its middle."""
        grow, ratio, turn, shear = rng.uniform(-POSE, POSE)
        scale = zooms[number] * np.exp(grow + np.array([ratio, -ratio]))
        linear = rotation(turn + turns[number]) @ [[1, shear], [0, 1]]
        linear = linear * scale * [mirrored[number], 1]
        moved = points[number] @ linear.T
        low, high = moved.min(0), moved.max(0)
        shift = centre - ((low + high) / 2 if point is None else linear @ point)
        matrix = np.concatenate([linear, shift[:, None]], 1)
        return Placed(number, matrix, np.concatenate([low + shift, high + shift]))

    planned = []
    for _ in range(frames):
        middle = rng.uniform(0.15, 0.85, 2) * size
        target = place(0, middle, part and part[0])
        box = target.box if part is None else _part_box(target.matrix, *part)
        below, above, covered = [], [], 0.0
        for number in range(1, len(points)):
            mean = (zooms[0] * sides[0] + zooms[number] * sides[number]) / 2
            angle = rng.uniform(0, 2 * np.pi)
            away = mean * rng.uniform(*DISTANCE) * np.array([np.cos(angle), np.sin(angle)])
            other = place(number, middle + away)
            share = _shared(box, other.box)
            if rng.random() < ABOVE and covered + share <= COVERED:
                above.append(other)
                covered += share
            else:
                below.append(other)
        slack = (zoom - 1) * np.array(size)
        corner = -rng.uniform(0, 1, 2) * slack
        view = np.array([[zoom, 0, corner[0]], [0, zoom, corner[1]]])
        planned.append(Frame(view, tuple(below), target, tuple(above), box))
    return planned


def _draw_part(rng, points):
    """Centre and sides of a part of an object."""
    low, extent = points.min(0), np.ptp(points, axis=0)
    shares = rng.uniform(*PART_SIDES, 2)
    corner = low + rng.uniform(0, 1, 2) * (1 - shares) * extent
    return corner + shares * extent / 2, shares * extent


def _part_box(matrix, centre, sides):
    """The part moves and grows with its object; turns leave its sides as they are."""
    centre = matrix[:, :2] @ centre + matrix[:, 2]
    half = sides * np.linalg.norm(matrix[:, :2], axis=0) / 2
    return np.concatenate([centre - half, centre + half])


def seen_box(frame: Frame, number: int, size: Sequence[int]) -> np.ndarray | None:
    """The box of an object other than the target, left, top, right, bottom.

    Args:
        frame: of the plan.
        number: of the object in the clip, 1 or more.
        size: width and height of the frame, px.

    Returns:
        None where the clip has no such object, its centre lies outside the frame, or the boxes
        above it cover more than `COVERED` of it.
    """
    painted = (*frame.below, frame.target, *frame.above)
    at = next((i for i, placed in enumerate(painted) if placed.number == number), None)
    if at is None:
        return None
    box = painted[at].box
    centre = (box[:2] + box[2:]) / 2
    covered = sum(_shared(box, other.box) for other in painted[at + 1 :])
    return box if covered <= COVERED and np.all((centre >= 0) & (centre <= size)) else None


def _shared(box, other):
    """Share of a box that another covers."""
    sides = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
    return float(np.prod(sides.clip(0)) / np.prod(box[2:] - box[:2]))


class Painter:
    """Paints the frames of one clip."""

    def __init__(
        self,
        seed: Sequence[int],
        scene: np.ndarray,
        photographs: Sequence[np.ndarray],
        outlines: Sequence[Sequence],
    ):
        """
        Args:
            seed, outlines: as in `plan`.
            scene: (H, W, 3) uint8, the photograph behind everything.
            photographs: of each object, (h, w, 3) uint8.
        """
        self._seed, self._scene = tuple(seed), scene
        rng = np.random.default_rng((*self._seed, 1))
        gains = np.exp(rng.uniform(-OBJECT_LIGHT, OBJECT_LIGHT, len(outlines)))
        objects = zip(photographs, outlines, gains, strict=True)
        self._cuts = [_cut(*parts) for parts in objects]

    def paint(self, frame: Frame, number: int) -> np.ndarray:
        """Frame `number` of the clip: (H, W, 3) BGR uint8."""
        rng = np.random.default_rng((*self._seed, 2, number))
        height, width = self._scene.shape[:2]
        image = cv2.warpAffine(
            self._scene, centred(frame.view), (width, height), borderMode=cv2.BORDER_REFLECT_101
        )
        for placed in (*frame.below, frame.target, *frame.above):
            _paste(image, self._cuts[placed.number], placed)
        gain = np.exp(rng.uniform(-LIGHT, LIGHT) + rng.uniform(-TINT, TINT, 3))
        levels = (np.arange(256)[:, None] * gain).clip(0, 255).astype(np.uint8)
        image = cv2.LUT(image, levels[:, None])
        if rng.random() < DEFOCUS[0]:
            image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, DEFOCUS[1]))
        grain = rng.standard_normal(image.shape, dtype=np.float32) * rng.uniform(0, NOISE)
        return cv2.add(image, grain, dtype=cv2.CV_8U)


class _Cut(NamedTuple):
    """An object with some surroundings, how much of each pixel it covers, and where its corner lies
    in the photograph."""

    image: np.ndarray
    cover: np.ndarray
    corner: np.ndarray


def _cut(photograph, outline, gain):
    points = [np.reshape(part, (-1, 2)) for part in outline]
    low = np.floor(np.concatenate(points).min(0)).astype(int) - MARGIN
    high = np.ceil(np.concatenate(points).max(0)).astype(int) + MARGIN
    low, high = np.maximum(low, 0), np.minimum(high, photograph.shape[1::-1])
    width, height = high - low
    cover = cv2.GaussianBlur(coverage([p - low for p in points], height, width), (0, 0), SOFT)
    # the soft edge ends on the outline, so that no surroundings are pasted with it
    cover = cv2.addWeighted(cover, 2, cover, 0, -255)
    image = photograph[low[1] : high[1], low[0] : high[0]]
    return _Cut(cv2.convertScaleAbs(image, alpha=gain), cover, low)


def _paste(image, cut, placed):
    """Paints an object over the image, in place."""
    linear = placed.matrix[:, :2]
    x0, y0 = np.maximum(np.floor(placed.box[:2]).astype(int) - MARGIN, 0)
    x1, y1 = np.minimum(np.ceil(placed.box[2:]).astype(int) + MARGIN, image.shape[1::-1])
    if x1 <= x0 or y1 <= y0:
        return
    shift = placed.matrix[:, 2] + linear @ cut.corner - [x0, y0]
    matrix = centred(np.concatenate([linear, shift[:, None]], 1))
    scale = np.sqrt(abs(np.linalg.det(linear)))
    layers = []
    for layer in (cut.image, cut.cover):
        if scale < 0.7:  # interpolation alone would skip pixels
            layer = cv2.GaussianBlur(layer, (0, 0), 0.4 / scale)
        layers.append(cv2.warpAffine(layer, matrix, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR))
    image[y0:y1, x0:x1] = blend(layers[0], image[y0:y1, x0:x1], layers[1])
