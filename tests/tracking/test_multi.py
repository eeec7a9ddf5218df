"""Several targets against trackers of their own.

On a CPU the boxes have been equal to the last bit in every case here; the tolerance, 1e-3 px and
1e-5 of the score, is what float32 convolutions summed in another order may differ by.
"""

import jax
import numpy as np
import pytest

import siamjax
from siamjax.errors import UserError
from siamjax.tracking import Tracker, decode, multi, session, steps

BOXES = [(40, 50, 30, 24), (100, 20, 40, 40), (10, 10, 20, 20), (60, 70, 50, 30), (5, 60, 25, 25)]


@pytest.fixture(scope="module")
def tracker(tiny):
    return Tracker(tiny.config, tiny.variables)


@pytest.fixture(params=["cpu", "accelerator"])
def targets(tracker, request):
    """Without targets; once as on an accelerator, which repeats windows to fill a batch."""
    made = siamjax.MultiTracker(tracker)
    made._shared.pads = request.param == "accelerator"
    return made


def alone(tracker, frames, box):
    single = tracker.sibling()
    single.init(frames[0], box)
    return [single.update(frame) for frame in frames[1:]]


def assert_close(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected):
        np.testing.assert_allclose(one.box, other.box, rtol=0, atol=1e-3)
        assert one.score == pytest.approx(other.score, abs=1e-5)
        assert one.second_peak == pytest.approx(other.second_peak, abs=1e-5)
        assert (one.lost, one.anchor) == (other.lost, other.anchor)


def test_a_pass_of_two_repeats_the_only_search(tracker):
    answers, responses = tracker.answer_together([tracker.blank_search(False)], 2)
    assert len(answers) == len(responses) == 2


@pytest.mark.parametrize("count", [1, 2, 3, pytest.param(5, marks=pytest.mark.slow)])
def test_each_target_is_followed_as_by_a_tracker_of_its_own(targets, tracker, clip, count):
    ids = [targets.add(clip.frames[0], box) for box in BOXES[:count]]
    assert ids == list(range(count))
    found = [targets.update(frame) for frame in clip.frames[1:6]]
    for id, box in zip(ids, BOXES):
        expected = alone(tracker, clip.frames[:6], box)
        assert_close([each[id] for each in found], expected)
        one, other = found[-1][id].heatmap, expected[-1].heatmap
        np.testing.assert_allclose(one.score, other.score, atol=1e-5)
        np.testing.assert_allclose(one.extent, other.extent, atol=1e-3)


def test_one_target_is_equal_to_the_bit(targets, tracker, clip):
    targets.add(clip.frames[0], BOXES[0], "only")
    found = [targets.update(frame)["only"] for frame in clip.frames[1:]]
    assert found == alone(tracker, clip.frames, BOXES[0])


def test_targets_come_and_go(targets, tracker, clip):
    frames = clip.frames
    first = targets.add(frames[0], BOXES[0])
    targets.update(frames[1])
    second = targets.add(frames[1], BOXES[1], "cat")
    assert (first, second) == (0, "cat")
    both = targets.update(frames[2])
    assert list(both) == [0, "cat"]
    targets.remove(0)
    last = targets.update(frames[3])
    assert list(last) == ["cat"]
    assert targets.add(frames[3], BOXES[2]) == 1  # 0 is not used again
    assert_close([both["cat"], last["cat"]], alone(tracker, frames[1:4], BOXES[1]))
    assert_close([both[0]], alone(tracker, frames[:3], BOXES[0])[1:])
    targets.remove(1)
    targets.remove("cat")
    assert targets.update(frames[4]) == {}


def test_a_lost_target_is_given_again(targets, tracker, clip):
    frames = clip.frames
    for name, box in zip("ab", BOXES):
        targets.add(frames[0], box, name)
    targets.update(frames[1])
    targets.add(frames[2], (46, 52, 30, 24), "a")
    found = targets.update(frames[3])
    assert list(found) == ["a", "b"]
    assert_close([found["a"]], alone(tracker, frames[2:4], (46, 52, 30, 24)))
    # b was not updated at frame 2, as a video in which that frame is missing
    assert_close([found["b"]], alone(tracker, frames[[0, 1, 3]], BOXES[1])[1:])


def passes(monkeypatch):
    """The sizes of the batches that go through the network from now on."""
    sizes = []
    one, together = session.Tracker.answer, session.Tracker.answer_together
    monkeypatch.setattr(
        session.Tracker, "answer", lambda self, s: (sizes.append(1), one(self, s))[1]
    )
    monkeypatch.setattr(
        session.Tracker,
        "answer_together",
        lambda self, s, size: (sizes.append(size), together(self, s, size))[1],
    )
    return sizes


