"""The long-term switch, step by step and on a made video."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from siamjax import models
from siamjax.tracking import Settings, Tracker, TrackerConfig, decode, steps, tracker

LOW, HIGH = 0.8, 0.998


class Script:
    """The rules in plain Python, fed with what a network might have said."""

    def __init__(self, box, width, height, settings):
        x, y, w, h = box
        self.cx, self.cy, self.w, self.h = x + (w - 1) / 2, y + (h - 1) / 2, w, h
        self.lost = False
        self.frame = (width, height)
        self.lr = settings.lr

    def side(self):
        return ((self.w + (self.w + self.h) / 2) * (self.h + (self.w + self.h) / 2)) ** 0.5

    def step(self, dx, dy, w, h, score, penalty):
        instance = 831 if self.lost else 255
        scale = 127 / self.side()
        if score >= LOW:
            lr = penalty * score * self.lr
            self.cx, self.cy = self.cx + dx / scale, self.cy + dy / scale
            self.w = self.w * (1 - lr) + w / scale * lr
            self.h = self.h * (1 - lr) + h / scale * lr
        cx = max(0, min(self.cx, self.frame[0]))
        cy = max(0, min(self.cy, self.frame[1]))
        w, h = max(10, min(self.w, self.frame[0])), max(10, min(self.h, self.frame[1]))
        if score < LOW:
            self.lost = True
        elif score > HIGH:
            self.lost = False
        return instance, (cx - w / 2, cy - h / 2, w, h)


def says(rng, count):
    """Random candidates: offsets, sizes, scores around both thresholds, penalties."""
    for _ in range(count):
        score = rng.choice([rng.uniform(0, 1), rng.uniform(0.99, 1), LOW, HIGH])
        yield (*rng.normal(0, 60, 2), *rng.uniform(20, 200, 2), score, rng.uniform(0.2, 1))


def test_session_follows_the_rules_step_by_step(tiny, monkeypatch):
    config = tiny.config.copy_and_resolve_references().unlock()
    config.tracker.long_term = True
    tracked = Tracker(config, tiny.variables, warm_up=False)
    frame = np.zeros((240, 320, 3), np.uint8)
    tracked.init(frame, (100, 80, 40, 60))
    script = Script((100, 80, 40, 60), 320, 240, tracked.constants.settings())
    seen = []

    def answer(search):
        seen.append((search.window.influence == 0.001, search.crop.shape[0]))
        *numbers, score, penalty = candidate
        return np.array([*numbers, score, penalty, 0, 0.5]), decode.Response(None, None)

    monkeypatch.setattr(tracked, "answer", answer)
    visited = set()
    for candidate in says(np.random.default_rng(3), 300):
        prediction = tracked.update(frame)
        instance, box = script.step(*candidate)
        assert seen[-1] == (instance == 831, instance)
        np.testing.assert_allclose(prediction.box, box, rtol=1e-9, atol=1e-9)
        assert tracked.motion.lost == script.lost
        assert prediction.lost == (candidate[4] < LOW)
        outside = not (0 <= script.cx <= 320 and 0 <= script.cy <= 240)
        visited.add((script.lost, outside))
        if abs(script.cx) + abs(script.cy) > 3000:
            break
    assert visited == {(False, False), (False, True), (True, False), (True, True)}


@pytest.mark.parametrize("long_term", [False, True])
def test_device_state_equals_the_host_state(long_term):
    config = TrackerConfig(long_term=long_term)
    rng = np.random.default_rng(0)
    size = np.array([320, 240])
    host = tracker.begin(np.array([100.0, 80, 40, 60]))
    device = tracker.begin(jnp.array([100.0, 80, 40, 60]))
    step = jax.jit(tracker.advance, static_argnums=0)
    for *numbers, score, penalty in says(rng, 40):
        candidate = decode.Candidate(
            np.array(numbers[:2]), np.array(numbers[2:]), score, penalty, 0, 0.5
        )
        scale = tracker.window(config, config.settings(), host, False).scale
        host, box, _ = tracker.advance(config, config.settings(), host, candidate, scale, size)
        device, device_box, _ = step(config, config.settings(), device, candidate, scale, size)
        np.testing.assert_allclose(device_box, box, rtol=1e-4, atol=1e-2)
        assert bool(device.lost) == bool(host.lost)
        # continue from the same state: float32 would drift
        centre, size_now = (jnp.asarray(v, jnp.float32) for v in host[:2])
        device = device._replace(centre=centre, size=size_now)


class ColourNetwork(models.SiamRPN):
    """Finds the template's colour: score high in the cells that show it, offsets zero."""

    def setup(self):
        pass

    def encode(self, z):
        middle = z.shape[1] // 2
        return z[0, middle - 24 : middle + 25, middle - 24 : middle + 25].mean((0, 1))

    def respond(self, kernels, x):
        crop = x[0]
        side = (crop.shape[0] - 127) // 8 + 9
        middle = crop.shape[0] // 2
        places = middle + (jnp.arange(side) - side // 2) * 8
        neighbours = (places[:, None] + jnp.arange(-24, 25, 12)[None]).reshape(-1)
        pixels = crop[neighbours][:, neighbours].reshape(side, 5, side, 5, 3)
        colours = pixels.astype(jnp.float32).mean((1, 3))
        distance = jnp.abs(colours - kernels[None, None]).mean(-1)
        logit = 12 - distance
        cls = jnp.concatenate([jnp.zeros((side, side, 5)), jnp.stack([logit] * 5, -1)], -1)
        return cls.at[..., [5, 6, 8, 9]].add(-20.0)[None], jnp.zeros((1, side, side, 20))


def made_video(gone=range(6, 12), back=(300, 220)):
    """A red square moves to the right, leaves, and returns far away; its boxes, None while gone."""
    frames, boxes = [], []
    for i in range(24):
        frame = np.full((360, 480, 3), 60, np.uint8)
        place = (
            None if i in gone else (60 + 4 * i, 60) if i < gone[0] else (back[0] - 3 * i, back[1])
        )
        if place:
            x, y = place
            frame[y : y + 30, x : x + 30] = (20, 30, 220)
        frames.append(frame)
        boxes.append(place and (x, y, 30, 30))
    return frames, boxes


def error(box, truth):
    return max(abs(a - b) for a, b in zip(box, truth))


@pytest.fixture
def colour_session(tiny, monkeypatch):
    """Sessions around the colour network; each compiles two small programs."""

    def make(long_term):
        config = tiny.config.copy_and_resolve_references().unlock()
        config.tracker.long_term = long_term
        made = Tracker(config, tiny.variables, warm_up=False)
        made._model = ColourNetwork()
        return made

    return make


def test_lost_and_found_again(colour_session):
    frames, boxes = made_video()
    tracked = colour_session(True)
    tracked.init(frames[0], boxes[0])
    found = [None] + [tracked.update(frame) for frame in frames[1:]]
    for i in range(1, 6):
        assert not found[i].lost
        assert error(found[i].box, boxes[i]) < 6
    assert all(found[i].lost for i in range(6, 12))
    last_seen = found[5].box
    assert error(found[11].box, last_seen) < 1e-9  # it waits where it was
    # found in the first frame of the large search, and followed by the small one from then on
    assert not found[12].lost
    for i in range(14, 24):
        assert not found[i].lost
        assert error(found[i].box, boxes[i]) < 8
    assert not tracked.motion.lost


def test_short_term_tracker_does_not_find_it_again(colour_session):
    frames, boxes = made_video()
    tracked = colour_session(False)
    tracked.init(frames[0], boxes[0])
    last = [tracked.update(frame) for frame in frames[1:]][-1]
    assert last.lost
    assert error(last.box, boxes[-1]) > 100


def test_init_ends_being_lost(colour_session):
    frames, boxes = made_video()
    tracked = colour_session(True)
    tracked.init(frames[0], boxes[0])
    for frame in frames[1:8]:
        tracked.update(frame)
    assert tracked.motion.lost
    tracked.init(frames[0], boxes[0])
    assert not tracked.motion.lost


def test_device_long_term_equals_the_session(colour_session, tiny):
    frames, boxes = made_video()
    tracked = colour_session(True)
    config = tracked.constants
    start = jax.jit(tracker.init, static_argnums=(0, 1))
    step = jax.jit(tracker.update, static_argnums=(0, 1))
    model = ColourNetwork()
    settings = Settings(*(jnp.float32(v) for v in config.settings()))
    tracked.init(frames[0], boxes[0])
    state = start(model, config, {}, frames[0], np.float32(boxes[0]))
    for frame in frames[1:]:
        prediction = tracked.update(frame)
        state, found = step(model, config, {}, settings, state, frame)
        np.testing.assert_allclose(found.box, prediction.box, rtol=1e-4, atol=2e-2)
        assert bool(state.motion.lost) == bool(tracked.motion.lost)


def test_both_sizes_are_compiled_at_construction(tiny):
    config = tiny.config.copy_and_resolve_references().unlock()
    config.tracker.long_term = True
    config.tracker.lost_instance = 415  # as 831, on a smaller map
    tracked = Tracker(config, tiny.variables)
    compiled = len(steps.answer.programs)
    frame = np.zeros((100, 120, 3), np.uint8)
    tracked.init(frame, (20, 20, 30, 30))
    tracked.update(frame)
    tracked.motion = tracked.motion._replace(lost=True)
    tracked.update(frame)
    assert len(steps.answer.programs) == compiled
