"""Host and device crop along the tracks that the device tracker itself takes, on real videos."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from siamjax import models
from siamjax.datasets import registry
from siamjax.geometry import crops, device_crops
from siamjax.tracking import Settings, TrackerConfig, tracker

pytestmark = [pytest.mark.reference, pytest.mark.slow]


def test_crops_are_equal_at_every_frame(reference, tiny):
    benchmark = registry.load("OTB100", str(reference / "data/eval/OTB100"))
    model, config = models.build(tiny.config), TrackerConfig.of(tiny.config)
    settings = Settings(*(jnp.float32(v) for v in config.settings()))
    start = jax.jit(tracker.init, static_argnums=(0, 1))

    @functools.partial(jax.jit, static_argnums=0)
    def step(config, variables, state, frame):
        side = tracker.window(config, settings, state.motion, False).side
        crop = device_crops.device_subwindow(
            frame, state.motion.centre, config.instance, side, state.average
        )
        new, found = tracker.update(model, config, variables, settings, state, frame)
        return new, found, crop, side

    compared = outside = 0
    for sequence in benchmark.sequences:
        frame = sequence.frames[0]
        state = start(model, config, tiny.variables, frame, np.float32(sequence.groundtruth[0]))
        np.testing.assert_array_equal(state.average, crops.colour_mean(frame))
        for i in range(1, len(sequence)):
            frame = sequence.frames[i]
            centre = np.asarray(state.motion.centre)
            average = np.asarray(state.average)
            state, _, crop, side = step(config, tiny.variables, state, frame)
            side = int(side)
            host = crops.subwindow(frame, centre, config.instance, side, average)
            np.testing.assert_array_equal(np.asarray(crop), host)
            compared += 1
            x, y = crops.window_origin(centre, side)
            height, width = frame.shape[:2]
            outside += x < 0 or y < 0 or x + side > width or y + side > height
    print(f"{compared} crops equal, {outside} of them reach outside the frame")
    assert compared > 1000
    assert outside > 100