@pytest.mark.parametrize(
    ("pads", "count", "expected"),
    [
        (True, 1, [1]),
        (True, 2, [2]),
        (True, 3, [4]),
        (True, 4, [4]),
        (True, 5, [8]),
        (True, 9, [8, 1]),
        (False, 1, [1]),
        (False, 2, [2]),
        (False, 5, [2, 2, 1]),
    ],
)
def test_passes_of_the_network(tracker, clip, monkeypatch, pads, count, expected):
    targets = siamjax.MultiTracker(tracker)
    targets._shared.pads = pads
    monkeypatch.setattr(targets, "prepare", lambda count: None)
    for k in range(count):
        targets.add(clip.frames[0], (10 + 2 * k, 20, 30, 30))

    def one(self, search):
        return np.ones(8), decode.Response(None, None)

    def together(self, searches, size):
        assert len(searches) <= size
        return np.ones((size, 8)), decode.Response(None, None)

    monkeypatch.setattr(session.Tracker, "answer", one)
    monkeypatch.setattr(session.Tracker, "answer_together", together)
    sizes = passes(monkeypatch)
    assert len(targets.update(clip.frames[1])) == count
    assert sizes == expected


def test_update_compiles_nothing(targets, clip):
    targets.prepare(4)
    prepared = len(steps.answer_together.programs)
    for box in BOXES[:4]:
        targets.add(clip.frames[0], box)
    assert len(steps.answer_together.programs) == prepared
    compiled = len(steps.answer_together.programs), len(steps.answer.programs)
    for frame in clip.frames[1:3]:
        targets.update(frame)
    for id in (0, 2):  # 3, 2 targets
        targets.remove(id)
        targets.update(clip.frames[3])
    assert (len(steps.answer_together.programs), len(steps.answer.programs)) == compiled


@pytest.mark.slow
def test_long_term_windows_of_two_sizes(tiny, clip, monkeypatch):
    """Lost targets are searched in large windows, which make a batch of their own."""
    config = tiny.config.copy_and_resolve_references().unlock()
    config.tracker.update({"long_term": True, "lost_instance": 271})
    # between the tiny network's scores of these targets
    config.tracker.update({"confidence_low": 0.7, "confidence_high": 0.7})
    tracker = Tracker(config, tiny.variables)
    tracks = {k: alone(tracker, clip.frames[:6], box) for k, box in enumerate(BOXES[:3])}
    targets = multi.MultiTracker(tracker)
    for box in BOXES[:3]:
        targets.add(clip.frames[0], box)
    sizes = passes(monkeypatch)
    found, instances = [], set()
    for frame in clip.frames[1:6]:
        lost = [t.motion.lost for t in targets.targets.values()]
        instances.add(frozenset(map(bool, lost)))
        found.append(targets.update(frame))
    assert frozenset({True, False}) in instances
    assert max(sizes) > 1
    for k in tracks:
        assert_close([each[k] for each in found], tracks[k])


def test_misuse(targets, tracker, clip):
    with pytest.raises(UserError, match=r"takes a tracker of siamjax\.load, not str"):
        siamjax.MultiTracker("model.npz")
    with pytest.raises(UserError, match="no target 3 is followed; there are: none"):
        targets.remove(3)
    with pytest.raises(UserError, match="outside the frame"):
        targets.add(clip.frames[0], (500, 500, 10, 10))
    assert list(targets.targets) == []
    targets.add(clip.frames[0], BOXES[0], "a")
    before = targets.targets["a"].motion
    with pytest.raises(UserError, match="width and height have to be positive"):
        targets.add(clip.frames[1], (10, 10, 0, 10), "a")
    assert targets.targets["a"].motion is before
    with pytest.raises(UserError, match="no target 'b' is followed; there are: a"):
        targets.remove("b")
    with pytest.raises(UserError, match="imread returns None"):
        targets.update(None)
    assert tracker.sibling().motion is None


def test_rgb_frames_give_the_same(tiny, targets, clip):
    rgb = siamjax.MultiTracker(Tracker(tiny.config, tiny.variables, rgb=True))
    swapped = np.ascontiguousarray(clip.frames[:3, ..., ::-1])
    for made, frames in ((rgb, swapped), (targets, clip.frames)):
        for box in BOXES[:2]:
            made.add(frames[0], box)
    assert rgb.update(swapped[1]) == targets.update(clip.frames[1])


def test_the_platform_decides_about_padding(tracker):
    assert multi.MultiTracker(tracker)._shared.pads == (jax.devices()[0].platform != "cpu")
