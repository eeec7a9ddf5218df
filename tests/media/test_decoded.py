"""Frames of a video file by index."""

import pickle

import cv2
import numpy as np
import pytest

from siamjax.errors import UserError
from siamjax.media.decoded import DecodedFrames


@pytest.fixture
def film(tmp_path):
    """Frame i has the value 20 * i."""
    path = tmp_path / "a.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (32, 24))
    for i in range(8):
        writer.write(np.full((24, 32, 3), 20 * i, np.uint8))
    writer.release()
    return path


def values(frames, *indices):
    return [round(float(frames[i].mean()) / 20) for i in indices]


def test_any_order_gives_the_frame_of_the_number(film):
    frames = DecodedFrames(film)
    assert (len(frames), frames.rate) == (8, 10)
    order = (0, 0, 3, 2, 7, 7, 1, -1, -8)
    assert values(frames, *order) == [i % 8 for i in order]


def test_slices_and_copies_read_on_their_own(film):
    frames = DecodedFrames(film)
    frames[5]
    part = frames[2:6]
    assert (len(part), values(part, 0, 3, -1)) == (4, [2, 5, 5])
    assert values(part[1:], 0) == [3]
    other = pickle.loads(pickle.dumps(frames))
    assert values(other, 4) == [4]
    assert values(frames, 6) == [6]
    with pytest.raises(IndexError):
        part[4]
    longer = frames[:10]  # a container's count is an estimate
    assert (len(longer), values(longer, 7)) == (10, [7])
    with pytest.raises(UserError, match="behind the last"):
        longer[8]


def test_a_frame_behind_the_end_is_named(film):
    with pytest.raises(UserError, match=r"a\.avi: frame 9 is behind the last, 7"):
        DecodedFrames(film)[9]
