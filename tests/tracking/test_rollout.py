from types import SimpleNamespace

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from siamjax import models
from siamjax.errors import UserError
from siamjax.tracking import Settings, Tracker, TrackerConfig, rollout, tracker

CLOSE = {"rtol": 1e-4, "atol": 2e-2}  # px; float32 on both sides


@pytest.mark.parametrize(
    "shape, fits", [((4, 6), True), ((3, 5), True), ((5, 6), False), ((4, 7), False)]
)
def test_frames_that_do_not_fit_are_given_back(shape, fits):
    place = np.zeros((4, 6, 3), np.uint8)
    frame = np.full((*shape, 3), 7, np.uint8)
    size, larger = rollout._read(SimpleNamespace(frames=[frame]), 3, place)
    assert tuple(size) == shape[::-1]
    assert larger is None if fits else np.shares_memory(larger, frame)
    assert place.any() == fits


@pytest.fixture(scope="module")
def parts(tiny):
    model = models.build(tiny.config)
    config = TrackerConfig.of(tiny.config)
    settings = Settings(*(jnp.float32(v) for v in config.settings()))
    return model, config.structure(), tiny.variables, settings


@pytest.fixture(scope="module")
def loop(parts, clip):
    """One target, frame by frame, by a jitted step: boxes (11, 4), scores, states."""
    model, config, variables, settings = parts
    start = jax.jit(tracker.init, static_argnums=(0, 1))
    step = jax.jit(tracker.update, static_argnums=(0, 1))

    def run(frames, box, settings=settings):
        state = start(model, config, variables, frames[0], np.float32(box))
        steps = []
        for frame in frames[1:]:
            state, found = step(model, config, variables, settings, state, frame)
            steps.append(found)
        return np.stack([s.box for s in steps]), np.stack([s.score for s in steps])

    return run


def start_state(parts, clip, box=None):
    model, config, variables, _ = parts
    box = clip.boxes[0] if box is None else box
    start = jax.jit(tracker.init, static_argnums=(0, 1))
    return start(model, config, variables, clip.frames[0], np.float32(box))


@pytest.mark.slow
def test_jit_equals_no_jit(parts, clip, loop):
    model, config, variables, settings = parts
    state = start_state(parts, clip)
    state, step = tracker.update(model, config, variables, settings, state, clip.frames[1])
    boxes, scores = loop(clip.frames[:2], clip.boxes[0])
    np.testing.assert_allclose(step.box, boxes[0], **CLOSE)
    np.testing.assert_allclose(step.score, scores[0], atol=1e-5)


def test_device_tracker_equals_the_session(tiny, clip, loop):
    session = Tracker(tiny.config, tiny.variables)
    session.init(clip.frames[0], clip.boxes[0])
    predictions = [session.update(frame) for frame in clip.frames[1:]]
    boxes, scores = loop(clip.frames, clip.boxes[0])
    np.testing.assert_allclose([p.box for p in predictions], boxes, **CLOSE)
    np.testing.assert_allclose([p.score for p in predictions], scores, atol=1e-4)


def test_scan_equals_loop(parts, clip, loop):
    model, config, variables, settings = parts
    scan = jax.jit(rollout.rollout, static_argnums=(0, 1))
    state = start_state(parts, clip)
    _, steps = scan(model, config, variables, settings, state, clip.frames[1:])
    boxes, scores = loop(clip.frames, clip.boxes[0])
    np.testing.assert_allclose(steps.box, boxes, **CLOSE)
    np.testing.assert_allclose(steps.score, scores, atol=1e-4)


def test_many_targets_equal_each_alone(parts, tiny, clip, loop):
    model, _, variables, _ = parts
    targets = np.float32([clip.boxes[0], (100, 20, 40, 40), (10, 10, 20, 60)])
    clips = [rollout.Clip(clip.frames, box) for box in targets]
    tracks = dict(rollout.track_clips(model, TrackerConfig.of(tiny.config), variables, clips))
    for i, target in enumerate(targets):
        boxes, scores = loop(clip.frames, target)
        np.testing.assert_allclose(tracks[i].boxes[1:], boxes, **CLOSE)
        np.testing.assert_allclose(tracks[i].scores[1:], scores, atol=1e-4)


def test_many_settings_equal_each_alone(parts, clip, loop):
    model, config, variables, settings = parts
    grid = [(0.05, 0.42, 0.38), (0.3, 0.1, 0.9), (0.0, 0.7, 0.1)]
    batch = Settings(
        *(jnp.float32([row[i] for row in grid]) for i in range(3)),
        *(jnp.full(3, value) for value in settings[3:]),
    )
    state = start_state(parts, clip)

    def follow(settings):
        return rollout.rollout(model, config, variables, settings, state, clip.frames[1:])

    _, steps = jax.jit(jax.vmap(follow))(batch)
    for i in range(3):
        one = Settings(*(leaf[i] for leaf in batch))
        boxes, _ = loop(clip.frames, clip.boxes[0], one)
        np.testing.assert_allclose(steps.box[i], boxes, **CLOSE)
    assert not np.allclose(steps.box[0], steps.box[1])


