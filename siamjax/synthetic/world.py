"""The synthetic world: textured, deforming objects over moving scenes, fully determined by a seed.

Every quantity that changes with time is a sum of sines drawn from the seed, so any frame is made
without the frames before it, and the boxes are exact: they enclose the contour that is painted.
Coordinates are continuous: pixel i covers i..i+1, as in the data sets' boxes (0-based `xywh`).
"""

from collections.abc import Sequence as AbstractSequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from siamjax.synthetic import textures
from siamjax.synthetic.drawing import SUBPIXEL, blend, centred, coverage, pixels, rotation

SPLITS = ("train", "test")
SHAPES = ("ellipse", "blob", "star", "polygon")

TAU = 2 * np.pi
CONTOUR = 96  # points of an object's outline

SIDE = (20.0, 110.0)  # px, shortest and longest side of a target's box at any time
RATIO = 3.0  # largest ratio between the sides of a target's box
PEAK_SPEED = (4.0, 9.0)  # px / frame, of the centre's smooth motion
MAX_HIDDEN = 6  # frames in a row that a target may be hidden
MAX_COVERED = 0.08  # share of the frames in which less than half of it may be visible
HIDDEN = 0.1  # visible fraction below which a target counts as hidden
ATTEMPTS = 200  # plans drawn until one keeps the promises above


# --- time: sums of sines


@dataclass(frozen=True)
class Wave:
    """Sum of sines with values in -1..1."""

    amplitude: np.ndarray
    frequency: np.ndarray  # cycles / frame
    phase: np.ndarray

    def __call__(self, t):
        angle = TAU * self.frequency * np.asarray(t, np.float64)[..., None] + self.phase
        return (self.amplitude * np.sin(angle)).sum(-1)

    def faster(self, factor):
        """The same wave with its frequencies times a factor."""
        return Wave(self.amplitude, self.frequency * factor, self.phase)


def _wave(rng, periods, terms=2):
    """A wave with periods (frames) drawn log-uniformly from a range; slow sines are stronger."""
    period = np.sort(np.exp(rng.uniform(*np.log(periods), terms)))[::-1]
    amplitude = rng.uniform(0.5, 1.0, terms) * period
    return Wave(amplitude / amplitude.sum(), 1 / period, rng.uniform(0, TAU, terms))


# --- shape


def _radii(rng, shape, theta):
    """Outline of a shape family in polar form: radius at each angle."""
    if shape == "ellipse":
        return np.ones_like(theta)
    if shape == "blob":
        k = np.arange(2, 6)
        amplitude = rng.uniform(0.04, 0.3, 4) / (k - 1)
        return 1 + (amplitude * np.cos(np.outer(theta, k) + rng.uniform(0, TAU, 4))).sum(-1)
    if shape == "star":
        points = rng.integers(4, 8)
        return 1 - rng.uniform(0.25, 0.5) * np.abs((theta * points / TAU) % 1 * 2 - 1)
    if shape == "polygon":
        corners = rng.integers(3, 8)
        normals = (np.arange(corners) + rng.uniform(-0.22, 0.22, corners)) * TAU / corners
        distances = rng.uniform(0.8, 1.0, corners)
        facing = np.cos(theta[:, None] - normals)
        return np.minimum(
            (distances / facing.clip(1e-6)).min(-1), 1.8
        )  # very sharp corners are cut
    raise ValueError(f"unknown shape {shape!r}")


class _Object:
    """One moving, deforming thing: outline and pose at every frame, and the texture it wears.

    Object coordinates (unit size) -> bend -> stretch -> rotation, scale -> position in the frame.
    The bend (u += a v^2, then v += b u^2) is inverted exactly: texture and outline move together.
    """

    def __init__(self, outline, bend, matrix, position, slide):
        """
        Args:
            outline: (N, K, 2) undeformed outline at each frame, object coordinates.
            bend: (N, 2) a and b.
            matrix: (N, 2, 2) stretch, rotation and scale.
            position: (N, 2) centre in the frame.
            slide: (N, 2) shift of the texture under the outline, object coordinates.
        """
        u = outline[..., 0] + bend[:, :1] * outline[..., 1] ** 2
        v = outline[..., 1] + bend[:, 1:] * u**2
        self.contour = np.stack([u, v], -1) @ matrix.transpose(0, 2, 1) + position[:, None]
        self.low = self.contour.min(1)
        self.high = self.contour.max(1)
        self.bend, self.position, self.slide = bend, position, slide
        self.inverse = np.linalg.inv(matrix)
        self.velocity = np.gradient(position, axis=0) if len(position) > 1 else 0 * position
        self.reach = float(
            np.abs(outline).max() + np.abs(slide).max()
        )  # the patch covers +/- reach
        self.patch = None  # (side, side, 3) uint8, set when the textures are painted

    @property
    def boxes(self):
        return np.concatenate([self.low, self.high - self.low], -1)


