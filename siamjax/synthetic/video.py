"""A video of the synthetic world."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from siamjax.synthetic import textures
from siamjax.synthetic.plan import Plan
from siamjax.synthetic.render import Renderer

SPLITS = tuple(textures.FAMILIES)
ATTEMPTS = 200  # plans drawn until one keeps its promises


class SyntheticVideo:
    """A video of the synthetic world.

    Target 0 is the one to track; the others are its distractors: objects of the same shape family
    that wear another texture of the same family. All keep the sides of their boxes within
    `plan.SIDE` and `plan.RATIO`. Target 0 is visible at first, hidden for at most `plan.MAX_HIDDEN`
    frames in a row, and less than half visible in at most `plan.MAX_COVERED` of the frames.

    Attributes:
        plan: what moves where.
        frames: lazy sequence of (height, width, 3) BGR uint8.
        boxes: (targets, length, 4) float64 `xywh` of the whole shape, hidden parts included.
    """

    def __init__(self, seed, length=120, height=240, width=320, split="train"):
        """
        Args:
            seed: which video, >= 0; the same number is another video in the other split.
            length: frames.
            height, width: px, at least 160 x 160.
            split: "train" or "test"; they share no texture.

        Raises:
            ValueError: an argument is out of range.
        """
        if split not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}, not {split!r}")
        if seed < 0 or length < 1 or min(height, width) < 160:
            raise ValueError("need seed >= 0, length >= 1 and at least 160 x 160 px")
        self.seed, self.split = seed, split
        self.length, self.height, self.width = length, height, width
        for attempt in range(ATTEMPTS):
            rng = self._rng("plan", attempt)
            self.plan = Plan(rng, textures.FAMILIES[split], length, height, width)
            if self.plan.keeps_promises():
                break
        else:
            raise RuntimeError(f"no valid plan for seed {seed} of {split}, {length} frames")
        self.frames = _Frames(self)
        self.boxes = np.stack([body.boxes for body in self.plan.targets])

    def __repr__(self):
        size = f"{self.height}, {self.width}"
        return f"SyntheticVideo({self.seed}, {self.length}, {size}, {self.split!r})"

    @cached_property
    def visible(self) -> np.ndarray:
        """(targets, length) float64 in 0..1, visible share of the shape's area."""
        return np.stack([self.plan.visible(b, range(self.length)) for b in self.plan.targets])

    @cached_property
    def _renderer(self):
        return Renderer(self.plan, self._rng("paint"), textures.FAMILIES[self.split])

    def render(self, i: int) -> np.ndarray:
        """Frame i as (height, width, 3) BGR uint8."""
        return self._renderer.render(i, self._rng("grain", i))

    def _rng(self, purpose, number=0):
        key = [SPLITS.index(self.split), self.seed, sum(purpose.encode()), number]
        return np.random.default_rng(np.random.SeedSequence(key))


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
