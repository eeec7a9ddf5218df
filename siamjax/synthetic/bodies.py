"""Things of the synthetic world: outlines, their pose at every frame, and what of them is seen."""

import cv2
import numpy as np

from siamjax.synthetic.drawing import SUBPIXEL, pixels
from siamjax.synthetic.motion import TAU

SHAPES = ("ellipse", "blob", "star", "polygon")

POINTS = 96  # of an outline
ANGLES = np.arange(POINTS) * TAU / POINTS
DIRECTIONS = np.stack([np.cos(ANGLES), np.sin(ANGLES)], -1)


def draw_radii(rng, shape):
    """Outline of a shape family in polar form: (POINTS,) radius at each of `ANGLES`.

    Raises:
        ValueError: no such shape.
    """
    if shape == "ellipse":
        return np.ones_like(ANGLES)
    if shape == "blob":
        k = np.arange(2, 6)
        amplitude = rng.uniform(0.04, 0.3, 4) / (k - 1)
        return 1 + (amplitude * np.cos(np.outer(ANGLES, k) + rng.uniform(0, TAU, 4))).sum(-1)
    if shape == "star":
        points = rng.integers(4, 8)
        return 1 - rng.uniform(0.25, 0.5) * np.abs((ANGLES * points / TAU) % 1 * 2 - 1)
    if shape == "polygon":
        corners = rng.integers(3, 8)
        normals = (np.arange(corners) + rng.uniform(-0.22, 0.22, corners)) * TAU / corners
        distances = rng.uniform(0.8, 1.0, corners)
        facing = np.cos(ANGLES[:, None] - normals)
        # very sharp corners are cut
        return np.minimum((distances / facing.clip(1e-6)).min(-1), 1.8)
    raise ValueError(f"unknown shape {shape!r}")


class Body:
    """One moving, deforming thing: outline and pose at each of N frames.

    Object coordinates (unit size) -> bend -> stretch -> rotation, scale -> position in the frame.
    The bend (u += a v^2, then v += b u^2) is inverted exactly: texture and outline move together.

    Attributes:
        contour: (N, K, 2) the outline in the frame, px.
        low, high: (N, 2) its smallest and largest x and y.
        velocity: (N, 2) of the centre, px / frame.
        inverse: (N, 2, 2) of the matrix.
        reach: object coordinates that the texture spans are -reach..reach.
    """

    def __init__(self, outline, bend, matrix, position, slide):
        """
        Args:
            outline: (N, K, 2) or (K, 2) undeformed outline, object coordinates.
            bend: (N, 2) a and b.
            matrix: (N, 2, 2) stretch, rotation and scale.
            position: (N, 2) centre in the frame.
            slide: (N, 2) shift of the texture under the outline, object coordinates.
        """
        u = outline[..., 0] + bend[:, :1] * outline[..., 1] ** 2
        v = outline[..., 1] + bend[:, 1:] * u**2
        self.contour = np.stack([u, v], -1) @ matrix.transpose(0, 2, 1) + position[:, None]
        by_axis = np.ascontiguousarray(self.contour.transpose(0, 2, 1))  # ten times as fast
        self.low, self.high = by_axis.min(-1), by_axis.max(-1)
        self.bend, self.position, self.slide = bend, position, slide
        self.inverse = np.linalg.inv(matrix)
        self.velocity = np.gradient(position, axis=0) if len(position) > 1 else 0 * position
        self.reach = float(np.abs(outline).max() + np.abs(slide).max())

    @property
    def boxes(self):
        """(N, 4) `xywh` of the contour."""
        return np.concatenate([self.low, self.high - self.low], -1)


def meets(body, above):
    """(len(above), N) bool, whether the boxes of the bodies above meet that of a body."""
    near = [(o.low < body.high).all(-1) & (o.high > body.low).all(-1) for o in above]
    return np.array(near).reshape(len(near), len(body.low))


def visible(body, above, height, width, i):
    """Share of a body's area that is inside of frame i and under nothing, 0..1.

    Args:
        above: bodies, those that may cover it in this frame.
    """
    low, high = body.low[i], body.high[i]
    zoom = min(1.0, 48 / (high - low).max())
    columns, rows = np.ceil((high - low) * zoom).astype(int) + 2
    mask = np.zeros((rows, columns), np.uint8)

    def fill(other, value):
        points = pixels((other.contour[i] - low) * zoom + 1)
        cv2.fillPoly(mask, [points], value, shift=SUBPIXEL)

    fill(body, 1)
    area = cv2.countNonZero(mask)
    for other in above:
        fill(other, 0)
    x0, y0 = np.maximum(np.round(-low * zoom).astype(int) + 1, 0)
    x1, y1 = np.maximum(np.round((np.array([width, height]) - low) * zoom).astype(int) + 1, 0)
    return cv2.countNonZero(mask[y0:y1, x0:x1]) / area if x1 > x0 and y1 > y0 else 0.0
