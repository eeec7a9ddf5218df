import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamjax.geometry import polygons


def fill(points, columns, rows):
    """The fill rule as plain loops over whole-numbered corners."""
    mask = np.zeros((rows, columns), bool)
    for y in range(rows):
        crossings = []
        for (xi, yi), (xj, yj) in zip(points, points[-1:] + points[:-1], strict=True):
            if yi != yj and min(yi, yj) <= y <= max(yi, yj):
                crossings.append(int(xi + (y - yi) / (yj - yi) * (xj - xi)))
        crossings.sort()
        i = 0
        while i < len(crossings) - 1:
            if crossings[i] == crossings[i + 1]:
                i += 1
            else:
                mask[y, max(crossings[i], 0) : max(crossings[i + 1] + 1, 0)] = True
                i += 2
    return mask


corner = st.tuples(st.integers(0, 25), st.integers(0, 25))
quadrilateral = st.lists(corner, min_size=4, max_size=4)


@given(quadrilateral, quadrilateral)
@settings(max_examples=150, deadline=None)
def test_overlap_equals_masks_of_plain_loops(a, b):
    first, second = (np.array(points, float).reshape(1, 8) for points in (a, b))
    found = polygons.raster_overlap(first, second)[0]
    low = np.minimum(np.min(a, 0), np.min(b, 0))
    mask_a, mask_b = (
        fill([(x - low[0], y - low[1]) for x, y in points], 26, 26) for points in (a, b)
    )
    union = (mask_a | mask_b).sum()
    (al, at), (ar, ab) = np.min(a, 0), np.max(a, 0)
    (bl, bt), (br, bb) = np.min(b, 0), np.max(b, 0)
    separate = max(al, bl) >= min(ar, br) or max(at, bt) >= min(ab, bb)
    expected = 0 if separate or union == 0 else (mask_a & mask_b).sum() / union
    assert found == pytest.approx(expected, abs=1e-6)


def test_a_box_covers_one_pixel_more_each_way():
    overlap = polygons.raster_overlap([[0, 0, 20, 20]], [[5, 5, 20, 20]])
    assert overlap[0] == pytest.approx(256 / 626)


def test_boxes_and_their_corners_overlap_alike():
    rng = np.random.default_rng(3)
    a, b = (rng.uniform(0, 80, (300, 4)).astype(np.float32) for _ in range(2))

    def points(box):  # in float32, as the rule adds
        x, y, w, h = box.T
        return np.stack([x, y, x + w, y, x + w, y + h, x, y + h], 1)

    for bounds in (None, (90, 70)):
        expected = polygons.raster_overlap(a, b, bounds)
        for first, second in ((points(a), b), (a, points(b)), (points(a), points(b))):
            found = polygons.raster_overlap(first, second, bounds)
            np.testing.assert_array_equal(found, expected)
    assert 0.1 < (expected > 0).mean() < 1


def test_contact_and_unknown_regions():
    a = [[0, 0, 10, 10], [0, 0, 10, 10], [np.nan] * 4]
    b = [[10, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10]]
    overlap = polygons.raster_overlap(a, b)
    np.testing.assert_array_equal(overlap, np.array([0, 1, np.nan], np.float32))
    assert polygons.raster_overlap(np.empty((0, 4)), np.empty((0, 4))).shape == (0,)


def test_pixels_outside_the_image_do_not_count():
    a, b = [[-50, 0, 60, 20]], [[0, 0, 10, 20]]
    assert polygons.raster_overlap(a, b)[0] < 0.2
    assert polygons.raster_overlap(a, b, (100, 100))[0] == 1


def test_a_window_inside_the_image_keeps_its_first_pixels():
    overlap = polygons.raster_overlap([[-50, -50, 60, 70]], [[0, 0, 5, 20]], (100, 100))
    assert overlap[0] == pytest.approx(6 / 11)  # columns 0..5 of 0..10
    overlap = polygons.raster_overlap([[-50, -50, 70, 60]], [[0, 0, 20, 5]], (100, 100))
    assert overlap[0] == pytest.approx(6 / 11)


def test_corners_are_rounded_half_away_from_zero():
    b = [[0, 0, 20, 20]]
    assert polygons.raster_overlap([[0.45, 0.49, 20, 20]], b)[0] == 1
    # columns 1..21 of the window, in which the other covers 0..20
    assert polygons.raster_overlap([[0.5, 0, 20, 20]], b)[0] == pytest.approx(20 / 22)


def test_regions_of_very_different_areas_do_not_overlap():
    offset = np.array([1000.0, 500.0] * 4)
    large = polygons.corners([0, 0, 200_000, 60_000]) + offset
    for height, overlap in ((9_000, 0), (15_000, 15_001 / 60_001)):
        small = polygons.corners([0, 0, 200_000, height]) + offset
        found = polygons.raster_overlap(large[None], small[None])
        assert found[0] == pytest.approx(overlap, abs=1e-6)


def test_boxes_of_many_regions():
    regions = np.random.default_rng(0).uniform(0, 100, (2, 3, 8))
    boxes = polygons.box_of_region(regions)
    for i, j in np.ndindex(2, 3):
        np.testing.assert_array_equal(boxes[i, j], polygons.box_of_region(regions[i, j]))


def test_box_of_a_region_below_a_pixel():
    box = polygons.box_of_region([0, 0, 0.5, 0, 0.5, 0.5, 0, 0.5])
    np.testing.assert_allclose(box, [-0.5, -0.5, 1.5, 1.5])


def test_a_region_higher_than_what_is_rasterised_at_once():
    tall = [[0, 0, 5, polygons._ROWS_AT_ONCE + 10]]
    assert polygons.raster_overlap(tall, tall)[0] == 1


def test_box_of_a_line_is_finite():
    # no area to divide by: the extent of 20 px times sqrt(10 px * 10 px), plus a pixel
    box = polygons.box_of_region([0, 0, 10, 0, 20, 0, 10, 0])
    np.testing.assert_allclose(box, [-90.5, -0.5, 201, 1])


def test_box_of_a_turned_square_keeps_its_area():
    side, centre = 20.0, np.array([50.0, 40.0])
    for angle in np.linspace(0, np.pi / 2, 7):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        points = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * side / 2 @ turn.T + centre
        x, y, w, h = polygons.box_of_region(points.reshape(8))
        assert (w, h) == pytest.approx((side + 1, side + 1))
        assert (x + w / 2, y + h / 2) == pytest.approx(tuple(centre))


def test_a_box_stays_itself_but_for_half_a_pixel():
    # x .. x + w - 1 is its polygon, so its centre is x + (w - 1) / 2
    np.testing.assert_allclose(polygons.box_of_region([10, 20, 30, 40]), [9.5, 19.5, 30, 40])


@pytest.mark.reference
def test_toolkit_overlaps_exactly(reference):
    data = np.load(reference / "conformance/toolkit/overlaps.npz")
    a, b, bounds, expected = (data[name] for name in ("a", "b", "bounds", "overlap"))
    seen = 0
    for a_is_box in (False, True):
        for b_is_box in (False, True):
            some = (np.isnan(a[:, 4]) == a_is_box) & (np.isnan(b[:, 4]) == b_is_box)
            found = polygons.raster_overlap(
                a[some, : 4 if a_is_box else 8], b[some, : 4 if b_is_box else 8], bounds[some]
            )
            np.testing.assert_array_equal(found, expected[some])
            seen += some.sum()
    assert seen == 3000
