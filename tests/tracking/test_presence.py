"""The map of presence: monotone, the same on host and device, kept with the weights, and what is
decided by it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamjax import api, constants
from siamjax.errors import UserError
from siamjax.models import weights
from siamjax.tracking import TrackerConfig, decode, presence, tracker

RISING = presence.COUNT - 1 - sum(len(k) - 1 for n, k in presence.KNOTS.items() if n != "score")
# constant, pieces of the score, pieces of the others
MAP = (-2.0, *[1.5] * RISING, *[-0.7] * (presence.COUNT - 1 - RISING))


def candidate(score=0.9, second=0.4, size=(40.0, 20.0), offset=(3.0, 4.0)):
    return decode.Candidate(np.array(offset), np.array(size), np.float64(score), 1.0, 0, second)


def value(lost=False, target=(40.0, 20.0), **named):
    signs = presence.signs(candidate(**named), np.array(target), lost)
    return float(presence.probability(MAP, signs))


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
    assert tracker.judge(TrackerConfig(), host, given, 1.3) is None


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
    doubtful = candidate(score=0.9, second=1.0)
    held = value(second=1.0)
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


@pytest.mark.slow  # exports twice
def test_exported_tracker_gives_it(fitted, clip, tmp_path, monkeypatch):
    from siamjax.tracking import export, exported

    monkeypatch.setattr(export, "PLATFORMS", ("cpu",))
    config, variables = weights.load(fitted)
    export.export(tmp_path / "tracker.zip", config, variables)
    run = exported.ExportedTracker(tmp_path / "tracker.zip")
    run.init(clip.frames[0], clip.boxes[0])
    box, score = run.update(clip.frames[1])
    live = api.load(fitted)
    live.init(clip.frames[0], clip.boxes[0])
    expected = live.update(clip.frames[1])
    np.testing.assert_allclose(box, expected.box, atol=2e-2)
    assert score == pytest.approx(expected.score, abs=1e-4)
    assert run.presence == pytest.approx(expected.presence, abs=1e-3)
