"""The map of presence: monotone, the same on host and device, kept with the weights, and what is
decided by it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamjax import api, constants, models
from siamjax.errors import UserError
from siamjax.models import weights
from siamjax.tracking import TrackerConfig, decode, presence, rollout, tracker

RISING = presence.COUNT - 1 - sum(len(k) - 1 for n, k in presence.KNOTS.items() if n != "score")
# constant, pieces of the score, pieces of the others
MAP = (-2.0, *[1.5] * RISING, *[-0.7] * (presence.COUNT - 1 - RISING))


def candidate(score=0.9, second=0.4, size=(40.0, 20.0), offset=(3.0, 4.0)):
    return decode.Candidate(np.array(offset), np.array(size), np.float64(score), 1.0, 0, second)


def value(lost=False, target=(40.0, 20.0), **named):
    signs = presence.signs(candidate(**named), np.array(target), lost)
    return float(presence.probability(presence.logit(MAP, signs)))


def test_signs_by_hand():
    signs = presence.signs(
        candidate(size=(80.0, 40.0), offset=(30, 40)), np.array([50.0, 8]), False
    )
    assert signs.score == pytest.approx(np.log(9))
    assert signs.second_peak == 0.4
    assert signs.resize == pytest.approx(np.log(3200**0.5 / 20))
    assert signs.moved == pytest.approx(50 / 20)
    # a lost target may be anywhere; a smaller box is as far off as a larger one
    again = presence.signs(candidate(size=(5.0, 25.0), offset=(30, 40)), np.array([50.0, 8]), True)
    assert again.moved == 0
    assert again.resize == pytest.approx(np.log(400 / 125) / 2)


def test_probability_by_hand():
    # score .9: logit 2.197, one whole piece and 0.599 of the next; second peak .4: one and a half;
    # moved 5 / sqrt(800) = 0.177 of 0.3
    moved = 5 / 800**0.5 / 0.3
    total = -2 + 1.5 * (1 + (np.log(9) - 1) / 2) - 0.7 * (1.5 + moved)
    assert value() == pytest.approx(1 / (1 + np.exp(-total)))


@settings(deadline=None, max_examples=50)
@given(
    *[st.tuples(st.floats(0, 1), st.floats(0, 1))] * 2,
    *[st.tuples(st.floats(0.2, 5), st.floats(0.2, 5))],
    *[st.tuples(st.floats(0, 200), st.floats(0, 200))],
)
def test_monotone(scores, peaks, sizes, moves):
    assert value(score=min(scores)) <= value(score=max(scores))
    assert value(second=max(peaks)) <= value(second=min(peaks))
    assert value(offset=(max(moves), 0)) <= value(offset=(0, min(moves)))
    near, far = sorted(sizes, key=lambda factor: abs(np.log(factor)))
    assert value(size=(40 * far, 20 * far)) <= value(size=(40 * near, 20 * near)) + 1e-12


def test_limits_are_the_signs_of_the_weights():
    assert len(presence.limits()) == presence.COUNT == len(MAP)
    for weight, (low, high) in zip(MAP[1:], presence.limits()[1:], strict=True):
        assert (low, high) == ((0, None) if weight > 0 else (None, 0))


def test_memory_by_hand():
    """Two odd frames after three good ones: 2, then .6 * 2 + .4 * 4 and so on."""
    evidence, found = presence.START, []
    for logit in (4.0, 4.0, 4.0, -6.0, -6.0):
        evidence = presence.remember(evidence, logit)
        found.append(evidence)
    np.testing.assert_allclose(found, [2.8, 3.28, 3.568, -0.2592, -2.55552], rtol=1e-12)
    assert float(presence.probability(found[3])) == pytest.approx(1 / (1 + np.exp(0.2592)))
    # smoothing the pieces is smoothing the logit
    frames = [presence.signs(candidate(score=s), np.array([40.0, 20]), False) for s in (0.9, 0.3)]
    logit, pieces = 0.0, np.zeros(presence.COUNT)
    for each in frames:
        logit = presence.remember(logit, presence.logit(MAP, each))
        pieces = presence.remember(pieces, np.array(presence.pieces(each)))
    assert MAP @ pieces == pytest.approx(logit)


def test_the_tracker_remembers():
    """Evidence over three frames, by hand from the logits of each alone; without a map it stays."""
    size, scores = np.array([320, 240]), (0.9, 0.05, 0.6)
    for long_term in (False, True):
        for weighed in (MAP, ()):
            config = TrackerConfig(long_term=long_term, presence=weighed)
            motion, expected = tracker.begin(np.array([100.0, 80, 40, 20])), 2.0
            assert (motion.evidence, motion.evidence.dtype) == (2.0, np.float64)
            for score in scores:
                given = candidate(score=score)
                logit = presence.logit(MAP, presence.signs(given, motion.size * 1.3, motion.lost))
                motion, _, verdict = tracker.advance(
                    config, config.settings(), motion, given, 1.3, size
                )
                if not weighed:
                    assert (motion.evidence, verdict.presence) == (2.0, None)
                    continue
                expected = 0.6 * expected + 0.4 * logit
                assert motion.evidence == pytest.approx(expected)
                assert verdict.presence == pytest.approx(1 / (1 + np.exp(-expected)))


@pytest.mark.parametrize("long_term", [False, True])
def test_host_and_device_remember_alike(long_term):
    """Over frames, with `jax.jit` and without."""
    config = TrackerConfig(presence=MAP, long_term=long_term)
    size, rng = np.array([320, 240]), np.random.default_rng(0)
    box = np.array([100.0, 80, 40, 20])
    jitted = jax.jit(tracker.advance, static_argnums=0)
    host = tracker.begin(box)
    plain = device = tracker.begin(jnp.asarray(box, jnp.float32))
    assert device.evidence.dtype == jnp.float32
    seen, numbers = [], config.settings()
    for score in (0.999, 0.999, 0.2, 0.1, 0.02, 0.999, 0.9, 0.999):
        given = candidate(score, np.float64(0.1), (52.0, 26.0), rng.normal(0, 2, 2))
        put = decode.Candidate(*(jnp.asarray(v, jnp.float32) for v in given))
        host, _, expected = tracker.advance(config, numbers, host, given, 1.3, size)
        plain, _, one = tracker.advance(config, numbers, plain, put, jnp.float32(1.3), size)
        device, _, other = jitted(config, numbers, device, put, jnp.float32(1.3), size)
        for found, motion in ((one, plain), (other, device)):
            assert float(found.presence) == pytest.approx(float(expected.presence), abs=2e-3)
            assert motion.evidence.dtype == jnp.float32
            assert bool(motion.lost) == bool(host.lost)
        seen.append(float(host.evidence))
    assert min(seen) < -1 < 1 < max(seen)


def test_host_and_device_agree():
    config = TrackerConfig(presence=MAP, long_term=True)
    judged = jax.jit(tracker.judge, static_argnums=0)
    with jax.numpy_dtype_promotion("strict"):
        for lost in (False, True):
            for score in (0.0, 0.3, 0.999999, 1.0):
                host = tracker.begin(np.array([5.0, 6, 40, 20]))._replace(lost=np.bool_(lost))
                device = tracker.begin(jnp.array([5.0, 6, 40, 20]))._replace(lost=jnp.bool_(lost))
                given = candidate(score=score)
                put = decode.Candidate(*(jnp.asarray(v, jnp.float32) for v in given))
                expected = tracker.judge(config, host, given, 1.3)
                found = judged(config, device, put, jnp.float32(1.3))
                assert float(found) == pytest.approx(float(expected), abs=2e-3)


@pytest.fixture
def fitted(tiny, tmp_path):
    """A weights file with a map, and the tracker of it."""
    config = tiny.config.copy_and_resolve_references().unlock()
    config.tracker.presence = MAP
    weights.save(tmp_path / "fitted.npz", config, tiny.variables)
    return tmp_path / "fitted.npz"


def test_kept_with_the_weights(fitted, clip, tiny, tmp_path):
    config, _ = weights.load(fitted)
    assert config.tracker.presence == MAP
    tracked = api.load(fitted)
    tracked.init(clip.frames[0], clip.boxes[0])
    answer = tracked.update(clip.frames[1])
    assert answer.lost == (answer.presence < 0.5)
    sibling = tracked.sibling()
    sibling.init(clip.frames[0], clip.boxes[0])
    assert sibling.update(clip.frames[1]).presence == answer.presence
    # the same answer without a map: neither box nor score depend on it
    config = tiny.config.copy_and_resolve_references().unlock()
    for name in ("presence", "presence_low", "presence_high"):
        del config.tracker[name]
    weights.save(tmp_path / "old.npz", config, tiny.variables)  # of before
    old = api.load(tmp_path / "old.npz")
    old.init(clip.frames[0], clip.boxes[0])
    before = old.update(clip.frames[1])
    assert (before.box, before.score) == (answer.box, answer.score)
    assert before.presence is None
    assert before.lost == (before.score < 0.8)


def test_threshold(fitted, clip):
    for low, lost in (("0", False), ("1", True)):
        tracked = api.load(fitted, constants=constants.parse([f"presence_low={low}"]))
        tracked.init(clip.frames[0], clip.boxes[0])
        assert tracked.update(clip.frames[1]).lost is lost


def test_constants_without_effect_are_refused(fitted, checkpoint):
    with pytest.raises(UserError, match="presence_low: has no effect, these weights have no map"):
        api.load_variables(checkpoint, {"presence_low": 0.3})
    with pytest.raises(UserError, match="confidence_low: has no effect, these weights have a map"):
        api.load_variables(fitted, {"confidence_low": 0.3})


def test_a_map_of_another_length_is_refused():
    with pytest.raises(UserError, match=r"tracker\.presence: 3 numbers, the map has 16"):
        TrackerConfig(presence=(1.0, 2.0, 3.0))


def test_presence_decides_the_long_term_switch():
    """The same candidate, once trusted by its score and once not by its presence."""
    size = np.array([320, 240])
    start = tracker.begin(np.array([100.0, 80, 40, 20]))
    start = start._replace(evidence=np.float64(-1))
    doubtful = candidate(score=0.9, second=1.0)
    evidence = -0.6 + 0.4 * np.log(value(second=1.0) / (1 - value(second=1.0)))
    held = 1 / (1 + np.exp(-evidence))
    assert held < 0.5
    for weighed, lost in (((), False), (MAP, True)):
        config = TrackerConfig(long_term=True, presence=weighed)
        motion, *_ = tracker.advance(config, config.settings(), start, doubtful, 1.0, size)
        assert bool(motion.lost) is lost
        moved = not np.array_equal(motion.centre, start.centre)
        assert moved is not lost
    low = TrackerConfig(long_term=True, presence=MAP, presence_low=held / 2, presence_high=held / 2)
    motion, *_ = tracker.advance(
        low, low.settings(), start._replace(lost=True), doubtful, 1.0, size
    )
    assert not motion.lost


def test_a_rollout_equals_the_session(fitted, clip):
    """Carried through the frames of `lax.scan`, where types may not change."""
    tracked = api.load(fitted)
    tracked.init(clip.frames[0], clip.boxes[0])
    expected = [tracked.update(frame).presence for frame in clip.frames[1:6]]
    config, variables = weights.load(fitted)
    model, config = models.build(config), TrackerConfig.of(config)
    frames = np.stack([clip.frames[i] for i in range(6)])
    state = tracker.init(model, config, variables, frames[0], np.asarray(clip.boxes[0]))
    settings = config.settings()
    state, steps = rollout.rollout(model, config, variables, settings, state, frames[1:])
    np.testing.assert_allclose(steps.presence, expected, atol=2e-3)
    assert float(state.motion.evidence) == pytest.approx(float(tracked.motion.evidence), abs=2e-2)


@pytest.mark.slow  # exports twice
def test_exported_tracker_gives_it(fitted, clip, tmp_path, monkeypatch):
    from siamjax.tracking import export, exported

    monkeypatch.setattr(export, "PLATFORMS", ("cpu",))
    config, variables = weights.load(fitted)
    export.export(tmp_path / "tracker.zip", config, variables)
    run = exported.ExportedTracker(tmp_path / "tracker.zip")
    run.init(clip.frames[0], clip.boxes[0])
    run.update(clip.frames[1])
    box, score = run.update(clip.frames[2])
    live = api.load(fitted)
    live.init(clip.frames[0], clip.boxes[0])
    live.update(clip.frames[1])
    expected = live.update(clip.frames[2])
    np.testing.assert_allclose(box, expected.box, atol=2e-2)
    assert score == pytest.approx(expected.score, abs=1e-4)
    assert run.presence == pytest.approx(expected.presence, abs=1e-3)
