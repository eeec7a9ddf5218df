"""Random shift, scale, blur, flip, colour, exposure and resolution of one crop of a training pair.

The published training (SiamRPN++, section 3) does without the last two.
Drawing and applying are separate: `draw` asks the generator in a fixed order, the rest follows.
Colour noise is a constant per channel; it commutes with warp and blur and is left to the device.
"""

import dataclasses
import math

import cv2
import numpy as np

# Principal components of natural images' colours in RGB (AlexNet, section 4.1), scaled as in the
# published training.
_COLOUR_COMPONENTS = np.array(
    [
        [-0.55919361, 0.98062831, -0.41940627],
        [1.72091413, 0.19879334, -1.82968581],
        [4.64467907, 4.73710203, 4.88324118],
    ],
    np.float32,
)
_BLUR_SIZES = np.arange(5, 46, 2)
_COARSE = (1.0, 3.0)  # by which a patch is shrunk before it is enlarged again


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """How one branch is augmented.

    Attributes:
        shift: px, the window's centre moves by U(-1, 1) * shift in x and y.
        scale: the window's sides are multiplied by 1 + U(-1, 1) * scale, x and y separately.
        blur: probability of motion blur.
        flip: probability of a horizontal flip.
        colour: probability of PCA lighting noise.
        exposure: stops, the patch's values are multiplied by 2 ** (U(-1, 1) * exposure).
        coarse: probability that the patch is as from a smaller image, by a factor up to 3.
    """

    shift: float
    scale: float
    blur: float
    flip: float
    colour: float
    exposure: float = 0.0
    coarse: float = 0.0


@dataclasses.dataclass(frozen=True)
class Draw:
    """What was drawn for one crop.

    Attributes:
        scale: factors on the window's width and height.
        shift: px in x and y.
        noise: (3,) BGR, to be subtracted from the patch.
        blur: (kernel side, share of the vertical line), or None.
        flip: mirror left and right.
        gain: factor on the values.
        coarse: factor by which the patch is shrunk and enlarged again; 1: it is not.
    """

    scale: tuple[float, float]
    shift: tuple[float, float]
    noise: np.ndarray
    blur: tuple[int, float] | None
    flip: bool
    gain: float = 1.0
    coarse: float = 1.0


def draw(rng, augmentation: Augmentation) -> Draw:
    """Draws the numbers for one crop: scale x, y, shift x, y, colour, blur, flip, exposure, coarse.

    Scale, shift, flip, exposure and coarse ask for no number where they are switched off, noise,
    kernel and coarseness only where their test passed.

    Args:
        rng: a NumPy generator.
        augmentation: ranges and probabilities.
    """
    a = augmentation
    scale = tuple(1 + (rng.random() * 2 - 1) * a.scale for _ in range(2)) if a.scale else (1.0, 1.0)
    shift = tuple((rng.random() * 2 - 1) * a.shift for _ in range(2)) if a.shift else (0.0, 0.0)
    noise = np.zeros(3, np.float32)
    if a.colour > rng.random():
        noise = (_COLOUR_COMPONENTS @ rng.standard_normal(3))[::-1].astype(np.float32)
    blur = None
    if a.blur > rng.random():
        blur = (int(rng.choice(_BLUR_SIZES)), float(rng.random()))
    flip = bool(a.flip and a.flip > rng.random())
    gain = 2 ** ((rng.random() * 2 - 1) * a.exposure) if a.exposure else 1.0
    coarse = rng.uniform(*_COARSE) if a.coarse and a.coarse > rng.random() else 1.0
    return Draw(scale, shift, noise, blur, flip, gain, coarse)


def window(draw: Draw, size: int, stored: int) -> tuple[tuple, tuple]:
    """The part of a context crop that becomes the patch.

    It spans size - 1 px around the centre, is scaled about it (never larger than the crop), then
    shifted (never beyond the crop's edge).

    Args:
        draw: scale and shift.
        size: side of the patch, px.
        stored: side of the context crop, px.

    Returns:
        Left and top px of the crop, and the scale factors in effect in x and y.
    """
    most = stored / (size - 1)
    scale_x, scale_y = min(draw.scale[0], most), min(draw.scale[1], most)
    left = _corner(scale_x * (size - 1), draw.shift[0], stored)
    top = _corner(scale_y * (size - 1), draw.shift[1], stored)
    return (left, top), (scale_x, scale_y)


def _corner(side: float, shift: float, stored: int) -> float:
    corner = stored // 2 - side / 2
    return corner + max(-corner, min(stored - 1 - (corner + side), shift))


def move_box(draw: Draw, box, size: int, stored: int) -> np.ndarray:
    """Where a box of the context crop lies in the patch.

    Args:
        draw: scale, shift, flip.
        box: cx, cy, w, h in px of the context crop.
        size, stored: sides of patch and crop, px.

    Returns:
        (4,) float64 cx, cy, w, h in px of the patch; may reach beyond it.
    """
    (left, top), (scale_x, scale_y) = window(draw, size, stored)
    cx, cy, w, h = (float(v) for v in box)
    cx, cy = (cx - left) / scale_x, (cy - top) / scale_y
    return np.array([size - 1 - cx if draw.flip else cx, cy, w / scale_x, h / scale_y])


def rows(draw: Draw, size: int, stored: int) -> tuple[int, int]:
    """The first row of a context crop that the patch depends on, and the one behind the last."""
    (_, top), (_, scale) = window(draw, size, stored)
    return math.floor(top), math.ceil(top + scale * (size - 1)) + 1


def patch(
    draw: Draw, crop: np.ndarray, size: int, grey: bool = False, first_row: int = 0
) -> np.ndarray:
    """Cuts, coarsens, exposes, blurs and flips; colour noise is not applied.

    Args:
        draw: what was drawn.
        crop: (stored, stored, 3) uint8 BGR, or fewer rows of it, among them all of `rows`.
        size: side of the patch, px.
        grey: drop the colour first.
        first_row: of the context crop that is the first in `crop`.

    Returns:
        (size, size, 3) uint8 BGR; black outside of the crop.
    """
    if grey:
        crop = cv2.cvtColor(cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    (left, top), (scale_x, scale_y) = window(draw, size, crop.shape[1])
    top -= first_row
    matrix = np.array([[1 / scale_x, 0, -left / scale_x], [0, 1 / scale_y, -top / scale_y]])
    image = cv2.warpAffine(crop, matrix, (size, size), flags=cv2.INTER_LINEAR)
    if draw.coarse != 1:
        side = round(size / draw.coarse)
        image = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        image = cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR)
    if draw.gain != 1:
        image = cv2.convertScaleAbs(image, alpha=draw.gain)
    if draw.blur:
        image = _motion_blur(image, *draw.blur)
    return cv2.flip(image, 1) if draw.flip else image


def _motion_blur(image, side, share):
    """A cross of a vertical line of weight `share` and a horizontal one of weight 1 - share.

    Two line sums in 16 bit instead of a side x side convolution: the same values, some ten times
    faster.
    """
    lines = [
        cv2.boxFilter(image, cv2.CV_16U, kernel, normalize=False, borderType=cv2.BORDER_REFLECT_101)
        for kernel in ((1, side), (side, 1))
    ]
    return cv2.addWeighted(lines[0], share / side, lines[1], (1 - share) / side, 0, dtype=cv2.CV_8U)
