"""The pure functions by hand: sides of windows, the frame's edges, the constants."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import base
from siamjax import models
from siamjax.tracking import Settings, Tracker, TrackerConfig, tracker

WIDTH, HEIGHT = 160, 120
CONFIG = TrackerConfig(lr=1.0)


class Runaway(models.SiamRPN):
    """Always answers with the square anchor of the middle cell, moved and resized by its `step`."""

    step: float = 0.0

    def setup(self):
        pass

    def encode(self, z):
        return jnp.zeros(())

    def respond(self, kernels, x):
        cls = (
            jnp.zeros((1, 25, 25, 10))
            .at[..., :5]
            .set(50.0)
            .at[0, 12, 12, [2, 7]]
            .set(jnp.array([0.0, 50.0]))
        )
        return cls, jnp.full((1, 25, 25, 20), self.step)


def on_the_device(model, padding=0):
    """Boxes of a short-term tracker in a frame that may be padded to the right and below."""
    shape = (HEIGHT + padding, WIDTH + padding, 3)
    frame = np.zeros(shape, np.uint8)
    size = np.int32([WIDTH, HEIGHT]) if padding else None
    settings = Settings(*map(jnp.float32, CONFIG.settings()))
    state = tracker.init(model, CONFIG, {}, frame, np.float32([70, 50, 30, 20]), size)
    step = jax.jit(tracker.update, static_argnums=(0, 1))
    for _ in range(30):
        state, found = step(model, CONFIG, {}, settings, state, frame, size)
    return np.asarray(found.box)


def on_the_host(model, tiny):
    config = tiny.config.copy_and_resolve_references().unlock()
    config.tracker.lr = 1.0
    session = Tracker(config, tiny.variables, warm_up=False)
    session._model, session._variables = model, {}
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    session.init(frame, (70, 50, 30, 20))
    return [session.update(frame).box for _ in range(30)][-1]


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        # the centre stops at the corner of the frame, the size at that of the frame
        (0.5, (WIDTH / 2, HEIGHT / 2, WIDTH, HEIGHT)),
        # the centre stops at the other corner, the size at 10 px
        (-0.5, (-5, -5, 10, 10)),
    ],
)
def test_a_target_that_leaves_stops_at_the_edges(tiny, step, expected):
    model = Runaway(step=step)
    np.testing.assert_array_equal(on_the_host(model, tiny), expected)
    np.testing.assert_array_equal(on_the_device(model), expected)
    np.testing.assert_array_equal(on_the_device(model, padding=64), expected)


@pytest.mark.parametrize("array", [np.array, jnp.array])
def test_windows_by_hand(array):
    motion = tracker.begin(array([10.0, 20.0, 30.0, 60.0]))
    np.testing.assert_array_equal(motion.centre, [24.5, 49.5])
    np.testing.assert_array_equal(motion.size, [30, 60])
    assert not motion.lost
    side = ((30 + 45) * (60 + 45)) ** 0.5  # 88.7
    config = TrackerConfig(long_term=True)
    assert tracker.template_side(config, motion) == 89
    for lost, instance, influence in ((False, 255, 0.42), (True, 831, 0.001)):
        window = tracker.window(config, config.settings(), motion, lost)
        assert window.side == round(side * instance / 127)
        assert window.scale == pytest.approx(127 / side)
        assert (window.instance, window.influence) == (instance, influence)
    short = tracker.window(CONFIG, CONFIG.settings(), motion, True)
    assert (short.instance, short.influence) == (255, 0.42)


def test_default_constants_are_those_of_the_base_experiment():
    assert TrackerConfig.of(base.get_config()) == TrackerConfig()
