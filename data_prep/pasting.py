"""Where everything lies in a pasted clip (`plan`), from a seed and outlines alone.

`data_prep.cutouts` paints what is planned here. Points are x, y in px, as in
`siamjax.synthetic.drawing`. A clip has one of the styles of `STYLES`; each shows what trackers lose
their target by.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from siamjax.synthetic.drawing import rotation

GROWTH = 1.3  # of an object at most: it stays about as sharp as its surroundings
PART_SIDES = (0.4, 0.85)  # of a part that is the target, as shares of its object's
ZOOM = (1.0, 1.5)  # of the scene, in a clip
LIMB = (0.3, 0.5)  # share of an object's extent that its limb has
OVERLAP = 0.06  # share of it that stays with the body too, so that a joint does not gape


class Style(NamedTuple):
    """How the objects of a clip lie and change from frame to frame.

    Attributes:
        side: px, least and largest root of the area of the target's box before the frames' poses.
        pose: per frame, uniform in +/-: log of the size, half the log of width / height, turn
            (radians), shear.
        turn: radians, uniform in +/-, of each object in the whole clip.
        other_size: log of another object's size over the target's, uniform in +/-.
        distance: of another object's centre from the target's, in mean sides of the two.
        above: probability that another object lies above the target.
        covered: share of a target's box that the boxes above it cover at most.
        part: probability that the target is a part of its object: a box follows what the first one
            held, even where something larger looks whole.
        bend: radians, uniform in +/-, by which each object's limb turns about its joint in each
            frame.
        blur: probability that the target is blurred by its motion in a frame.
    """

    side: tuple[float, float] = (28.0, 130.0)
    pose: tuple[float, float, float, float] = (0.3, 0.2, 0.2, 0.15)
    turn: float = 0.3
    other_size: float = 0.5
    distance: tuple[float, float] = (0.4, 2.5)
    above: float = 0.5
    covered: float = 0.4
    part: float = 0.3
    bend: float = 0.0
    blur: float = 0.0


STYLES = {
    "plain": Style(),
    # objects of one category pass in front of each other and of the target
    "crossing": Style(
        other_size=0.25, distance=(0.1, 1.2), above=0.65, covered=0.55, part=0.1, blur=0.1
    ),
    # small, and blurred half of the time
    "small": Style(side=(9.0, 28.0), distance=(0.8, 5.0), part=0.15, blur=0.5),
    # width over height changes by a factor of 2.5 on either side
    "aspect": Style(pose=(0.3, 0.45, 0.8, 0.3), part=0.0),
    "bent": Style(pose=(0.25, 0.2, 0.25, 0.1), part=0.0, bend=0.9, blur=0.1),
}


class Placed(NamedTuple):
    """An object in a frame.

    Attributes:
        number: of the object in the clip; 0 is the target.
        matrix: (2, 3) from its photograph to the frame.
        box: left, top, right, bottom of its outline.
        limb: (2, 3) as `matrix`, of the part that bends; None: nothing does.
        motion: px in x and y by which it moves while the frame is exposed, half to either side.
    """

    number: int
    matrix: np.ndarray
    box: np.ndarray
    limb: np.ndarray | None = None
    motion: tuple[float, float] = (0.0, 0.0)


class Frame(NamedTuple):
    """A planned frame.

    Attributes:
        view: (2, 3) from the scene's photograph to the frame.
        below, above: the other objects under and over the target, in the order of painting.
        target: the target's object.
        box: left, top, right, bottom of the target, the object or a part of it.
        covered: share of a target's box that the boxes above it cover at most.
    """

    view: np.ndarray
    below: tuple[Placed, ...]
    target: Placed
    above: tuple[Placed, ...]
    box: np.ndarray
    covered: float = STYLES["plain"].covered


class Hinge(NamedTuple):
    """Where an object bends, in its photograph.

    Attributes:
        body, limb: polygons of its outline, (N, 2) each.
        joint: the point that the limb turns about.
    """

    body: list[np.ndarray]
    limb: list[np.ndarray]
    joint: np.ndarray


def hinge(rng, outline: Sequence) -> Hinge:
    """Cuts an outline across its longer side.

    Args:
        rng: a NumPy generator.
        outline: polygons as flat lists x, y, x, y, ...
    """
    polygons = [np.reshape(part, (-1, 2)).astype(float) for part in outline]
    points = np.concatenate(polygons)
    low, extent = points.min(0), np.ptp(points, axis=0)
    axis = int(extent[1] > extent[0])
    normal = np.zeros(2)
    normal[axis] = 1 if rng.random() < 0.5 else -1
    # how far the limb reaches along the normal, from its end
    reach = rng.uniform(*LIMB) * extent[axis]
    end = (points @ normal).max()
    limb = [cut for polygon in polygons if len(cut := _beyond(polygon, normal, end - reach))]
    overlap = OVERLAP * extent[axis]
    body = [cut for p in polygons if len(cut := _beyond(p, -normal, reach - end - overlap))]
    crossing = np.concatenate(limb)
    crossing = crossing[np.isclose(crossing @ normal, end - reach)]
    joint = crossing.mean(0) if len(crossing) else low + extent / 2
    return Hinge(body, limb, joint)


def _beyond(polygon, normal, offset):
    """The part of a polygon where point @ normal >= offset (Sutherland and Hodgman, 1974)."""
    height = polygon @ normal - offset
    kept = []
    for i, (point, above) in enumerate(zip(polygon, height)):
        before, below = polygon[i - 1], height[i - 1]
        if above * below < 0:
            kept.append(before + (point - before) * below / (below - above))
        if above >= 0:
            kept.append(point)
    return np.array(kept).reshape(-1, 2)


class _Objects:
    """The objects of a clip: their sizes, turns and hinges."""

    def __init__(self, rng, style: Style, outlines):
        self.style, self.rng = style, rng
        self.points = [
            np.concatenate([np.reshape(part, (-1, 2)) for part in parts]) for parts in outlines
        ]
        sides = [np.sqrt(np.prod(np.ptp(p, axis=0))) for p in self.points]
        wanted = np.exp(rng.uniform(*np.log(style.side)))
        self.zooms = [min(wanted / sides[0], GROWTH)]
        for side in sides[1:]:
            spread = np.exp(rng.uniform(-style.other_size, style.other_size))
            self.zooms.append(min(self.zooms[0] * sides[0] * spread / side, GROWTH))
        self.sides = np.multiply(self.zooms, sides)
        self.mirrored = np.where(rng.random(len(sides)) < 0.5, -1.0, 1.0)
        self.turns = rng.uniform(-style.turn, style.turn, len(sides))
        self.hinges: list[Hinge] = []

    def place(self, number, centre, point=None) -> Placed:
        """Point: what comes to lie at the centre, in the object's photograph; None: its middle."""
        grow, ratio, turn, shear = self.rng.uniform(-1, 1, 4) * self.style.pose
        scale = self.zooms[number] * np.exp(grow + np.array([ratio, -ratio]))
        linear = rotation(turn + self.turns[number]) @ [[1, shear], [0, 1]]
        linear = linear * scale * [self.mirrored[number], 1]
        moved, limb = self.points[number] @ linear.T, None
        if self.hinges:
            hinge = self.hinges[number]
            bent = linear @ rotation(self.rng.uniform(-self.style.bend, self.style.bend))
            limb = np.concatenate([bent, ((linear - bent) @ hinge.joint)[:, None]], 1)
            tip = np.concatenate(hinge.limb) @ bent.T + limb[:, 2]
            moved = np.concatenate([np.concatenate(hinge.body) @ linear.T, tip])
        low, high = moved.min(0), moved.max(0)
        shift = centre - ((low + high) / 2 if point is None else linear @ point)
        matrix = np.concatenate([linear, shift[:, None]], 1)
        if limb is not None:
            limb[:, 2] += shift
        return Placed(number, matrix, np.concatenate([low + shift, high + shift]), limb)


