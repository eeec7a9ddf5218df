import numpy as np
import pytest

from siamjax.errors import UserError
from siamjax.tracking.frames import as_bgr, checked_box

COLOUR = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


def test_bgr_is_passed_through():
    assert np.shares_memory(as_bgr(COLOUR), COLOUR)
    np.testing.assert_array_equal(as_bgr(COLOUR), COLOUR)


def test_rgb_is_turned_round():
    np.testing.assert_array_equal(as_bgr(COLOUR, rgb=True), COLOUR[..., ::-1])


def test_alpha_is_dropped_and_grey_repeated():
    alpha = np.concatenate([COLOUR, np.full((2, 3, 1), 9, np.uint8)], -1)
    np.testing.assert_array_equal(as_bgr(alpha), COLOUR)
    grey = COLOUR[..., 0]
    np.testing.assert_array_equal(as_bgr(grey[:1, :1]), [[[grey[0, 0]] * 3]])
    for frame in (grey, grey[..., None]):
        np.testing.assert_array_equal(as_bgr(frame), np.stack([grey] * 3, -1))


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (None, "not NoneType; cv2.imread returns None"),
        ([[1]], "not list"),
        (COLOUR.astype(np.uint16), r"not uint16; .*frame // 256"),
        (COLOUR.astype(np.float32), "not float32"),
        (np.zeros((4, 4, 2), np.uint8), r"not \(4, 4, 2\)"),
        (np.zeros(4, np.uint8), r"not \(4,"),
        (np.zeros((0, 4, 3), np.uint8), "no pixels"),
    ],
)
def test_what_is_no_frame(frame, message):
    with pytest.raises(UserError, match=message):
        as_bgr(frame)


@pytest.mark.parametrize(
    "box", [(0, 0, 1, 1), (0, 0, 160, 120), (-10, -10, 11, 11), [3.5, 4, 2.25, 1], np.ones(4)]
)
def test_boxes_that_are_taken(box):
    np.testing.assert_array_equal(checked_box(box, 160, 120), box)


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
    ],
)
def test_boxes_that_are_refused(box, message):
    with pytest.raises(UserError, match=message):
        checked_box(box, 160, 120)
