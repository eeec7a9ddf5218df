"""What moves where in a synthetic video: camera, target, distractors, occluders, light."""

import numpy as np

from siamjax.synthetic.bodies import ANGLES, DIRECTIONS, SHAPES, Body, draw_radii, meets, visible
from siamjax.synthetic.drawing import rotation
from siamjax.synthetic.motion import TAU, draw_wave, draw_waves

SIDE = (20.0, 110.0)  # px, shortest and longest side of a target's box at any time
RATIO = 3.0  # largest ratio between the sides of a target's box
PEAK_SPEED = (4.0, 9.0)  # px / frame, of the centre's smooth motion
MAX_HIDDEN = 6  # frames in a row that a target may be hidden
MAX_COVERED = 0.08  # share of the frames in which less than half of it may be visible
HIDDEN = 0.1  # visible share below which a target counts as hidden
ATTEMPTS = 200  # objects drawn until one keeps the limits above


class NoPlan(RuntimeError):
    """No motion was drawn that keeps the limits."""


class Plan:
    """The motion of everything in a video of N frames.

    Attributes:
        family: texture family of the targets.
        targets: the target, then its distractors.
        occluders: what crosses the target's way.
        layers: all of them in the order of painting.
        view: (N, 2, 3) map from the frame to the scene image, px.
        scene_size: height and width of the scene image, px.
        gain: (N,) exposure.
        tint: (N, 3) colour of the light.
        light_at: (N, 2) place of the pattern of light, -1..1.
        light_depth: contrast of that pattern.
        defocus: (N,) sigma, px.
        shutter: share of a frame's time that it is open.
        noise_level: sigma of the noise, grey levels.
    """

    def __init__(self, rng, families, length, height, width, zoom=1.0, shape=None):
        """
        Args:
            rng: a NumPy generator; draws everything.
            families: texture families to choose from.
            length: frames N.
            height, width: px.
            zoom: further factor between mean and largest size of the target.
            shape: family of the targets' outlines; None: any.

        Raises:
            NoPlan: no object keeps the limits for so many frames.
        """
        self.length, self.height, self.width = length, height, width
        self._zoom = zoom
        t = np.arange(length, dtype=np.float64)
        drawn = str(rng.choice(SHAPES))
        self._shape = shape or drawn
        self.family = str(rng.choice(families))
        shake = rng.uniform(0, 1.2) * draw_waves(rng, (3, 9), t)
        self._draw_camera(rng, t, shake)
        target = self._draw_object(rng, t, shake)
        size = np.sqrt(np.prod(target.high - target.low, -1).mean())
        others = [self._draw_object(rng, t, shake, like=size) for _ in range(rng.integers(2, 4))]
        below = int(rng.integers(0, len(others) + 1))
        self.targets = [target, *others]
        self.occluders = self._draw_occluders(rng, t, target)
        self.layers = [*others[:below], target, *others[below:], *self.occluders]
        self.gain = np.exp(rng.uniform(0.05, 0.25) * draw_wave(rng, (40, 200))(t))
        self.tint = 1 + 0.06 * draw_waves(rng, (60, 200), t, 3)
        self.light_at = draw_waves(rng, (60, 300), t)
        self.light_depth = rng.uniform(0.1, 0.35)
        self.defocus = np.maximum(rng.uniform(0, 1.6) * draw_wave(rng, (40, 150))(t), 0)
        self.shutter = rng.uniform(0, 0.7) if rng.uniform() < 0.6 else 0.0
        self.noise_level = rng.uniform(1.0, 7.0)

    def keeps_promises(self):
        """Whether the target is visible at first and not hidden too long or too often."""
        covered = hidden = 0
        for i, share in enumerate(self._shares(self.targets[0])):
            covered += share < 0.5
            hidden = hidden + 1 if share < HIDDEN else 0
            late = covered / self.length > MAX_COVERED or hidden > MAX_HIDDEN
            if late or (i == 0 and share < 0.98):
                return False
        return True

    def visible(self, body):
        """(N,) 0..1, visible share of a body's outline."""
        return np.array([*self._shares(body)])

    def _shares(self, body):
        above = self.layers[self.layers.index(body) + 1 :]
        for i, near in enumerate(meets(body, above).T):
            there = [above[k] for k in np.flatnonzero(near)]
            yield visible(body, there, self.height, self.width, i)

    def _draw_camera(self, rng, t, shake):
        pan = np.array([rng.uniform(5, 50), rng.uniform(5, 35)])
        offset = pan * draw_waves(rng, (80, 300), t)
        zoom = np.exp(rng.uniform(0, 0.1) * draw_wave(rng, (80, 300))(t))
        roll = np.radians(rng.uniform(0, 5)) * draw_wave(rng, (80, 300))(t)
        turn = rotation(roll) * zoom[:, None, None]
        centre = np.array([self.width, self.height]) / 2
        self.scene_size = (self.height + 120, self.width + 160)
        middle = np.array(self.scene_size[::-1]) / 2
        shift = middle + offset - np.einsum("nij,nj->ni", turn, centre + shake)
        self.view = np.concatenate([turn, shift[..., None]], -1)

    def _draw_object(self, rng, t, shake, like=None):
        """An object with valid sides, mostly inside the frame; `like`: of about this size."""
        for _ in range(ATTEMPTS):
            elongation = np.exp(rng.uniform(0, 0.85) * rng.uniform(0.2, 1))
            low, high = self._sizes(elongation)
            size = np.exp(rng.uniform(np.log(low), np.log(high)))
            if like is not None:
                size = np.clip(like * rng.uniform(0.75, 1.25), low, high)
            outline = self._draw_outline(rng, t)
            bend = rng.uniform(0.0, 0.35, 2) * draw_waves(rng, (30, 120), t)
            wave = rng.uniform(0.02, 0.14) * draw_wave(rng, (30, 150))(t)
            squeeze = np.sqrt(elongation) * np.exp(wave)
            change = rng.uniform(0.05, 0.32) + np.log(self._zoom)
            scale = size * np.exp(change * draw_wave(rng, (60, 240))(t))
            if rng.uniform() < 0.2:  # keeps turning; otherwise swings
                spin = rng.uniform(0.3, 1.8) * rng.choice([-1, 1]) * t
            else:
                spin = rng.uniform(5, 45) * draw_wave(rng, (50, 200))(t)
            stretch = np.stack([scale * squeeze, scale / squeeze], -1)
            matrix = rotation(rng.uniform(0, TAU) + np.radians(spin)) * stretch[:, None]
            slide = rng.uniform(0, 0.12, 2) * draw_waves(rng, (40, 160), t)
            body = Body(outline, bend, matrix, np.zeros((len(t), 2)), slide)
            sides = body.high - body.low
            ratio = sides[:, 0] / sides[:, 1]
            within = sides.min() >= SIDE[0] and sides.max() <= SIDE[1]
            if within and max(ratio.max(), 1 / ratio.min()) <= RATIO:
                position = self._draw_path(rng, t, sides.max(0), size) + shake
                return Body(outline, bend, matrix, position, slide)
        raise NoPlan(f"no valid object in {ATTEMPTS} attempts")

    def _sizes(self, elongation):
        """Smallest and largest mean size, px, of an object that may keep the limits."""
        low, high = SIDE[0] * 1.7 * np.sqrt(elongation), SIDE[1] / 1.3 / np.sqrt(elongation)
        if self._zoom == 1:
            return low, high
        middle, room = np.log(low * high) / 2, np.log(high / low) / 2
        room = max(room - np.log(self._zoom) / 2, 0.0)
        return np.exp(middle - room), np.exp(middle + room)

    def _draw_outline(self, rng, t):
        """(N, POINTS, 2) breathing outline around the origin; its box has about unit area."""
        radii = draw_radii(rng, self._shape)
        modes = np.cos(np.outer(np.arange(2, 5), ANGLES) + rng.uniform(0, TAU, (3, 1)))
        wobble = draw_waves(rng, (20, 90), t, 3) * rng.uniform(0.02, 0.1, 3)
        unit = np.sqrt(np.prod(np.ptp(radii[:, None] * DIRECTIONS, axis=0)))
        return (radii / unit * (1 + wobble @ modes))[..., None] * DIRECTIONS

    def _draw_path(self, rng, t, extent, size):
        """(N, 2) centres: a path over most of the frame, slow enough for the search region."""
        frame = np.array([self.width, self.height])
        room = (frame - 0.95 * extent).clip(10) / 2
        swing = room * rng.uniform(0.75, 1.0, 2)
        middle = frame / 2 + (room - swing) * rng.uniform(-1, 1, 2)
        waves = [draw_wave(rng, (60, 200)) for _ in range(2)]
        long = np.arange(0, 1200, 3.0)
        step = np.diff(np.stack([wave(long) for wave in waves], -1) * swing, axis=0) / 3
        peak = np.linalg.norm(step, axis=-1).max()
        pace = min(rng.uniform(*PEAK_SPEED), 0.3 * size) / peak
        return middle + swing * np.stack([wave.faster(pace)(t) for wave in waves], -1)

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
            sideways = np.array([-across[1], across[0]]) * size.mean()
            sideways = sideways * (0 if whole else rng.uniform(-0.5, 0.5))
            speed = target.velocity[i] + across * rng.uniform(5, 10)
            position = target.position[i] + sideways + speed * (t - meeting)[:, None]
            corner = rng.uniform(4, 16)  # superellipse: from rounded to rectangular
            radii = (np.abs(DIRECTIONS) ** corner).sum(-1) ** (-1 / corner)
            outline = 0.5 * radii[:, None] * DIRECTIONS
            matrix = rotation(heading + rng.uniform(-0.15, 0.15)) * [thick, broad]
            still = np.zeros((len(t), 2))
            matrix = np.broadcast_to(matrix, (len(t), 2, 2))
            occluders.append(Body(outline, still, matrix, position, still))
            meeting += rng.uniform(40, 80)
        return occluders
