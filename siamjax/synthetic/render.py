"""The pixels of a synthetic video: scene, bodies with their textures, light, blur, noise."""

import cv2
import numpy as np

from siamjax.synthetic import textures
from siamjax.synthetic.bodies import DIRECTIONS, SHAPES, draw_radii
from siamjax.synthetic.drawing import SUBPIXEL, blend, centred, coverage, pixels, rotation
from siamjax.synthetic.motion import TAU

ALIKE = (0.0, 0.04)  # turn of the hues between targets of a category


class Renderer:
    """Paints what a plan moves.

    Attributes:
        patches: body -> (side, side, 3) uint8, its texture over +/- its reach.
    """

    def __init__(self, plan, rng, families, palette=None):
        """
        Args:
            plan: a `Plan`.
            rng: a NumPy generator, for what is painted.
            families: texture families to choose from.
            palette: of the targets' category; None: each has its own.
        """
        self._plan = plan
        # the scene and the occluders do not wear the target's pattern
        families = [family for family in families if family != plan.family]
        self._scene = _paint_scene(rng, families, *plan.scene_size)
        self.patches = {}
        shared = palette is not None
        palette = (
            textures.vary_palette(rng, palette, ALIKE) if shared else textures.draw_palette(rng)
        )
        target, *distractors = plan.targets
        self.patches[target] = _paint_body(rng, target, plan.family, palette)
        for body in distractors:  # nearly the target's colours, or others
            hue = (0.05, 0.12) if rng.uniform() < 0.35 else (0.15, 0.5)
            hue = ALIKE if shared else hue
            varied = textures.vary_palette(rng, palette, hue)
            self.patches[body] = _paint_body(rng, body, plan.family, varied)
        for body in plan.occluders:
            palette = textures.draw_palette(rng, (0.1, 0.6))
            self.patches[body] = _paint_body(rng, body, str(rng.choice(families)), palette)
        light = textures.noise(rng, plan.height // 4 + 20, plan.width // 4 + 20, 2, 1)
        light = 128 * (1 + plan.light_depth * light.clip(-1.6, 1.6))
        light = light.clip(30, 255).astype(np.uint8)
        light = cv2.resize(light, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
        self._light = cv2.merge([light] * 3)
        grain = rng.standard_normal((plan.height + 64, plan.width + 64, 3), dtype=np.float32)
        self._grain = np.round(grain * plan.noise_level).astype(np.int8)

    def render(self, i, rng):
        """Frame i as (height, width, 3) BGR uint8; `rng` places the noise."""
        plan = self._plan
        image = cv2.warpAffine(
            self._scene,
            centred(plan.view[i]),
            (plan.width, plan.height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        for body in plan.layers:
            paste(image, body, self.patches[body], i, plan.shutter)
        y, x = ((plan.light_at[i, ::-1] + 1) * 40).astype(int)
        light = self._light[y : y + plan.height, x : x + plan.width]
        image = cv2.multiply(image, light, scale=1 / 128)
        if plan.defocus[i] > 0.35:
            image = cv2.GaussianBlur(image, (0, 0), float(plan.defocus[i]))
        levels = np.arange(256)[:, None] * (plan.gain[i] * plan.tint[i])
        image = cv2.LUT(image, levels.clip(0, 255).astype(np.uint8)[:, None])
        y, x = rng.integers(0, 65, 2)
        grain = self._grain[y : y + plan.height, x : x + plan.width]
        return cv2.add(image, grain, dtype=cv2.CV_8U)


def paste(image, body, patch, i, shutter):
    """Paints a body into an image.

    Args:
        image: (height, width, 3) uint8, changed in place.
        body: a `Body`.
        patch: (side, side, 3) uint8, its texture.
        i: frame.
        shutter: share of the frame's time over which the body's motion smears it.
    """
    smear = body.velocity[i] * shutter
    smear = smear if np.hypot(*smear) >= 1.5 else np.zeros(2)
    margin = 2 + np.abs(smear) / 2
    x0, y0 = np.maximum(np.floor(body.low[i] - margin).astype(int), 0)
    x1, y1 = np.minimum(np.ceil(body.high[i] + margin).astype(int), image.shape[1::-1])
    if x1 <= x0 or y1 <= y0:
        return
    # frame -> bent object coordinates -> object coordinates -> patch
    a = body.inverse[i].astype(np.float32)
    x = np.arange(x0, x1, dtype=np.float32) + np.float32(0.5 - body.position[i, 0])
    y = np.arange(y0, y1, dtype=np.float32)[:, None] + np.float32(0.5 - body.position[i, 1])
    u = a[0, 0] * x + a[0, 1] * y
    v = a[1, 0] * x + a[1, 1] * y
    bend, slide = body.bend[i].astype(np.float32), body.slide[i].astype(np.float32)
    v -= bend[1] * u * u
    u -= bend[0] * v * v
    half = np.float32((len(patch) - 1) / 2)
    zoom = half / np.float32(body.reach)
    u = (u + slide[0]) * zoom + half
    v = (v + slide[1]) * zoom + half
    wear = cv2.remap(patch, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    cover = coverage([body.contour[i] - [x0, y0]], *wear.shape[:2])
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
    start, end = pixels(np.stack([middle - smear / 2, middle + smear / 2])).tolist()
    cv2.line(kernel, start, end, 255, 1, cv2.LINE_AA, SUBPIXEL)
    return kernel.astype(np.float32) / kernel.sum()


def _paint_body(rng, body, family, palette):
    extent = float((body.high - body.low).max())
    side = int(np.clip(extent * 1.1, 24, 200))
    image = textures.texture(rng, family, palette, side, side)
    v, u = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    direction = rng.uniform(0, TAU)
    shade = 0.85 + 0.3 * (np.cos(direction) * u + np.sin(direction) * v) - 0.25 * (u * u + v * v)
    return _bytes(image * shade.astype(np.float32)[..., None])


def _paint_scene(rng, families, height, width):
    """A still background: multi-octave noise with textured structures that cast soft shadows."""
    half = (height // 2, width // 2)

    def full(image):
        return cv2.resize(_bytes(image), (width, height), interpolation=cv2.INTER_LINEAR)

    muted = (0.1, 0.55)
    ground = (0.5 + 0.22 * textures.noise(rng, *half, 3, 6, 0.65)).clip(0, 1)
    scene = full(textures.colour(ground, textures.draw_palette(rng, muted)))
    for _ in range(rng.integers(2, 5)):
        palette = textures.draw_palette(rng, muted)
        family = str(rng.choice(families))
        image = textures.texture(rng, family, palette, half[0] // 2, half[1] // 2)
        image = np.concatenate([image, image[:, ::-1]], 1)  # mirrored: no seams
        image = full(np.concatenate([image, image[::-1]], 0))
        mask = np.zeros((height, width), np.uint8)
        for _ in range(rng.integers(2, 7)):
            outline = draw_radii(rng, str(rng.choice(SHAPES)))[:, None] * DIRECTIONS
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


def _bytes(image):
    """0..1 -> uint8."""
    return (image * 255).clip(0, 255).astype(np.uint8)