def _visible(target, above, height, width, frames):
    """Fraction of a target's area that is inside the frame and under nothing, per frame."""
    out = np.empty(len(frames))
    for n, i in enumerate(frames):
        low, high = target.low[i], target.high[i]
        zoom = min(1.0, 48 / (high - low).max())
        size = np.ceil((high - low) * zoom).astype(int) + 2
        mask = np.zeros((size[1], size[0]), np.uint8)

        def draw(contour, value, mask=mask, low=low, zoom=zoom):
            points = pixels((contour - low) * zoom + 1)
            cv2.fillPoly(mask, [points], value, shift=SUBPIXEL)

        draw(target.contour[i], 1)
        area = cv2.countNonZero(mask)
        for other in above:
            if (other.low[i] < high).all() and (other.high[i] > low).all():
                draw(other.contour[i], 0)
        x0, y0 = np.maximum(np.round(-low * zoom).astype(int) + 1, 0)
        x1, y1 = np.maximum(np.round((np.array([width, height]) - low) * zoom).astype(int) + 1, 0)
        out[n] = cv2.countNonZero(mask[y0:y1, x0:x1]) / area if x1 > x0 and y1 > y0 else 0.0
    return out


def _longest_run(flags):
    """Length of the longest run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))


class _Frames(AbstractSequence):
    """The frames of a video, rendered when asked for."""

    def __init__(self, video):
        self._video = video

    def __len__(self):
        return self._video.length

    def __getitem__(self, i):
        i = int(i)
        n = len(self)
        if not -n <= i < n:
            raise IndexError(f"frame {i} of a video of {n} frames")
        return self._video.render(i % n)


class SyntheticVideo:
    """A video of the synthetic world.

    Target 0 is the one to track; the others are its distractors: objects of the same shape family
    that wear another texture of the same family. All keep the sides of their boxes within `SIDE`
    and `RATIO`. Target 0 is visible at first, hidden for at most `MAX_HIDDEN` frames in a row, and
    less than half visible in at most `MAX_COVERED` of the frames.

    Attributes:
        frames: lazy sequence of (height, width, 3) BGR uint8.
        boxes: (targets, length, 4) float64 `xywh` of the whole shape, hidden parts included.
        visible: (targets, length) float64 in 0..1, visible share of the shape's area.
    """

    def __init__(self, seed, length=120, height=240, width=320, split="train"):
        """
        Args:
            seed: which video, >= 0; the same number is another video in the other split.
            length: frames.
            height, width: px, at least 160 x 160.
            split: "train" or "test"; they share no texture.
        """
        if split not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}, not {split!r}")
        if seed < 0 or length < 1 or min(height, width) < 160:
            raise ValueError("need seed >= 0, length >= 1 and at least 160 x 160 px")
        self.seed, self.length, self.height, self.width, self.split = (
            seed,
            length,
            height,
            width,
            split,
        )
        for attempt in range(ATTEMPTS):
            self._plan(self._rng("plan", attempt))
            if self._promises_hold():
                break
        else:
            raise RuntimeError(f"no valid plan for seed {seed} of {split}, {length} frames")
        self.frames = _Frames(self)
        self.boxes = np.stack([o.boxes for o in self._targets])

    def __repr__(self):
        size = f"{self.height}, {self.width}"
        return f"SyntheticVideo({self.seed}, {self.length}, {size}, {self.split!r})"

    def _rng(self, purpose, number=0):
        key = [SPLITS.index(self.split), self.seed, sum(purpose.encode()), number]
        return np.random.default_rng(np.random.SeedSequence(key))

    # --- the plan: what moves where

    def _plan(self, rng):
        t = np.arange(self.length, dtype=np.float64)
        families = textures.FAMILIES[self.split]
        self.shape = str(rng.choice(SHAPES))
        self.family = str(rng.choice(families))
        shake = rng.uniform(0, 1.2) * np.stack([_wave(rng, (3, 9))(t) for _ in range(2)], -1)
        self._camera(rng, t, shake)
        target = self._draw_object(rng, t, shake)
        size = np.sqrt(np.prod(target.high - target.low, -1).mean())
        others = [self._draw_object(rng, t, shake, like=size) for _ in range(rng.integers(2, 4))]
        below = int(rng.integers(0, len(others) + 1))
        occluders = self._draw_occluders(rng, t, target)
        self._targets = [target, *others]
        # painted in this order
        self._layers = [*others[:below], target, *others[below:], *occluders]
        self._occluders = occluders
        # exposure, colour of the light, defocus, shutter, noise
        self._gain = np.exp(rng.uniform(0.05, 0.25) * _wave(rng, (40, 200))(t))
        self._tint = 1 + 0.06 * np.stack([_wave(rng, (60, 200))(t) for _ in range(3)], -1)
        self._light_at = np.stack([_wave(rng, (60, 300))(t) for _ in range(2)], -1)
        self._light_depth = rng.uniform(0.1, 0.35)
        self._defocus = np.maximum(rng.uniform(0, 1.6) * _wave(rng, (40, 150))(t), 0)
        self._shutter = rng.uniform(0, 0.7) if rng.uniform() < 0.6 else 0.0
        self._noise_level = rng.uniform(1.0, 7.0)

    def _camera(self, rng, t, shake):
        """Affine map from the frame to the scene image, per frame."""
        pan = np.array([rng.uniform(5, 50), rng.uniform(5, 35)])
        offset = pan * np.stack([_wave(rng, (80, 300))(t) for _ in range(2)], -1)
        zoom = np.exp(rng.uniform(0, 0.1) * _wave(rng, (80, 300))(t))
        roll = np.radians(rng.uniform(0, 5)) * _wave(rng, (80, 300))(t)
        turn = rotation(roll) * zoom[:, None, None]
        centre = np.array([self.width, self.height]) / 2
        self._scene_size = (self.height + 120, self.width + 160)
        middle = np.array(self._scene_size[::-1]) / 2
        shift = middle + offset - np.einsum("nij,nj->ni", turn, centre + shake)
        self._view = np.concatenate([turn, shift[..., None]], -1)

    def _draw_object(self, rng, t, shake, like=None):
        """An object with valid sides, mostly inside the frame; `like`: of about this size."""
        for _ in range(ATTEMPTS):
            elongation = np.exp(rng.uniform(0, 0.85) * rng.uniform(0.2, 1))
            low, high = SIDE[0] * 1.7 * np.sqrt(elongation), SIDE[1] / 1.3 / np.sqrt(elongation)
            size = np.exp(rng.uniform(np.log(low), np.log(high)))
            if like is not None:
                size = np.clip(like * rng.uniform(0.75, 1.25), low, high)
            outline = self._draw_outline(rng, t)
            bend = rng.uniform(0.0, 0.35, 2) * np.stack(
                [_wave(rng, (30, 120))(t) for _ in range(2)], -1
            )
            squeeze = np.sqrt(elongation) * np.exp(
                rng.uniform(0.02, 0.14) * _wave(rng, (30, 150))(t)
            )
            scale = size * np.exp(rng.uniform(0.05, 0.32) * _wave(rng, (60, 240))(t))
            if rng.uniform() < 0.2:  # keeps turning; otherwise swings
                spin = rng.uniform(0.3, 1.8) * rng.choice([-1, 1]) * t
            else:
                spin = rng.uniform(5, 45) * _wave(rng, (50, 200))(t)
            stretch = np.stack([scale * squeeze, scale / squeeze], -1)
            matrix = rotation(rng.uniform(0, TAU) + np.radians(spin)) * stretch[:, None]
            slide = rng.uniform(0, 0.12, 2) * np.stack(
                [_wave(rng, (40, 160))(t) for _ in range(2)], -1
            )
            thing = _Object(outline, bend, matrix, np.zeros((len(t), 2)), slide)
            sides = thing.high - thing.low
            ratio = sides[:, 0] / sides[:, 1]
            if (
                sides.min() >= SIDE[0]
                and sides.max() <= SIDE[1]
                and max(ratio.max(), 1 / ratio.min()) <= RATIO
            ):
                position = self._draw_path(rng, t, sides.max(0), size) + shake
                return _Object(outline, bend, matrix, position, slide)
        raise RuntimeError(f"no valid object for {self!r}")

    def _draw_outline(self, rng, t):
        """(N, CONTOUR, 2) breathing outline around the origin; its box has about unit area."""
        theta = np.arange(CONTOUR) * TAU / CONTOUR
        radii = _radii(rng, self.shape, theta)
        modes = np.cos(np.outer(np.arange(2, 5), theta) + rng.uniform(0, TAU, (3, 1)))
        wobble = np.stack([_wave(rng, (20, 90))(t) for _ in range(3)], -1) * rng.uniform(
            0.02, 0.1, 3
        )
        directions = np.stack([np.cos(theta), np.sin(theta)], -1)
        unit = np.sqrt(np.prod(np.ptp(radii[:, None] * directions, axis=0)))
        return (radii / unit * (1 + wobble @ modes))[..., None] * directions

    def _draw_path(self, rng, t, extent, size):
        """(N, 2) centres: a path over most of the frame, slow enough for the search region."""
        frame = np.array([self.width, self.height])
        room = (frame - 0.95 * extent).clip(10) / 2
        swing = room * rng.uniform(0.75, 1.0, 2)
        middle = frame / 2 + (room - swing) * rng.uniform(-1, 1, 2)
        waves = [_wave(rng, (60, 200)) for _ in range(2)]
        long = np.arange(0, 1200, 3.0)
        step = np.diff(np.stack([w(long) for w in waves], -1) * swing, axis=0) / 3
        peak = np.linalg.norm(step, axis=-1).max()
        pace = min(rng.uniform(*PEAK_SPEED), 0.3 * size) / peak
        return middle + swing * np.stack([w.faster(pace)(t) for w in waves], -1)

    def _draw_occluders(self, rng, t, target):
        """Things that cross the target's way now and then; some hide it wholly."""
        occluders = []
        meeting = rng.uniform(20, 50)
        while meeting < self.length + 5:
            i = min(int(meeting), self.length - 1)
            size = target.high[i] - target.low[i]
            diagonal = float(np.hypot(*size))
            heading = rng.uniform(0, TAU)
            across = np.array([np.cos(heading), np.sin(heading)])
            whole = rng.uniform() < 0.4
            # thickness along the way decides how long, breadth across it how much is hidden
            thick = diagonal * (rng.uniform(1.05, 1.4) if whole else rng.uniform(0.3, 0.6))
            broad = diagonal * (rng.uniform(1.2, 2.5) if whole else rng.uniform(0.4, 2.0))
            aside = (
                np.array([-across[1], across[0]])
                * size.mean()
                * (0 if whole else rng.uniform(-0.5, 0.5))
            )
            speed = target.velocity[i] + across * rng.uniform(5, 10)
            position = target.position[i] + aside + speed * (t - meeting)[:, None]
            theta = np.arange(CONTOUR) * TAU / CONTOUR
            corner = rng.uniform(4, 16)  # superellipse: from rounded to rectangular
            radii = (np.abs(np.cos(theta)) ** corner + np.abs(np.sin(theta)) ** corner) ** (
                -1 / corner
            )
            outline = 0.5 * radii[:, None] * np.stack([np.cos(theta), np.sin(theta)], -1)
            turn = heading + rng.uniform(-0.15, 0.15)
            matrix = rotation(turn) * [thick, broad]
            n = len(t)
            occluders.append(
                _Object(
                    np.broadcast_to(outline, (n, CONTOUR, 2)),
                    np.zeros((n, 2)),
                    np.broadcast_to(matrix, (n, 2, 2)),
                    position,
                    np.zeros((n, 2)),
                )
            )
            meeting += rng.uniform(40, 80)
        return occluders

    def _promises_hold(self):
        target = self._targets[0]
        start = _visible(target, self._above(target), self.height, self.width, [0])
        if start[0] < 0.98:
            return False
        self._target_visible = _visible(
            target, self._above(target), self.height, self.width, range(self.length)
        )
        covered = self._target_visible < 0.5
        hidden = self._target_visible < HIDDEN
        return covered.mean() <= MAX_COVERED and _longest_run(hidden) <= MAX_HIDDEN

    def _above(self, thing):
        return self._layers[self._layers.index(thing) + 1 :]

    @cached_property
    def visible(self):
        """(objects, length) 0..1, visible share of each object's outline; row 0 is the target."""
        rest = [
            _visible(o, self._above(o), self.height, self.width, range(self.length))
            for o in self._targets[1:]
        ]
        return np.stack([self._target_visible, *rest])

    # --- the paint

    @cached_property
    def _scene(self):
        """Scene image and light map; paints the objects' patches as well."""
        rng = self._rng("paint")
        # the scene and the occluders do not wear the target's pattern
        families = [f for f in textures.FAMILIES[self.split] if f != self.family]
        height, width = self._scene_size
        scene = _paint_scene(rng, families, height, width)
        palette = textures.draw_palette(rng)
        for n, thing in enumerate(self._targets):
            if n:  # distractors: nearly the target's colours, or others
                hue = (0.05, 0.12) if rng.uniform() < 0.35 else (0.15, 0.5)
                paint = textures.vary_palette(rng, palette, hue)
            else:
                paint = palette
            self._paint_object(rng, thing, self.family, paint)
        for thing in self._occluders:
            paint = textures.draw_palette(rng, (0.1, 0.6))
            self._paint_object(rng, thing, str(rng.choice(families)), paint)
        light = textures.noise(rng, self.height // 4 + 20, self.width // 4 + 20, 2, 1)
        light = (
            (128 * (1 + self._light_depth * light.clip(-1.6, 1.6))).clip(30, 255).astype(np.uint8)
        )
        light = cv2.resize(light, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
        grain = rng.standard_normal((self.height + 64, self.width + 64, 3), dtype=np.float32)
        grain = np.round(grain * self._noise_level).astype(np.int8)
        return scene, cv2.merge([light] * 3), grain

    def _paint_object(self, rng, thing, family, palette):
        extent = float((thing.high - thing.low).max())
        side = int(np.clip(extent * 1.1, 24, 200))
        image = textures.texture(rng, family, palette, side, side)
        v, u = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
        direction = rng.uniform(0, TAU)
        shade = (
            0.85 + 0.3 * (np.cos(direction) * u + np.sin(direction) * v) - 0.25 * (u * u + v * v)
        )
        thing.patch = (
            (image * shade.astype(np.float32)[..., None] * 255).clip(0, 255).astype(np.uint8)
        )

    def render(self, i):
        """Frame i as (height, width, 3) BGR uint8."""
        scene, light, grain = self._scene
        image = cv2.warpAffine(
            scene,
            centred(self._view[i]),
            (self.width, self.height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        for thing in self._layers:
            self._paste(image, thing, i)
        y, x = ((self._light_at[i, ::-1] + 1) * 40).astype(int)
        image = cv2.multiply(image, light[y : y + self.height, x : x + self.width], scale=1 / 128)
        if self._defocus[i] > 0.35:
            image = cv2.GaussianBlur(image, (0, 0), float(self._defocus[i]))
        levels = np.arange(256)[:, None] * (self._gain[i] * self._tint[i])
        image = cv2.LUT(image, levels.clip(0, 255).astype(np.uint8)[:, None])
        y, x = self._rng("grain", i).integers(0, 65, 2)
        return cv2.add(image, grain[y : y + self.height, x : x + self.width], dtype=cv2.CV_8U)

    def _paste(self, image, thing, i):
        smear = thing.velocity[i] * self._shutter
        smear = smear if np.hypot(*smear) >= 1.5 else np.zeros(2)
        margin = 2 + np.abs(smear) / 2
        x0, y0 = np.maximum(np.floor(thing.low[i] - margin).astype(int), 0)
        x1, y1 = np.minimum(np.ceil(thing.high[i] + margin).astype(int), [self.width, self.height])
        if x1 <= x0 or y1 <= y0:
            return
        # frame -> bent object coordinates -> object coordinates -> patch
        a = thing.inverse[i].astype(np.float32)
        x = np.arange(x0, x1, dtype=np.float32) + np.float32(0.5 - thing.position[i, 0])
        y = np.arange(y0, y1, dtype=np.float32)[:, None] + np.float32(0.5 - thing.position[i, 1])
        u = a[0, 0] * x + a[0, 1] * y
        v = a[1, 0] * x + a[1, 1] * y
        bend, slide = thing.bend[i].astype(np.float32), thing.slide[i].astype(np.float32)
        v -= bend[1] * u * u
        u -= bend[0] * v * v
        half = np.float32((len(thing.patch) - 1) / 2)
        zoom = half / np.float32(thing.reach)
        u = (u + slide[0]) * zoom + half
        v = (v + slide[1]) * zoom + half
        wear = cv2.remap(thing.patch, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        cover = coverage([thing.contour[i] - [x0, y0]], *wear.shape[:2])
        if smear.any():
            kernel = _line_kernel(smear)
            wear = cv2.filter2D(wear, -1, kernel)
            cover = cv2.filter2D(cover, -1, kernel, borderType=cv2.BORDER_REPLICATE)
        image[y0:y1, x0:x1] = blend(wear, image[y0:y1, x0:x1], cover)


def _line_kernel(smear):
    """Motion blur along a vector (px): a thin line of weight 1."""
    side = int(np.ceil(np.abs(smear).max() / 2)) * 2 + 1
    kernel = np.zeros((side, side), np.uint8)
    middle = np.array([side, side]) / 2
    ends = pixels(np.stack([middle - smear / 2, middle + smear / 2]))
    cv2.line(
        kernel, tuple(map(int, ends[0])), tuple(map(int, ends[1])), 255, 1, cv2.LINE_AA, SUBPIXEL
    )
    return kernel.astype(np.float32) / kernel.sum()


def _paint_scene(rng, families, height, width):
    """A still background: multi-octave noise with textured structures that cast soft shadows."""
    half = (height // 2, width // 2)

    def full(image):
        image = (image * 255).clip(0, 255).astype(np.uint8)
        return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)

    muted = (0.1, 0.55)
    ground = (0.5 + 0.22 * textures.noise(rng, *half, 3, 6, 0.65)).clip(0, 1)
    scene = full(textures.colour(ground, textures.draw_palette(rng, muted)))
    theta = np.arange(CONTOUR) * TAU / CONTOUR
    directions = np.stack([np.cos(theta), np.sin(theta)], -1)
    for _ in range(rng.integers(2, 5)):
        palette = textures.draw_palette(rng, muted)
        image = textures.texture(
            rng, str(rng.choice(families)), palette, half[0] // 2, half[1] // 2
        )
        image = np.concatenate([image, image[:, ::-1]], 1)  # mirrored: no seams
        image = full(np.concatenate([image, image[::-1]], 0))
        mask = np.zeros((height, width), np.uint8)
        for _ in range(rng.integers(2, 7)):
            outline = _radii(rng, str(rng.choice(SHAPES)), theta)[:, None] * directions
            stretch = np.exp(rng.uniform(-0.8, 0.8)) ** np.array([1, -1]) * rng.uniform(12, 45)
            turn = rotation(rng.uniform(0, TAU))
            points = outline * stretch @ turn.T + rng.uniform(0, 1, 2) * [width, height]
            cv2.fillPoly(mask, [pixels(points)], 255, cv2.LINE_AA, SUBPIXEL)
        shadow = cv2.GaussianBlur(np.roll(mask, (3, 4), (0, 1)), (0, 0), 4)
        shadow = 255 - (shadow * np.float32(0.45)).astype(np.uint8)
        scene = cv2.multiply(scene, cv2.merge([shadow] * 3), scale=1 / 255)
        scene = blend(image, scene, mask)
    grain = (128 * (1 + 0.05 * textures.noise(rng, height, width, 60, 3, 0.9))).clip(0, 255)
    return cv2.multiply(scene, cv2.merge([grain.astype(np.uint8)] * 3), scale=1 / 128)
