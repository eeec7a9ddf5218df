"""Streams that share the device: each gives what a tracker of its own gives."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import siamjax
from siamjax.errors import UserError
from siamjax.tracking import Tracker
from siamjax.tracking.streams import Latency, Stream

BOXES = [(40, 50, 30, 24), (60, 40, 24, 20), (20, 30, 26, 26)]


@pytest.fixture(scope="module")
def tracker(tiny):
    return Tracker(tiny.config, tiny.variables)


@pytest.fixture
def streams(tracker):
    made = siamjax.Streams(tracker, wait=5.0)
    yield made
    made.close()


def test_each_stream_is_followed_as_by_a_tracker_of_its_own(streams, tracker, clip):
    def follow(box):
        with ready:
            stream = streams.add(clip.frames[0], box)
        start.wait()
        with stream:
            found = [stream.update(frame) for frame in clip.frames[1 : 3 + BOXES.index(box)]]
        return found, stream.latency()

    ready, start = threading.Lock(), threading.Barrier(len(BOXES))
    with ThreadPoolExecutor(len(BOXES)) as pool:
        answers = list(pool.map(follow, BOXES))
    for box, (found, latency) in zip(BOXES, answers):
        alone = tracker.sibling()
        alone.init(clip.frames[0], box)
        assert latency.frames == len(found)
        assert 0 < latency.median <= latency.percentile_99
        for one, frame in zip(found, clip.frames[1:]):
            expected = alone.update(frame)
            np.testing.assert_allclose(one.box, expected.box, atol=1e-3)
            assert one.score == pytest.approx(expected.score, abs=1e-5)
            np.testing.assert_allclose(one.heatmap.score, expected.heatmap.score, atol=1e-5)
    assert [*streams.passes] == [3, 3, 2, 1]  # all wait for each other, as long as they are there


def test_nobody_is_waited_for_without_end(tracker, clip):
    streams = siamjax.Streams(tracker, wait=0.0)
    one, other = (streams.add(clip.frames[0], box) for box in BOXES[:2])
    one.update(clip.frames[1])  # the other one's frame has not come
    other.update(clip.frames[1])
    assert [*streams.passes] == [1, 1]
    streams.close()


def test_an_error_of_a_pass_reaches_all_who_asked(streams, clip, monkeypatch):
    def broken(*_):
        raise UserError("the device is gone")

    both = [streams.add(clip.frames[0], box) for box in BOXES[:2]]
    with monkeypatch.context() as patch, ThreadPoolExecutor(2) as pool:
        patch.setattr(streams._shared, "answers", broken)
        for job in [pool.submit(stream.update, clip.frames[1]) for stream in both]:
            assert str(job.exception()) == "the device is gone"
    both[1].close()
    assert both[0].update(clip.frames[1]).score > 0  # and it works on


def test_closed_streams_are_refused(tracker, clip):
    streams = siamjax.Streams(tracker)
    stream = streams.add(clip.frames[0], BOXES[0])
    assert stream.latency() == Latency(0, 0.0, 0.0)
    streams.close()
    with pytest.raises(UserError, match="were closed"):
        stream.update(clip.frames[1])
    with pytest.raises(UserError, match="were closed"):
        streams.add(clip.frames[0], BOXES[0])
    stream.close()
    stream.close()


def test_another_kind_of_tracker(clip):
    with pytest.raises(UserError, match=r"takes a tracker of siamjax\.load, not list"):
        siamjax.Streams([])


def test_latency_is_that_of_the_slowest_hundredth(streams, clip):
    stream = Stream(streams, streams._shared.tracker)
    stream._spent.extend([0.2] * 2 + [0.01] * 98)
    assert stream.latency() == Latency(100, 0.01, 0.2)