def plan(
    seed: Sequence[int],
    size: tuple[int, int],
    outlines: Sequence[Sequence],
    frames: int,
    style: str = "plain",
) -> list[Frame]:
    """Draws where everything lies.

    Args:
        seed: numbers that determine the clip.
        size: width and height of the scene's photograph and of the frames, px.
        outlines: of each object, the target first: polygons as flat lists x, y, x, y, ... in its
            photograph.
        frames: how many.
        style: of `STYLES`.
    """
    rng, kind = np.random.default_rng((*seed, 0)), STYLES[style]
    objects = _Objects(rng, kind, outlines)
    zoom = rng.uniform(*ZOOM)
    part = _draw_part(rng, objects.points[0]) if rng.random() < kind.part else None
    objects.hinges = hinges(seed, outlines, style)
    planned = []
    for _ in range(frames):
        middle = rng.uniform(0.15, 0.85, 2) * size
        target = objects.place(0, middle, part and part[0])
        box = target.box if part is None else _part_box(target.matrix, *part)
        below, above, covered = [], [], 0.0
        for number in range(1, len(outlines)):
            mean = (objects.sides[0] + objects.sides[number]) / 2
            angle = rng.uniform(0, 2 * np.pi)
            away = mean * rng.uniform(*kind.distance) * np.array([np.cos(angle), np.sin(angle)])
            other = objects.place(number, middle + away)
            share = _shared(box, other.box)
            if rng.random() < kind.above and covered + share <= kind.covered:
                above.append(other)
                covered += share
            else:
                below.append(other)
        slack = (zoom - 1) * np.array(size)
        corner = -rng.uniform(0, 1, 2) * slack
        view = np.array([[zoom, 0, corner[0]], [0, zoom, corner[1]]])
        if kind.blur and rng.random() < kind.blur:
            angle, length = rng.uniform(0, np.pi), rng.uniform(0.1, 0.45) * objects.sides[0]
            target = target._replace(motion=(length * np.cos(angle), length * np.sin(angle)))
        planned.append(Frame(view, tuple(below), target, tuple(above), box, kind.covered))
    return planned


def hinges(seed: Sequence[int], outlines: Sequence[Sequence], style: str) -> list[Hinge]:
    """Where each object of a clip bends; none where the style does not bend. Arguments as
    `plan`."""
    rng = np.random.default_rng((*seed, 3))
    return [hinge(rng, outline) for outline in outlines] if STYLES[style].bend else []


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
        above it cover more than `Frame.covered` of it.
    """
    painted = (*frame.below, frame.target, *frame.above)
    at = next((i for i, placed in enumerate(painted) if placed.number == number), None)
    if at is None:
        return None
    box = painted[at].box
    centre = (box[:2] + box[2:]) / 2
    covered = sum(_shared(box, other.box) for other in painted[at + 1 :])
    return box if covered <= frame.covered and np.all((centre >= 0) & (centre <= size)) else None


def _shared(box, other):
    """Share of a box that another covers."""
    sides = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
    return float(np.prod(sides.clip(0)) / np.prod(box[2:] - box[:2]))
