"""The stored context crop: against the reference's crops and by hand."""

import cv2
import numpy as np
import pytest

from siamjax.data import crops


@pytest.mark.reference
@pytest.mark.parametrize("i, frame", [(0, 0), (1, 40), (2, 100)])
def test_crop_equals_the_reference(reference, i, frame):
    folder = reference / "conformance/data"
    image = cv2.imread(str(folder / f"frame_{frame:06d}.png"))
    expected = np.load(folder / "crops.npz")
    crop = crops.context_crop(image, expected[f"box{i}"])
    assert crop.dtype == np.uint8
    difference = np.abs(crop.astype(int) - expected[f"x{i}"].astype(int))
    assert difference.max() <= 1


def test_side_by_hand():
    # p = (30 + 50) / 2 = 40: sqrt(70 * 90)
    assert crops.context_side(30, 50) == pytest.approx(79.37253933)
    assert crops.context_side(64, 64) == 128


def test_square_target_is_63_5_px_in_the_crop():
    np.testing.assert_allclose(crops.target_in_crop(40, 40), [255, 255, 63.5, 63.5])
    # p = 50: side sqrt(70 * 130)
    scale = 127 / 9100**0.5
    np.testing.assert_allclose(crops.target_in_crop(20, 80), [255, 255, 20 * scale, 80 * scale])


def test_what_lies_outside_has_the_mean_colour():
    image = np.zeros((40, 60, 3), np.uint8)
    image[:, :30] = (90, 120, 200)
    crop = crops.context_crop(image, (0, 0, 20, 20))
    np.testing.assert_array_equal(crop[0, 0], (45, 60, 100))
    np.testing.assert_array_equal(crop[255, 255], (90, 120, 200))
    crop = crops.context_crop(image, (0, 0, 20, 20), border=(1, 2, 3))
    np.testing.assert_array_equal(crop[0, 0], (1, 2, 3))


def test_the_target_lands_where_target_in_crop_says():
    """The edges of a bright rectangle in the crop; the warp maps side px to 510 px, hence the
    tolerance.
    """
    image = np.zeros((400, 400, 3), np.uint8)
    image[150:230, 140:180] = 255
    crop = crops.context_crop(image, (140, 150, 180, 230))[..., 0] > 127
    cx, cy, w, h = crops.target_in_crop(40, 80)
    rows, columns = np.flatnonzero(crop.any(1)), np.flatnonzero(crop.any(0))
    assert columns[-1] - columns[0] + 1 == pytest.approx(w, abs=1.5)
    assert rows[-1] - rows[0] + 1 == pytest.approx(h, abs=1.5)
    # The pixel grid's half pixel, enlarged: the box's left edge is the centre of its first pixel.
    assert (columns[-1] + columns[0]) / 2 == pytest.approx(cx, abs=1.5)
    assert (rows[-1] + rows[0]) / 2 == pytest.approx(cy, abs=1.5)


def test_a_box_from_edge_to_edge_is_in_the_middle():
    """The same rectangle, 40 px of 3.2 px each: its two halves are equal from edge to edge, and by
    half a pixel, 1.6 px of the crop, apart from centre to centre."""
    image = np.zeros((400, 400, 3), np.uint8)
    image[180:220, 180:220] = 255
    box = 180, 180, 220, 220
    crop = crops.context_crop(image, box, size=1021, exemplar=255, edges=True)
    for turned in (crop, crop.transpose(1, 0, 2)):
        assert np.abs(turned.astype(int) - turned[::-1]).max() <= 1
    same = crops.context_crop(image, np.array(box) - 0.5, size=1021, exemplar=255)
    np.testing.assert_array_equal(crop, same)
    published = crops.context_crop(image, box, size=1021, exemplar=255)[510, :, 0] > 127
    scale = 1020 / (80 * 1021 / 255)
    assert np.flatnonzero(published).mean() == pytest.approx(510 - 0.5 * scale, abs=0.3)


def test_where_each_pixel_comes_from():
    """In an image whose colour is the place, each pixel of the crop tells its origin.

    A box of 20 px has a side of 40 px with context, so the crop shows 40 * 511 / 127 px, from half
    of that left of the box's centre at its first pixel to half of it right at its last.
    """
    image = np.zeros((200, 200, 3), np.uint8)
    image[..., 0] = np.arange(200)
    image[..., 1] = np.arange(200)[:, None]
    crop = crops.context_crop(image, (90, 80, 110, 100))
    half = 40 * 511 / 127 / 2
    origins = np.linspace(-half, half, 511)
    inside = crop[20:-20, 20:-20]
    np.testing.assert_allclose(inside[..., 0], np.tile(100 + origins[20:-20], (471, 1)), atol=0.51)
    np.testing.assert_allclose(inside[..., 1].T, np.tile(90 + origins[20:-20], (471, 1)), atol=0.51)
