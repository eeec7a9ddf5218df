"""Objects cut out of photographs by their outlines and pasted into other photographs.

`Painter` paints the frames that `data_prep.pasting.plan` has drawn.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from data_prep.pasting import Frame, hinges
from siamjax.synthetic.drawing import blend, centred, coverage

MARGIN = 4  # px around an object in its cut-out
SOFT = 0.7  # px, standard deviation of the soft edge
LIGHT, TINT = 0.2, 0.06  # log of a frame's gain over all channels and of each, uniform in +/-
OBJECT_LIGHT = 0.15  # the same of each object in the whole clip
DEFOCUS = (0.3, 1.2)  # probability; largest standard deviation, px
NOISE = 5.0  # largest standard deviation, grey levels


class Painter:
    """Paints the frames of one clip."""

    def __init__(
        self,
        seed: Sequence[int],
        scene: np.ndarray,
        photographs: Sequence[np.ndarray],
        outlines: Sequence[Sequence],
        style: str = "plain",
    ):
        """
        Args:
            seed, outlines, style: as in `data_prep.pasting.plan`.
            scene: (H, W, 3) uint8, the photograph behind everything.
            photographs: of each object, (h, w, 3) uint8.
        """
        self._seed, self._scene = tuple(seed), scene
        rng = np.random.default_rng((*self._seed, 1))
        gains = np.exp(rng.uniform(-OBJECT_LIGHT, OBJECT_LIGHT, len(outlines)))
        bodies = [[np.reshape(part, (-1, 2)) for part in outline] for outline in outlines]
        limbs: list = [None] * len(outlines)
        for number, bent in enumerate(hinges(seed, outlines, style)):
            bodies[number], limbs[number] = bent.body, bent.limb
        self._bodies, self._limbs = (
            [outline and _cut(*each) for outline, *each in zip(pieces, photographs, pieces, gains)]
            for pieces in (bodies, limbs)
        )

    def paint(self, frame: Frame, number: int) -> np.ndarray:
        """Frame `number` of the clip: (H, W, 3) BGR uint8."""
        rng = np.random.default_rng((*self._seed, 2, number))
        height, width = self._scene.shape[:2]
        image = cv2.warpAffine(
            self._scene, centred(frame.view), (width, height), borderMode=cv2.BORDER_REFLECT_101
        )
        for placed in (*frame.below, frame.target, *frame.above):
            _paste(image, self._bodies[placed.number], placed.matrix, placed)
            if placed.limb is not None:
                _paste(image, self._limbs[placed.number], placed.limb, placed)
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


def _cut(photograph, points, gain):
    low = np.floor(np.concatenate(points).min(0)).astype(int) - MARGIN
    high = np.ceil(np.concatenate(points).max(0)).astype(int) + MARGIN
    low, high = np.maximum(low, 0), np.minimum(high, photograph.shape[1::-1])
    width, height = high - low
    cover = cv2.GaussianBlur(coverage([p - low for p in points], height, width), (0, 0), SOFT)
    # the soft edge ends on the outline, so that no surroundings are pasted with it
    cover = cv2.addWeighted(cover, 2, cover, 0, -255)
    image = photograph[low[1] : high[1], low[0] : high[0]]
    return _Cut(cv2.convertScaleAbs(image, alpha=gain), cover, low)


def _paste(image, cut, matrix, placed):
    """Paints an object, or its body or limb, over the image, in place."""
    linear, reach = matrix[:, :2], MARGIN + np.ceil(np.abs(placed.motion)).astype(int)
    x0, y0 = np.maximum(np.floor(placed.box[:2]).astype(int) - reach, 0)
    x1, y1 = np.minimum(np.ceil(placed.box[2:]).astype(int) + reach, image.shape[1::-1])
    if x1 <= x0 or y1 <= y0:
        return
    shift = matrix[:, 2] + linear @ cut.corner - [x0, y0]
    matrix = centred(np.concatenate([linear, shift[:, None]], 1))
    scale = np.sqrt(abs(np.linalg.det(linear)))
    layers = []
    for layer in (cut.image, cut.cover):
        if scale < 0.7:  # interpolation alone would skip pixels
            layer = cv2.GaussianBlur(layer, (0, 0), 0.4 / scale)
        layers.append(cv2.warpAffine(layer, matrix, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR))
    under = image[y0:y1, x0:x1]
    if any(placed.motion):
        image[y0:y1, x0:x1] = _smeared(*layers, under, placed.motion)
    else:
        image[y0:y1, x0:x1] = blend(layers[0], under, layers[1])


def _smeared(over, cover, under, motion):
    """`blend` of what moves by `motion`, px, while the shutter is open."""
    steps = max(2, int(np.ceil(np.hypot(*motion))) + 1)
    height, width = cover.shape
    total = np.zeros((height, width, 4), np.float32)
    layers = np.dstack([over.astype(np.float32) * (cover[..., None] / np.float32(255)), cover])
    for part in np.linspace(-0.5, 0.5, steps):
        moved = np.float32([[1, 0, part * motion[0]], [0, 1, part * motion[1]]])
        total += cv2.warpAffine(layers, moved, (width, height), flags=cv2.INTER_LINEAR)
    total /= steps
    mixed = total[..., :3] + under * (1 - total[..., 3:] / 255)
    return np.rint(mixed).clip(0, 255).astype(np.uint8)
