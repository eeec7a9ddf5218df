import tracemalloc

import cv2
import numpy as np
import pytest

from siamjax.errors import UserError
from siamjax.geometry import crops
from siamjax.tracking import Tracker, tracker


@pytest.fixture(scope="module")
def session(tiny):
    return Tracker(tiny.config, tiny.variables)


def follow(session, frames, box):
    session.init(frames[0], box)
    return [session.update(frame) for frame in frames[1:]]


def test_prediction(session, clip):
    predictions = follow(session, clip.frames, clip.boxes[0])
    for prediction in predictions:
        x, y, w, h = prediction.box
        assert all(isinstance(v, float) for v in prediction.box)
        assert 0 <= x + w / 2 <= 160
        assert 0 <= y + h / 2 <= 120
        assert 10 <= w <= 160
        assert 10 <= h <= 120
        assert 0 <= prediction.score <= 1
        assert 0 <= prediction.second_peak <= 1
        assert prediction.lost == (prediction.score < 0.8)
    assert len({prediction.box for prediction in predictions}) > 1


def test_state_follows_the_published_rules(session, clip):
    """The numbers of the specification, in plain Python, from the network's choice on."""
    session.init(clip.frames[0], (40, 50, 30, 24))
    motion = session.motion
    np.testing.assert_array_equal(motion.centre, [40 + 29 / 2, 50 + 23 / 2])
    np.testing.assert_array_equal(motion.size, [30, 24])
    prediction = session.update(clip.frames[1])

    side = ((30 + 27) * (24 + 27)) ** 0.5
    scale = 127 / side
    crop_side = round(side * 255 / 127)
    left, top = (int(np.floor(c - (crop_side + 1) / 2 + 0.5)) for c in motion.centre)
    padded = cv2.copyMakeBorder(
        clip.frames[1],
        *(200, 200, 200, 200),
        cv2.BORDER_CONSTANT,
        value=[int(v) for v in clip.frames[0].mean(axis=(0, 1))],
    )
    patch = padded[top + 200 : top + 200 + crop_side, left + 200 : left + 200 + crop_side]
    crop = cv2.resize(patch, (255, 255))
    cls, loc = (v.transpose(2, 0, 1).reshape(-1, 25, 25) for v in session.maps(crop))
    logits = cls.reshape(2, -1).astype(np.float64)
    score = 1 / (1 + np.exp(logits[0] - logits[1]))
    steps = (np.arange(25) - 12) * 8
    shapes = [(104, 32), (88, 40), (64, 64), (40, 80), (32, 96)]
    hann = np.hanning(25)
    best = (-1.0, None)
    for a, (aw, ah) in enumerate(shapes):
        for row in range(25):
            for column in range(25):
                dx, dy, dw, dh = (float(loc[k * 5 + a, row, column]) for k in range(4))
                x, y = dx * aw + steps[column], dy * ah + steps[row]
                w, h = np.exp(dw) * aw, np.exp(dh) * ah
                pad, target_pad = (w + h) / 2, (30 + 24) * scale / 2
                size = ((w + pad) * (h + pad)) ** 0.5
                target = ((30 * scale + target_pad) * (24 * scale + target_pad)) ** 0.5
                change = max(size / target, target / size)
                ratio = (30 / 24) / (w / h)
                penalty = np.exp(-(change * max(ratio, 1 / ratio) - 1) * 0.05)
                raw = score[a * 625 + row * 25 + column]
                final = penalty * raw * (1 - 0.42) + hann[row] * hann[column] * 0.42
                if final > best[0]:
                    best = (final, (x, y, w, h, penalty, raw))
    x, y, w, h, penalty, raw = best[1]
    rate = penalty * raw * 0.38
    centre = motion.centre + np.array([x, y]) / scale
    size = np.array([30, 24]) * (1 - rate) + np.array([w, h]) / scale * rate
    centre = np.clip(centre, 0, [160, 120])
    size = np.clip(size, 10, [160, 120])
    np.testing.assert_allclose(prediction.box, [*(centre - size / 2), *size], rtol=0, atol=1e-4)
    assert prediction.score == pytest.approx(raw, abs=1e-6)
    np.testing.assert_allclose(session.motion.centre, centre, atol=1e-4)


def test_heatmap_lies_over_the_search_region(session, clip):
    prediction = follow(session, clip.frames[:2], clip.boxes[0])[0]
    heatmap = prediction.heatmap
    assert heatmap.score.shape == heatmap.penalised.shape == (25, 25)
    x, y, w, h = heatmap.extent
    # the cells' pitch is 8 px of a search crop that is 255 px for 2 s_z
    side = ((30 + 27) * (24 + 27)) ** 0.5
    assert w == pytest.approx(25 * 8 * side / 127)
    assert (x + w / 2, y + h / 2) == pytest.approx((54.5, 61.5))
    assert float(heatmap.score.max()) >= prediction.score - 1e-6
    peak = np.unravel_index(heatmap.penalised.argmax(), (25, 25))
    assert (prediction.anchor % 625) == peak[0] * 25 + peak[1]


def test_second_init_forgets_the_first(session, clip):
    once = follow(session, clip.frames[:4], clip.boxes[0])
    follow(session, clip.frames[::-1][:3], (5, 5, 60, 60))
    assert follow(session, clip.frames[:4], clip.boxes[0]) == once


