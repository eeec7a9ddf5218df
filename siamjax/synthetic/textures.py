"""Textures of the synthetic world: random fields coloured by palettes, determined by a generator.

Each split of the world draws from families of its own (`FAMILIES`), so no pattern that is seen in
training occurs in the test world. Everything is float32 in 0..1 until it becomes a BGR uint8 image.
"""

import colorsys
import math

import cv2
import numpy as np

FAMILIES = {
    "train": ("stripes", "dots", "marble", "flecks", "clouds"),
    "test": ("checks", "rings", "cells", "zigzag", "petals"),
}

TAU = 2 * math.pi


def noise(rng, height, width, cells, octaves=4, persistence=0.6):
    """Value noise: sum of smooth fields, each twice as fine and `persistence` times as strong.

    Args:
        cells: lattice cells of the coarsest octave along the longer side.

    Returns:
        (height, width) float32 of mean 0 and standard deviation 1.
    """
    total = np.zeros((height, width), np.float32)
    longer = max(height, width)
    for octave in range(octaves):
        step = longer / (cells * 2**octave)
        if step < 1.5:  # finer than the pixels
            break
        shape = int(height / step) + 3, int(width / step) + 3
        lattice = rng.standard_normal(shape, dtype=np.float32)
        fine = cv2.resize(lattice, (width, height), interpolation=cv2.INTER_CUBIC)
        total += persistence**octave * fine
    return (total - total.mean()) / max(float(total.std()), 1e-6)


def _triangle(x):
    """Triangle wave of period 1, -1..1."""
    return 4 * np.abs(x - np.floor(x + 0.5)) - 1


def _worley(rng, u, v):
    """Nearest over second nearest distance to jittered points: 0 at points, 1 on cell borders."""
    n = rng.integers(3, 6)
    grid = np.stack(np.meshgrid(np.arange(n), np.arange(n)), -1)
    at = (grid + rng.uniform(0.1, 0.9, (n, n, 2))) * (2.4 / n) - 1.2
    at = at.reshape(-1, 2).astype(np.float32)
    squared = (u[..., None] - at[:, 0]) ** 2 + (v[..., None] - at[:, 1]) ** 2
    nearest = np.sqrt(np.partition(squared, 1, axis=-1)[..., :2])
    return nearest[..., 0] / nearest[..., 1]


def field(rng, family, height, width):
    """A pattern of one family with drawn frequency, direction, phase, distortion and hardness.

    Args:
        rng: a NumPy generator.
        family: one of `FAMILIES`.
        height, width: px.

    Returns:
        (height, width) float32 in 0..1.

    Raises:
        ValueError: no such family.
    """
    longer = max(height, width)
    v, u = np.mgrid[0:height, 0:width].astype(np.float32)
    u = (2 * u - width + 1) / longer
    v = (2 * v - height + 1) / longer
    bend = rng.uniform(0.03, 0.12)
    u = u + bend * noise(rng, height, width, 2, 2)
    v = v + bend * noise(rng, height, width, 2, 2)
    # Python's floats keep the arrays float32
    angle, phase = rng.uniform(0, TAU), rng.uniform(0, TAU)
    cos, sin = math.cos(angle), math.sin(angle)
    u, v = cos * u + sin * v, cos * v - sin * u
    frequency = rng.uniform(1.2, 3.2)  # periods per half side
    hardness = rng.uniform(0.8, 5.0)
    if family == "stripes":
        wave = np.sin(TAU * frequency * u + phase)
    elif family == "dots":
        wave = np.cos(TAU * frequency * u) + np.cos(TAU * frequency * v) - rng.uniform(0, 0.8)
    elif family == "marble":
        swirl = noise(rng, height, width, rng.integers(2, 4), 3, 0.5)
        wave = np.sin(TAU * (frequency * 0.3 * u + 0.6 * swirl) + phase)
    elif family == "flecks":
        wave = noise(rng, height, width, rng.integers(5, 10), 2) + rng.uniform(-0.6, 0.6)
    elif family == "clouds":
        return (0.5 + 0.25 * noise(rng, height, width, rng.integers(2, 4), 5)).clip(0, 1)
    elif family == "checks":
        wave = np.sin(TAU * frequency * u + phase) * np.sin(TAU * frequency * v)
    elif family == "rings":
        du, dv = rng.uniform(-0.6, 0.6), rng.uniform(-0.6, 0.6)
        wave = np.sin(TAU * frequency * np.hypot(u - du, v - dv) + phase)
    elif family == "cells":
        wave = 2 * _worley(rng, u, v) - rng.uniform(0.9, 1.5)
    elif family == "zigzag":
        fold = rng.uniform(0.2, 0.5) * _triangle(rng.uniform(1.0, 2.5) * v)
        wave = np.sin(TAU * frequency * (u + fold) + phase)
    elif family == "petals":
        turns = int(rng.integers(3, 8)) * np.arctan2(v, u)
        wave = np.sin(turns + TAU * rng.uniform(0, 1.2) * np.hypot(u, v) + phase)
    else:
        raise ValueError(f"unknown texture family {family!r}")
    # the larger the hardness, the harder the edges of the pattern
    return (0.5 + 0.5 * np.tanh(hardness * wave) / math.tanh(hardness)).clip(0, 1)


def draw_palette(rng, saturation=(0.35, 0.95)):
    """Three colours as rows of hue, saturation, value in 0..1: dark, middle, light."""
    hue = rng.uniform()
    hues = hue + np.array([0.0, rng.uniform(0.05, 0.5), rng.uniform(-0.2, 0.2)])
    values = np.array([rng.uniform(0.1, 0.4), rng.uniform(0.4, 0.8), rng.uniform(0.7, 1.0)])
    return np.stack([hues % 1, rng.uniform(*saturation, 3), values], -1)


def vary_palette(rng, palette, hue):
    """The palette with all hues turned by +/- `hue` (a range, turns), the rest slightly changed."""
    turn = rng.uniform(*hue) * rng.choice([-1, 1])
    varied = palette + rng.uniform(-0.08, 0.08, palette.shape)
    varied[:, 0] = (palette[:, 0] + turn) % 1
    return varied.clip(0, 1)


def colour(pattern, palette):
    """Maps a field in 0..1 through the palette (dark to light) to a float32 BGR image in 0..1."""
    rgb = np.array([colorsys.hsv_to_rgb(*row) for row in palette])
    steps = np.linspace(0, 1, 256)
    table = np.stack([np.interp(steps, [0, 0.5, 1], rgb[:, c]) for c in (2, 1, 0)], -1)
    return table.astype(np.float32)[(pattern * 255).astype(np.uint8)]


def texture(rng, family, palette, height, width, relief=0.12):
    """A coloured texture: the family's pattern, modulated in brightness by multi-octave noise.

    Args:
        rng, family, height, width: as in `field`, px.
        palette: of `draw_palette`.
        relief: depth of the modulation.

    Returns:
        (height, width, 3) float32 BGR in 0..1 (may exceed 1 slightly).
    """
    image = colour(field(rng, family, height, width), palette)
    return image * (1 + relief * noise(rng, height, width, 4, 5, 0.7))[..., None]
