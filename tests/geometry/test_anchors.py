import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamjax.geometry.anchors import Anchors, decode, encode, score_map_size


def test_shapes_are_the_published_ones():
    expected = [(104, 32), (88, 40), (64, 64), (40, 80), (32, 96)]
    np.testing.assert_array_equal(Anchors().shapes(), expected)
    assert Anchors().shapes().dtype == np.float32
    assert Anchors().ratios == (0.33, 0.5, 1, 2, 3)


def test_two_scales_follow_each_ratio():
    shapes = Anchors(stride=8, ratios=(1.0, 4.0), scales=(2, 4)).shapes()
    np.testing.assert_array_equal(shapes, [(16, 16), (32, 32), (8, 32), (16, 64)])


@pytest.mark.parametrize("size, first", [(25, 31), (17, 63)])
def test_training_grid_starts_where_published(size, first):
    grid = Anchors().grid(size, 255 // 2)
    assert grid.shape == (5, size, size, 4)
    np.testing.assert_array_equal(grid[0, 0, 0], [first, first, 104, 32])
    np.testing.assert_array_equal(grid[2, 3, 5], [first + 40, first + 24, 64, 64])


def test_tracking_grid_is_centred():
    grid = Anchors().grid(25)
    assert grid[0, 0, 0, 0] == -96
    assert grid[0, -1, -1, 1] == 96
    np.testing.assert_array_equal(grid[:, 12, 12, :2], np.zeros((5, 2)))


@given(st.floats(-100, 100), st.floats(-100, 100), st.floats(1, 300), st.floats(1, 300))
def test_decode_inverts_encode(cx, cy, w, h):
    grid = Anchors().grid(5).astype(np.float64)
    box = np.array([cx, cy, w, h])
    again = decode(grid, encode(grid, box))
    np.testing.assert_allclose(again, np.broadcast_to(box, grid.shape), atol=1e-9)


def test_encode_by_hand():
    offsets = encode(np.array([10.0, 20.0, 64.0, 32.0]), np.array([42.0, 20.0, 128.0, 32.0]))
    np.testing.assert_allclose(offsets, [0.5, 0, np.log(2), 0])


@pytest.mark.parametrize(
    "instance, base, cells", [(255, 8, 25), (287, 0, 21), (831, 8, 97), (255, 0, 17)]
)
def test_score_map_sizes(instance, base, cells):
    assert score_map_size(instance, 127, 8, base) == cells


@pytest.mark.reference
def test_data_anchors_equal_the_reference(reference):
    data = np.load(reference / "conformance" / "data" / "anchors.npz")
    for name, size in (("r50", 25), ("alex", 17)):
        grid = Anchors().grid(size, 255 // 2)
        np.testing.assert_array_equal(grid.transpose(3, 0, 1, 2), data[f"{name}_center"])
