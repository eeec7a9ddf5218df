import numpy as np

from siamjax.viz import draw_boxes, draw_heatmap


def blank(height=120, width=160):
    return np.zeros((height, width, 3), np.uint8)


def test_box_lies_where_it_should_and_the_image_stays():
    image = blank()
    drawn = draw_boxes(image, [(40, 30, 50, 60)], colours=[(0, 0, 255)])
    assert not image.any()
    rows, columns = np.nonzero(drawn[..., 2] == 255)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (30, 90, 40, 90)
    assert not drawn[50:70, 60:70].any()


def test_boxes_that_are_not_numbers_or_far_outside_do_no_harm():
    boxes = [(np.nan, 0, 10, 10), (1e12, -1e12, 5, 5), (0, 0, np.inf, 1)]
    assert not draw_boxes(blank(), boxes).any()


def test_each_box_has_its_colour_and_caption():
    plain = draw_boxes(blank(), [(20, 50, 30, 30), (90, 50, 30, 30)])
    assert tuple(plain[50, 30]) != tuple(plain[50, 100])
    captioned = draw_boxes(blank(), [(20, 50, 30, 30), (90, 50, 30, 30)], ["0.97", ""])
    changed = (captioned != plain).any(-1)
    assert changed[:, :80].any()
    assert not changed[:, 85:].any()


def test_caption_of_a_box_at_the_corner_stays_inside():
    drawn = draw_boxes(blank(), [(-5, -5, 20, 20)], ["0.97"])
    assert drawn[:40, :60].any()


def test_heatmap_peaks_at_its_cell():
    scores = np.zeros((5, 5), np.float32)
    scores[1, 3] = 1.0
    image = np.full((100, 100, 3), 128, np.uint8)
    drawn = draw_heatmap(image, scores, (0, 0, 100, 100), opacity=1.0)
    change = np.abs(drawn.astype(int) - 128).sum(-1)
    row, column = np.unravel_index(change.argmax(), change.shape)
    assert abs(row - 29.5) <= 10
    assert abs(column - 69.5) <= 10
    assert not change[60:, :40].any()


def test_heatmap_outside_the_image_changes_nothing():
    image = np.full((50, 60, 3), 77, np.uint8)
    drawn = draw_heatmap(image, np.ones((5, 5), np.float32), (200, 200, 50, 50))
    np.testing.assert_array_equal(drawn, image)
