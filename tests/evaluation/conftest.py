"""A tiny tracker as a weights file, and a benchmark of two short synthetic clips."""

import dataclasses
import os

import numpy as np
import pytest

from siamjax.benchmarks import registry

os.environ.setdefault("SIAMJAX_CACHE", "off")  # tests leave the home alone


@pytest.fixture(scope="session")
def tiny():
    """Config and random variables, with logits and offsets of a sensible size."""
    from configs import base
    from siamjax import models

    config = base.get_config()
    config.model.backbone = "resnet18"
    config.model.width = 0.0625
    config.model.blocks = (1, 1, 1, 1)
    config.model.levels = (2, 3)
    config.model.adjust_channels = (8,)
    config.lock()
    variables = models.init_variables(models.build(config), seed=0)
    for level in ("level2", "level3"):
        for branch, gain in (("cls", 1e-4), ("loc", 5e-6)):
            out = variables["params"]["head"][level][branch]["out"]
            out["kernel"] = out["kernel"] * np.float32(gain)
            out["bias"] = out["bias"] * 0
    return config, variables


@pytest.fixture(scope="session")
def checkpoint(tiny, tmp_path_factory):
    from siamjax.models import weights

    path = tmp_path_factory.mktemp("weights") / "tiny.npz"
    weights.save(path, *tiny)
    return path


@pytest.fixture(scope="session")
def clips():
    """Two synthetic clips of 10 and 8 frames."""
    whole = registry.load("synthetic", limit=2)
    short = []
    for sequence, count in zip(whole.sequences, (10, 8), strict=True):
        frames = [sequence.frames[i] for i in range(count)]
        short.append(
            dataclasses.replace(sequence, frames=frames, groundtruth=sequence.groundtruth[:count])
        )
    return dataclasses.replace(whole, sequences=tuple(short))
