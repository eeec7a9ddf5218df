"""The pure functions by hand: sides of windows, the frame's edges, the constants."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import base
from siamjax import models
from siamjax.evaluation import protocols
from siamjax.geometry import crops
from siamjax.tracking import Settings, Tracker, TrackerConfig, decode, session, tracker

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
    assert tracker.template_window(config, motion)[1] == 89
    for lost, instance, influence in ((False, 255, 0.42), (True, 831, 0.001)):
        window = tracker.window(config, config.settings(), motion, lost)
        assert window.side == round(side * instance / 127)
        assert window.scale == pytest.approx(127 / side)
        assert (window.instance, window.influence) == (instance, influence)
    short = tracker.window(CONFIG, CONFIG.settings(), motion, True)
    assert (short.instance, short.influence) == (255, 0.42)


def seen_windows(config, count=40):
    """Of random targets: centre and scale that answers count from, and those of the crop's pixels,
    read from an image whose grey levels are the columns' and rows' numbers."""
    columns, rows = np.meshgrid(np.arange(250, dtype=np.uint8), np.arange(250, dtype=np.uint8))
    image = np.stack([columns, rows, rows], -1)
    rng = np.random.default_rng(0)
    for _ in range(count):
        size = rng.uniform(11, 24, 2)
        motion = tracker.begin(np.array([*rng.uniform(100, 140, 2), *size]), config.exact_windows)
        place = tracker.window(config, config.settings(), motion, False)
        crop = crops.subwindow(image, place.centre, 255, place.side, np.zeros(3)).astype(float)
        # a pixel's middle lies half a pixel behind its number
        centre = crop[..., :2].mean((0, 1)) + 0.5
        left, right = crop[:, 20, 0].mean(), crop[:, -21, 0].mean()
        yield place, centre, 214 / (right - left)


def test_exact_windows_lie_where_their_pixels_are():
    exact, published = TrackerConfig(exact_windows=True), TrackerConfig()
    for place, centre, scale in seen_windows(exact):
        np.testing.assert_allclose(place.centre, centre, atol=0.2)  # whole grey levels
        assert place.scale == pytest.approx(scale, rel=0.012)
    away = [place.centre - centre for place, centre, _ in seen_windows(published)]
    np.testing.assert_allclose(np.mean(away, 0), 0.5, atol=0.2)
    assert (exact.half_pixel_start, published.half_pixel_start) == (False, True)


def test_exact_windows_on_host_and_device():
    config = TrackerConfig(exact_windows=True)
    place = jax.jit(
        lambda box: tracker.window(config, config.settings(), tracker.begin(box, True), False)[:3]
    )
    for box in np.random.default_rng(1).uniform(10, 60, (20, 4)):
        host = tracker.window(config, config.settings(), tracker.begin(box, True), False)
        with jax.numpy_dtype_promotion("strict"):
            centre, side, scale = place(jnp.asarray(box, jnp.float32))
        if int(side) == host.side:  # float32 may round a tie to the other side
            assert np.abs(np.asarray(centre) - host.centre).max() in (0, 1)
            assert float(scale) == pytest.approx(host.scale, rel=1e-6)
        np.testing.assert_array_equal(host.centre * 2 % 1, 0)


def test_the_start_of_an_exact_tracker_is_the_box(tiny, clip):
    config = tiny.config.copy_and_resolve_references().unlock()
    config.tracker.exact_windows = True
    exact = session.Tracker(config, tiny.variables, warm_up=False)
    assert protocols.start_box(exact, clip.boxes[0]) == tuple(clip.boxes[0])
    exact.init(clip.frames[0], clip.boxes[0])
    np.testing.assert_array_equal(exact.motion.centre, clip.boxes[0][:2] + clip.boxes[0][2:] / 2)
    before = exact.motion
    search = exact.search(clip.frames[1])
    found = np.array([8.0, -4.0, 60, 50, 0.9, 1.0, 0, 0.5])
    exact.advance(search, found, decode.Response(None, None))
    np.testing.assert_allclose(
        exact.motion.centre, search.window.centre + found[:2] / search.window.scale
    )
    assert np.abs(search.window.centre - before.centre).max() <= 0.5


def test_default_constants_are_those_of_the_base_experiment():
    assert TrackerConfig.of(base.get_config()) == TrackerConfig()