def test_a_sibling_shares_weights_but_not_state(session, clip):
    alone = follow(session, clip.frames[:3], clip.boxes[0])
    other = session.sibling()
    with pytest.raises(UserError, match="update before init"):
        other.update(clip.frames[0])
    session.init(clip.frames[0], clip.boxes[0])
    other.init(clip.frames[0], (100, 20, 40, 40))
    together = []
    for frame in clip.frames[1:3]:
        other.update(frame)
        together.append(session.update(frame))
    assert together == alone


def test_rgb_frames_give_the_same(tiny, session, clip):
    rgb = Tracker(tiny.config, tiny.variables, rgb=True)
    swapped = np.ascontiguousarray(clip.frames[:3, ..., ::-1])
    assert follow(rgb, swapped, clip.boxes[0]) == follow(session, clip.frames[:3], clip.boxes[0])


def test_boxes_at_the_edge_of_what_is_possible(session, clip):
    for box in ((0, 0, 160, 120), (80, 60, 1, 1), (-20, -20, 21, 21), (159, 119, 50, 50)):
        for prediction in follow(session, clip.frames[:3], box):
            assert np.isfinite(prediction.box).all()


def test_8k_frame(session):
    frame = np.zeros((4320, 7680, 3), np.uint8)
    frame[2000:2400, 3000:3600] = 200
    prediction = follow(session, [frame, frame], (3000, 2000, 600, 400))[0]
    assert np.isfinite(prediction.box).all()


def test_misuse(tiny, session, clip):
    fresh = session.sibling()
    with pytest.raises(UserError, match="update before init"):
        fresh.update(clip.frames[0])
    with pytest.raises(UserError, match="outside the frame"):
        fresh.init(clip.frames[0], (500, 500, 10, 10))
    assert fresh.motion is None
    fresh.init(clip.frames[0], clip.boxes[0])
    with pytest.raises(UserError, match="imread returns None"):
        fresh.update(None)
    fresh.update(clip.frames[1])  # a refused frame leaves the target alone


def test_a_frame_size_that_changes_is_followed(session, clip):
    """The window is cut from the frame as it is, and the target's centre stays inside of it.

    Before: `Tracker.update` gave "a frame of 106x80 px in a video of 160x120 px: all frames need
    the same size; call init to start another video".
    """
    session.init(clip.frames[0], (110, 70, 40, 36))
    average = clip.frames[0].mean((0, 1)).astype(np.uint8)
    for width, height in ((106, 80), (320, 240)):
        frame = cv2.resize(clip.frames[1], (width, height))
        motion, search = session.motion, session.search(frame)
        window = search.window
        expected = crops.subwindow(frame, motion.centre, 255, window.side, average)
        np.testing.assert_array_equal(search.crop, expected)
        session.update(frame)
        assert (session.motion.centre <= (width, height)).all()


def test_damaged_weights_are_named(tiny, clip):
    import jax

    broken = jax.tree.map(lambda leaf: leaf * np.float32(np.nan), tiny.variables)
    with pytest.raises(UserError, match="weights are damaged"):
        follow(Tracker(tiny.config, broken), clip.frames[:2], clip.boxes[0])


def test_warm_up_compiles_everything(session, clip, tiny):
    from siamjax.tracking import steps

    Tracker(tiny.config, tiny.variables)
    compiled = len(steps.encode.programs), len(steps.answer.programs)
    follow(session, clip.frames[:2], clip.boxes[0])
    assert (len(steps.encode.programs), len(steps.answer.programs)) == compiled


def test_motion_may_be_set(session, clip):
    session.init(clip.frames[0], clip.boxes[0])
    session.motion = tracker.Motion(np.array([80.0, 60.0]), np.array([20.0, 20.0]), False, 2.0)
    x, y, w, h = session.update(clip.frames[1]).heatmap.extent
    assert (x + w / 2, y + h / 2) == pytest.approx((80, 60))


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((0, 0, 5000, 5000), "more than 10 times the frame of 160x120 px"),
        ((0, 0, 1e300, 1e300), "more than 10 times"),
        ((10, 10, 1e-300, 1e-300), "under one pixel"),
        ((0.1, 0.2, 0.3, 0.4), "under one pixel"),
    ],
)
def test_first_boxes_without_sense(session, clip, box, message):
    """Before: 1.5 GiB for 5000 px, OverflowError for 1e300, boxes of NaN for 1e-300, and a box of
    10 by 10 px for fractions of the frame."""
    with pytest.raises(UserError, match=message):
        session.init(clip.frames[0], box)


def test_a_box_ten_frames_wide_costs_what_any_box_costs(session, clip):
    """Before: the first box took 210 MB in a frame of 160x120 px."""
    frame = clip.frames[0]
    tracemalloc.start()
    session.init(frame, (-700, -500, 1600, 1200))
    prediction = session.update(clip.frames[1])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert np.isfinite(prediction.box).all()
    assert prediction.box[2] <= 160
    assert peak < 20 * frame.nbytes + 20 * 255 * 255 * 3


def test_a_box_mostly_outside_is_doubted_once(session, clip, caplog):
    session.init(clip.frames[0], (100, 60, 150, 100))
    assert [m.partition(";")[2] for m in caplog.messages] == [" was x1,y1,x2,y2 meant?"]
    quiet = session.sibling()
    quiet.doubts = False
    quiet.init(clip.frames[0], (100, 60, 150, 100))
    assert len(caplog.messages) == 1


def test_motion_of_any_size_is_taken(session, clip):
    """Before: OverflowError."""
    session.init(clip.frames[0], clip.boxes[0])
    session.motion = session.motion._replace(size=np.array([1e9, 1e9]))
    assert session.update(clip.frames[1]).box[2] <= 160
