"""A network small enough to compile in seconds, with the geometry of the real ones."""

import os
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from configs import base

os.environ.setdefault("SIAMJAX_CACHE", "off")  # tests leave the home alone


def tiny_config(**tracker):
    config = base.get_config()
    config.model.backbone = "resnet18"
    config.model.width = 0.0625
    config.model.blocks = (1, 1, 1, 1)
    config.model.levels = (2, 3)
    config.model.adjust_channels = (8,)
    for name, value in tracker.items():
        config.tracker[name] = value
    return config.lock()


@pytest.fixture(scope="session")
def tiny():
    """Config and random variables of a tiny tracker, with logits and offsets of a sensible size."""
    from siamjax import models

    config = tiny_config()
    variables = models.init_variables(models.build(config), seed=0)
    for level in ("level2", "level3"):
        for branch, gain in (("cls", 1e-4), ("loc", 5e-6)):
            out = variables["params"]["head"][level][branch]["out"]
            out["kernel"] = out["kernel"] * np.float32(gain)
            out["bias"] = out["bias"] * 0
    return SimpleNamespace(config=config, variables=variables)


@pytest.fixture(scope="session")
def clip():
    """12 frames of 160x120 px: a textured square that moves over a textured ground; its boxes."""
    rng = np.random.default_rng(0)
    ground = cv2.resize(rng.integers(0, 128, (15, 20, 3), dtype=np.uint8), (160, 120))
    patch = cv2.resize(rng.integers(128, 256, (5, 5, 3), dtype=np.uint8), (30, 24))
    frames, boxes = [], []
    for i in range(12):
        x, y = 40 + 3 * i, 50 + i
        frame = ground.copy()
        frame[y : y + 24, x : x + 30] = patch
        frames.append(frame)
        boxes.append((x, y, 30, 24))
    return SimpleNamespace(frames=np.stack(frames), boxes=np.array(boxes, float))
