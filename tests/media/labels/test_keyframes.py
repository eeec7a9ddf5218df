"""Frames between keyframes, against NumPy's interpolation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamjax.media.labels import Shape
from siamjax.media.labels.keyframes import Key, filled


@given(
    frames=st.sets(st.integers(0, 30), min_size=1, max_size=6),
    seen=st.lists(st.tuples(st.booleans(), st.booleans()), min_size=6, max_size=6),
    end=st.one_of(st.none(), st.integers(31, 35)),
    step=st.sampled_from([1, 3]),
)
def test_boxes_lie_on_the_line_between_the_keys(frames, seen, end, step):
    numbers = sorted(frames)
    boxes = np.random.default_rng(0).uniform(0, 50, (len(numbers), 4))
    keys = [Key(Shape(f, box), *flags) for f, box, flags in zip(numbers, boxes, seen)]
    listed = range(0, 40, step)
    found = {shape.frame: shape for shape in filled(keys[::-1], end, listed)}
    for frame in range(40):
        before = [i for i, number in enumerate(numbers) if number <= frame]
        shown = False
        if before:
            key = keys[before[-1]]
            at_key = numbers[before[-1]] == frame
            last = frame > numbers[-1]
            inside = frame < (end or 0) if last else frame in listed
            shown = key.here if at_key else key.after and inside and frame in listed
        assert (frame in found) == shown
        if shown:
            expected = [np.interp(frame, numbers, side) for side in boxes.T]
            np.testing.assert_allclose(found[frame].box, expected, atol=1e-9)
            assert found[frame].keyframe == (frame in frames)


@pytest.mark.parametrize("frames, end", [((-1, 3), 5), ((0, 10**9), 5), ((0, 1), 10**9)])
def test_numbers_of_no_video(frames, end):
    with pytest.raises(ValueError, match="frames"):
        filled([Key(Shape(frame, (1, 2, 3, 4)), True, True) for frame in frames], end)
