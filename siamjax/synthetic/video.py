"""A video of the synthetic world."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from siamjax.synthetic import textures
from siamjax.synthetic.bodies import SHAPES
from siamjax.synthetic.plan import NoPlan, Plan
from siamjax.synthetic.render import Renderer

SPLITS = tuple(textures.FAMILIES)
ATTEMPTS = 200  # plans drawn until one keeps its promises; long clips seldom have one,
FRAMES = 120_000  # so that no more than these are planned
ZOOM = 1.6  # the largest `zoom`: more does not fit between the shortest and the longest side


class SyntheticVideo:
    """A video of the synthetic world.

    Target 0 is the one to track; the others are its distractors: objects of the same shape family
    that wear another texture of the same family. All keep the sides of their boxes within
    `plan.SIDE` and `plan.RATIO`. Target 0 is visible at first, hidden for at most `plan.MAX_HIDDEN`
    frames in a row, and less than half visible in at most `plan.MAX_COVERED` of the frames.

    With `categories` every target is of one of so many: a category has its shape family, its
    texture family and its colours, and each target an outline, a pattern and a motion of its own.
    The distractors are of the target's category.

    Attributes:
        plan: what moves where.
        frames: lazy sequence of (height, width, 3) BGR uint8.
        boxes: (targets, length, 4) float64 `xywh` of the whole shape, hidden parts included.
        category: of the targets, 0..categories - 1; None without categories.
    """

    def __init__(
        self, seed, length=120, height=240, width=320, split="train", categories=0, zoom=1.0
    ):
        """
        Args:
            seed: which video, >= 0; the same number is another video in the other split.
            length: frames.
            height, width: px, at least 160 x 160.
            split: "train" or "test"; they share no texture.
            categories: how many there are; seed s has the category s % categories. 0: none.
            zoom: further factor of the changes of scale, 1..1.6; 1: up to 1.38 around the mean.

        Raises:
            ValueError: an argument is out of range.
            NoPlan: no clip of this seed and length keeps the promises.
        """
        if split not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}, not {split!r}")
        if seed < 0 or length < 1 or min(height, width) < 160:
            raise ValueError("needs seed >= 0, length >= 1 and at least 160x160 px")
        if categories < 0 or not 1 <= zoom <= ZOOM:
            raise ValueError(f"needs categories >= 0 and a zoom of 1..{ZOOM}")
        self.category = seed % categories if categories else None
        families, shape, self._palette = textures.FAMILIES[split], None, None
        if self.category is not None:
            families, shape, self._palette = _appearance(split, self.category)
        self.seed, self.split = seed, split
        self.length, self.height, self.width = length, height, width
        for attempt in range(max(min(ATTEMPTS, FRAMES // length), 1)):
            rng = self._rng("plan", attempt)
            self.plan = Plan(rng, families, length, height, width, zoom, shape)
            if self.plan.keeps_promises():
                break
        else:
            raise NoPlan(f"no valid plan for seed {seed} of {split}, {length} frames")
        self.frames = _Frames(self)
        self.boxes = np.stack([body.boxes for body in self.plan.targets])

    def __repr__(self):
        size = f"{self.height}, {self.width}"
        return f"SyntheticVideo({self.seed}, {self.length}, {size}, {self.split!r})"

    @cached_property
    def visible(self) -> np.ndarray:
        """(targets, length) float64 in 0..1, visible share of the shape's area."""
        return np.stack([self.plan.visible(b) for b in self.plan.targets])

    @cached_property
    def _renderer(self):
        families = textures.FAMILIES[self.split]
        return Renderer(self.plan, self._rng("paint"), families, self._palette)

    def render(self, i: int) -> np.ndarray:
        """Frame i as (height, width, 3) BGR uint8."""
        return self._renderer.render(i, self._rng("grain", i))

    def _rng(self, purpose, number=0):
        key = [SPLITS.index(self.split), self.seed, sum(purpose.encode()), number]
        return np.random.default_rng(np.random.SeedSequence(key))


def _appearance(split, category):
    """The texture families (one), the shape family and the palette of a category."""
    families = textures.FAMILIES[split]
    key = [SPLITS.index(split), sum(b"category"), category]
    palette = textures.draw_palette(np.random.default_rng(np.random.SeedSequence(key)))
    # neighbours in number differ in family; shape changes when the families are used up
    shape = SHAPES[(category + category // len(families)) % len(SHAPES)]
    return (families[category % len(families)],), shape, palette


class _Frames(Sequence):
    """The frames of a video, rendered when asked for."""

    def __init__(self, video):
        self._video = video

    def __len__(self):
        return self._video.length

    def __getitem__(self, i):
        if not -len(self) <= i < len(self):
            raise IndexError(f"frame {i} of a video of {len(self)} frames")
        return self._video.render(int(i) % len(self))
