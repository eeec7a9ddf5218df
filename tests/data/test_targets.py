"""Labels on the anchor grid: against the reference's labels, by hand, and as properties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamjax.data.targets import BOX_ALONE, TargetRule, assign
from siamjax.geometry import boxes
from siamjax.geometry.anchors import Anchors, encode

RULE = TargetRule()
GRID = Anchors().grid(25, centre=127)


def cxcywh(corners):
    """Centre, width and height of a reference box, which is left, top, right, bottom."""
    low, high = corners[:2], corners[2:]
    return np.concatenate([(low + high) / 2, high - low])


def xyxy(box):
    return boxes.xywh_to_xyxy(boxes.cxcywh_to_xywh(box))


@pytest.fixture(scope="module")
def targets(reference):
    return np.load(reference / "conformance/data/targets.npz")


@pytest.mark.reference
@pytest.mark.parametrize("name, size", [("r50", 25), ("alex", 17)])
def test_anchor_grid_equals_the_reference(reference, name, size):
    expected = np.load(reference / "conformance/data/anchors.npz")
    grid = Anchors().grid(size, centre=127)
    np.testing.assert_array_equal(grid, np.moveaxis(expected[f"{name}_center"], 0, -1))
    np.testing.assert_array_equal(xyxy(grid), np.moveaxis(expected[f"{name}_corner"], 0, -1))


@pytest.mark.reference
@pytest.mark.parametrize("name, size", [("r50", 25), ("alex", 17)])
def test_labels_and_offsets_equal_the_reference(targets, name, size):
    """The reference drew from NumPy's old generator, seeded 1000 + i: the same draws give the same
    subsets.
    """
    grid = Anchors().grid(size, centre=127)
    for i, (corners, negative) in enumerate(zip(targets[f"{name}_box"], targets[f"{name}_neg"])):
        box = cxcywh(corners)
        label = assign(np.random.RandomState(1000 + i), RULE, grid, box, bool(negative))
        np.testing.assert_array_equal(label, targets[f"{name}_cls"][i])
        if not negative:
            offsets = np.moveaxis(encode(grid, box.astype(np.float32)), -1, 0)
            np.testing.assert_allclose(offsets, targets[f"{name}_loc"][i], atol=1e-5)


@pytest.mark.reference
@pytest.mark.parametrize("name, size", [("r50", 25), ("alex", 17)])
def test_candidates_follow_the_reference_overlap(targets, name, size):
    """With room for all of them, positives and negatives are exactly those of the thresholds."""
    grid = Anchors().grid(size, centre=127)
    everything = TargetRule(positives=10**6, total=2 * 10**6)
    for i, corners in enumerate(targets[f"{name}_box"]):
        overlap = targets[f"{name}_overlap"][i]
        if targets[f"{name}_neg"][i]:
            continue
        box = cxcywh(corners)
        label = assign(np.random.default_rng(0), everything, grid, box, False)
        np.testing.assert_array_equal(label == 1, overlap > 0.6)
        np.testing.assert_array_equal(label == 0, overlap < 0.3)


def test_a_box_on_the_middle_anchor_by_hand():
    """A 64 x 64 box in the centre: the square anchor there has overlap 1; 8 px aside 56/72 = .778;
    16 px .6.
    """
    everything = TargetRule(positives=10**6, total=2 * 10**6)
    label = assign(np.random.default_rng(0), everything, GRID, (127, 127, 64, 64), False)
    expected = np.zeros((25, 25), bool)
    expected[11:14, 11:14] = (
        True  # diagonally (56 * 56) / (2 * 4096 - 56 * 56) = .620; 16 px aside is not > .6
    )
    np.testing.assert_array_equal(label[2] == 1, expected)
    assert not (label[[0, 4]] == 1).any()  # 104 x 32 and 32 x 96 can reach .48 and .5 at most


def test_at_most_16_positives_and_48_negatives():
    label = assign(
        np.random.default_rng(0), TargetRule(positive_iou=0.4), GRID, (127, 127, 64, 64), False
    )
    assert (label == 1).sum() == 16
    assert (label == 0).sum() == 48


def test_anchors_that_learn_the_box_alone_by_hand():
    """A 64 x 64 box in the centre, square anchors: 8 px aside .778, 16 px .6, 24 px 40/88 = .455,
    32 px 1/3; (8, 8) .620, (8, 16) 56 * 48 / (8192 - 2688) = .488, (16, 16) .391, (8, 24)
    56 * 40 / (8192 - 2240) = .376.
    """
    rule = TargetRule(loc_iou=0.48, positives=1, total=2)
    label = assign(np.random.default_rng(0), rule, GRID, (127, 127, 64, 64), False)
    learns = np.zeros((25, 25), bool)
    learns[10:15, 11:14] = learns[11:14, 10:15] = True
    np.testing.assert_array_equal(label[2] >= 1, learns)
    assert (label == 1).sum() == 1  # the other positives learn the box nevertheless
    np.testing.assert_array_equal(label[2] == BOX_ALONE, learns & (label[2] != 1))


def test_the_published_rule_is_the_same_draw_with_boxes_of_their_own():
    published, more = (
        assign(np.random.default_rng(7), TargetRule(loc_iou=x), GRID, (120, 130, 50, 70), False)
        for x in (1.0, 0.35)
    )
    assert (more == BOX_ALONE).any()
    np.testing.assert_array_equal(np.where(more == BOX_ALONE, -1, more), published)


def test_a_kept_negative_does_not_learn_the_box():
    rule = TargetRule(loc_iou=0.1, negative_iou=0.3, total=10**6)
    label = assign(np.random.default_rng(0), rule, GRID, (127, 127, 64, 64), False)
    assert (label == BOX_ALONE).any()
    assert label[2, 12, 17] == 0  # 40 px aside: 24/104 = .231


def test_negatives_are_not_topped_up():
    label = assign(np.random.default_rng(0), RULE, GRID, (127, 127, 300, 300), False)
    assert (label == 1).sum() == 0
    assert (label == 0).sum() == 48


def test_a_negative_pair_takes_its_negatives_around_the_object():
    label = assign(np.random.default_rng(3), RULE, GRID, (127, 127, 60, 60), True)
    assert (label == 0).sum() == 16
    assert not (label == 1).any()
    _, rows, columns = np.nonzero(label == 0)
    # ceil(0 / 8 + .5) = 1: the 7 x 7 cells around cell 13
    assert rows.min() >= 10
    assert rows.max() <= 16
    assert columns.min() >= 10
    assert columns.max() <= 16


def test_all_negatives_of_a_negative_pair():
    rule = TargetRule(negatives=10**6)
    label = assign(np.random.default_rng(3), rule, GRID, (151, 111, 60, 60), True)
    expected = np.full_like(label, -1)
    # ceil(24 / 8 + .5) = 4 cells right of cell 12, ceil(-16 / 8 + .5) = -1 below it
    expected[:, 8:15, 13:20] = 0
    np.testing.assert_array_equal(label, expected)


def test_negatives_at_the_corner_of_the_map():
    rule = TargetRule(negatives=10**6)
    label = assign(np.random.default_rng(3), rule, GRID, (31, 31, 60, 60), True)
    expected = np.full_like(label, -1)
    expected[:, :5, :5] = 0  # around cell 1
    np.testing.assert_array_equal(label, expected)
    assert (assign(np.random.default_rng(3), rule, GRID, (127, -1000, 60, 60), True) == -1).all()


@pytest.mark.parametrize("width, height, overlap", [(10, 3, 0.3), (5, 3, 0.6)])
def test_an_overlap_of_exactly_a_threshold_is_ignored(width, height, overlap):
    grid = Anchors(stride=1, ratios=(1.0,), scales=(3,)).grid(3)
    label = assign(np.random.default_rng(0), RULE, grid, (0, 0, width, height), False)
    assert 9 / (width * height) == overlap
    assert label[0, 1, 1] == -1


def test_anchors_beside_a_small_object_do_not_overlap_it():
    grid = Anchors(stride=1, ratios=(1.0,), scales=(1,)).grid(5)
    label = assign(np.random.default_rng(0), RULE, grid, (0, 0, 1, 1), False)
    expected = np.zeros((1, 5, 5), np.int8)
    expected[0, 2, 2] = 1
    np.testing.assert_array_equal(label, expected)


def test_a_negative_pair_far_outside_has_no_label():
    assert (assign(np.random.default_rng(3), RULE, GRID, (1000, 127, 60, 60), True) == -1).all()
    assert (assign(np.random.default_rng(3), RULE, GRID, (-1000, 127, 60, 60), True) == -1).all()


@settings(max_examples=30, deadline=None)
@given(
    st.floats(0, 255),
    st.floats(0, 255),
    st.floats(1, 300),
    st.floats(1, 300),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_labels_keep_the_rule(cx, cy, w, h, negative, seed):
    box = np.array([cx, cy, w, h])
    label = assign(np.random.default_rng(seed), RULE, GRID, box, negative)
    overlap = boxes.iou(xyxy(GRID.astype(np.float64)), xyxy(box))
    assert label.dtype == np.int8
    if negative:
        assert (label == 0).sum() <= 16
        assert not (label == 1).any()
        return
    assert (overlap[label == 1] > 0.6).all()
    assert (overlap[label == 0] < 0.3).all()
    assert (label == 1).sum() == min(16, (overlap > 0.6).sum())
    assert (label == 0).sum() == min(48, (overlap < 0.3).sum())
