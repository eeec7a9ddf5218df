import numpy as np
import pytest

from siamjax.errors import UserError
from siamjax.tracking.frames import as_bgr

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