def test_clips_of_all_lengths_and_sizes_equal_each_alone(parts, tiny, clip):
    model, _, variables, _ = parts
    config = TrackerConfig.of(tiny.config)
    cropped = clip.frames[:, :101, :131]
    clips = [
        rollout.Clip(clip.frames, clip.boxes[0]),
        rollout.Clip(cropped[:6], (40, 50, 30, 24)),
        rollout.Clip(clip.frames[::-1], clip.boxes[-1]),
        rollout.Clip(np.concatenate([clip.frames, clip.frames], 1)[:4], (20, 150, 30, 30)),
        rollout.Clip(clip.frames[:1], (1, 2, 3, 4)),
    ]
    tracks = dict(rollout.track_clips(model, config, variables, clips, batch=2, chunk=3, threads=2))
    assert sorted(tracks) == list(range(5))
    session = Tracker(tiny.config, tiny.variables)
    for i, one in enumerate(clips):
        assert tracks[i].boxes.shape == (len(one.frames), 4)
        np.testing.assert_array_equal(tracks[i].boxes[0], one.box)
        if len(one.frames) > 1:
            session.init(one.frames[0], one.box)
            alone = [session.update(frame) for frame in one.frames[1:]]
            np.testing.assert_allclose(tracks[i].boxes[1:], [p.box for p in alone], **CLOSE)
            np.testing.assert_allclose(tracks[i].scores[1:], [p.score for p in alone], atol=1e-4)


@pytest.mark.slow
def test_a_frame_size_that_changes_is_followed(parts, tiny, clip, loop):
    """Session, batch and the step on each frame as it is agree.

    Before: `Tracker.update` gave "a frame of 106x80 px in a video of 160x120 px: all frames need
    the same size", `track_clips` padded a smaller frame with black that counted as picture, and a
    larger one was "ValueError: could not broadcast input array from shape (240,320,3)".
    """
    sizes = [(106, 80)] * 4 + [(160, 120)] * 4 + [(106, 80)] * 4
    frames = [cv2.resize(frame, size) for frame, size in zip(clip.frames, sizes)]
    box = (60.0, 40.0, 30.0, 26.0)
    boxes, scores = loop(frames, box)
    session = Tracker(tiny.config, tiny.variables)
    session.init(frames[0], box)
    alone = [session.update(frame) for frame in frames[1:]]
    np.testing.assert_allclose([p.box for p in alone], boxes, **CLOSE)
    model, _, variables, _ = parts
    clips = [rollout.Clip(clip.frames, clip.boxes[0]), rollout.Clip(frames, box)]
    config = TrackerConfig.of(tiny.config)
    tracks = dict(rollout.track_clips(model, config, variables, clips, batch=2, chunk=3))
    np.testing.assert_allclose(tracks[1].boxes[1:], boxes, **CLOSE)
    np.testing.assert_allclose(tracks[1].scores[1:], scores, atol=1e-4)
    steady, _ = loop(clip.frames, clip.boxes[0])
    np.testing.assert_allclose(tracks[0].boxes[1:], steady, **CLOSE)
    centres = boxes[:, :2] + boxes[:, 2:] / 2
    assert (centres <= np.array(sizes[1:])).all()  # the box's centre stays inside of each frame


def test_settings_do_not_compile_again(parts, clip):
    model, config, variables, settings = parts
    step = jax.jit(tracker.update, static_argnums=(0, 1))
    state = start_state(parts, clip)
    compiled = []
    for lr in (0.1, 0.2):
        new = settings._replace(lr=jnp.float32(lr))
        step(model, config, variables, new, state, clip.frames[1])
        compiled.append(step._cache_size())
    assert compiled[0] == compiled[1]


def test_state_is_donated(parts, clip):
    model, config, variables, settings = parts
    sizes, boxes = np.int32([[160, 120]]), np.float32([clip.boxes[0]])
    state = rollout.init_clips(model, config, variables, clip.frames[None, 0], boxes, sizes)
    sizes = sizes[:, None].repeat(2, 1)
    rollout.follow_clips(model, config, variables, settings, state, clip.frames[None, 1:3], sizes)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state.kernels))


def test_a_clip_whose_first_box_is_refused_is_named(tiny, clip):
    clips = [rollout.Clip(clip.frames, (0, 0, 5000, 40), "cat: box")]
    config = TrackerConfig.of(tiny.config)
    model = models.build(tiny.config)
    with pytest.raises(UserError, match="cat: box 0,0,5000,40: more than 10 times the frame"):
        next(rollout.track_clips(model, config, tiny.variables, clips))
