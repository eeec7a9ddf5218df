import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamjax.errors import UserError
from siamjax.geometry import boxes

side = st.floats(0.5, 500)
corner = st.floats(-500, 500)
box_xywh = st.tuples(corner, corner, side, side).map(np.array)


def test_forms_by_hand():
    box = np.array([10.0, 20.0, 30.0, 40.0])
    np.testing.assert_array_equal(boxes.xywh_to_xyxy(box), [10, 20, 40, 60])
    np.testing.assert_array_equal(boxes.cxcywh_to_xywh(np.array([25, 40, 30, 40])), box)
    np.testing.assert_array_equal(boxes.xyxy_to_xywh(np.array([10, 20, 40, 60])), box)
    np.testing.assert_array_equal(boxes.xywh_to_pixel_centre(box), [24.5, 39.5, 30, 40])


@given(box_xywh)
def test_forms_are_inverse(box):
    np.testing.assert_allclose(boxes.xyxy_to_xywh(boxes.xywh_to_xyxy(box)), box, atol=1e-9)
    centre = boxes.xywh_to_pixel_centre(box) + [0.5, 0.5, 0, 0]
    np.testing.assert_allclose(boxes.cxcywh_to_xywh(centre), box, atol=1e-9)


def test_iou_by_hand():
    a = np.array([0.0, 0.0, 20.0, 20.0])
    assert boxes.iou(a, a) == 1
    assert boxes.iou(a, a + 5) == pytest.approx(225 / 575)
    assert boxes.iou(a, a + 20) == 0
    assert boxes.iou(a, np.array([30.0, 30.0, 10.0, 10.0])) == 0  # inverted
    assert boxes.iou(np.zeros(4), np.zeros(4)) == 0
    assert boxes.iou(a, np.full(4, np.nan)) == 0


@given(box_xywh, box_xywh)
def test_iou_equals_counting_a_fine_grid(a, b):
    a, b = boxes.xywh_to_xyxy(a), boxes.xywh_to_xyxy(b)
    value = boxes.iou(a, b)
    assert 0 <= value <= 1
    assert value == pytest.approx(float(boxes.iou(b, a)))
    xs = np.linspace(min(a[0], b[0]), max(a[2], b[2]), 400)
    ys = np.linspace(min(a[1], b[1]), max(a[3], b[3]), 400)
    inside = [
        np.outer((ys >= c[1]) & (ys <= c[3]), (xs >= c[0]) & (xs <= c[2])).astype(bool)
        for c in (a, b)
    ]
    union = (inside[0] | inside[1]).sum()
    if union > 1000:
        assert value == pytest.approx((inside[0] & inside[1]).sum() / union, abs=0.06)


def test_iou_broadcasts_and_takes_jax_arrays():
    import jax.numpy as jnp

    a = np.random.default_rng(0).uniform(0, 50, (3, 1, 4)).astype(np.float32)
    b = np.random.default_rng(1).uniform(0, 50, (5, 4)).astype(np.float32)
    assert boxes.iou(a, b).shape == (3, 5)
    np.testing.assert_allclose(boxes.iou(jnp.array(a), jnp.array(b)), boxes.iou(a, b), rtol=1e-6)


@pytest.mark.parametrize(
    "box",
    [
        (0, 0, 1, 1),
        (0, 0, 160, 120),
        (0, 0, 1600, 1200),
        (-10, -10, 11, 11),
        [3.5, 4, 2.25, 1],
        np.ones(4),
    ],
)
def test_boxes_that_are_taken(box):
    np.testing.assert_array_equal(boxes.check_box(box, (160, 120)), box)


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((1, 2, 0, 5), "width and height have to be positive"),
        ((1, 2, 5, 0), "width and height have to be positive"),
        ((1, 2, 5, -1), "1,2,5,-1: width and height have to be positive"),
        ((np.nan, 2, 5, 5), "four finite numbers"),
        ((1, np.inf, 5, 5), "four finite numbers"),
        ((1, 2, 5), "four finite numbers"),
        ("here", "four finite numbers"),
        ((160, 2, 5, 5), "outside the frame of 160x120"),
        ((-5, 2, 5, 5), "outside the frame"),
        ((3, 120, 5, 5), "outside the frame"),
        ((3, -7, 5, 5), "outside the frame"),
        ((3, -5, 5, 5), "outside the frame"),
        ((0.4, 0.3, 0.2, 0.1), "under one pixel wide or high; give x, y, w, h in pixels"),
        ((5, 5, 1e-300, 20), "under one pixel"),
        ((5, 5, 20, 0.999), "under one pixel"),
        ((0, 0, 1600.5, 40), "1600.5,40: more than 10 times the frame of 160x120 px"),
        ((0, 0, 50000, 40000), "more than 10 times"),
        ((-1e300, 0, 1.1e300, 40), "more than 10 times"),
        ((0, 0, 1e300, 1e300), "more than 10 times"),
        ((10**400, 0, 5, 5), "four finite numbers"),
        ((5, 5, 5 + 1j, 5), "four finite numbers"),
        ([[1, 2, 3, 4]], "four finite numbers"),
    ],
)
def test_boxes_that_are_refused(box, message):
    """Before: `siamjax track v --box=0,0,50000,40000` was killed for memory, sides of 1e-300 gave
    boxes of NaN, of 1e300 an OverflowError; normalised boxes were tracked as specks."""
    with pytest.raises(UserError, match=message):
        boxes.check_box(box, (160, 120))


@pytest.mark.parametrize(
    "box, doubted",
    [
        ((100, 70, 140, 110), True),  # x1,y1,x2,y2 of a box of 40 px
        ((0, 0, 320, 121), True),
        ((0, 0, 320, 120), False),  # exactly half
        ((-30, -30, 50, 50), True),
        ((20, 20, 60, 40), False),
    ],
)
def test_a_box_that_lies_mostly_outside_is_doubted(box, doubted, caplog):
    """Before: `siamjax track v --box=100,70,140,110` took corners for sizes without a word."""
    boxes.check_box(box, (160, 120), doubts=False)
    assert not caplog.messages
    boxes.check_box(box, (160, 120), "seq: box")
    text = f"seq: box {','.join(map(str, box))}: more than half of it lies outside the frame"
    question = f"{text} of 160x120 px; was x1,y1,x2,y2 meant?"
    assert caplog.messages == [question] * doubted
