"""What scores say about boxes: by hand, and by plain loops."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from siamjax.datasets.forms.base import FAILURE, REGION, START, Run, unscored
from siamjax.datasets.sequence import NoFrames, Sequence
from siamjax.measures import calibration, table

BOX = (10.0, 10.0, 20.0, 20.0)
HALF = (10.0, 10.0, 11.0, 20.0)  # overlap .55
THIRD = (10.0, 10.0, 7.0, 20.0)  # overlap .35
TOUCH = (10.0, 10.0, 2.0, 20.0)  # overlap .1
AWAY = (60.0, 60.0, 20.0, 20.0)


def sequence(boxes, name="a", **fields):
    truth = np.array(boxes, float)
    return Sequence(name, NoFrames(len(truth), None), truth, image_size=(100, 100), **fields)


def run(boxes, scores, codes=None):
    regions = np.array(boxes, float)
    codes = np.full(len(regions), REGION, np.int8) if codes is None else np.array(codes, np.int8)
    return Run(regions, codes, np.array(scores, float))


def test_lost_and_good_by_hand():
    truth = sequence([BOX] * 7, absent=np.array([0, 0, 0, 0, 0, 0, 1], bool))
    found = calibration.frames(
        truth, run([BOX, BOX, HALF, THIRD, TOUCH, AWAY, BOX], [1, 0.9, 0.8, 0.7, np.nan, 0.2, 0.6])
    )
    assert found.scores.tolist() == [0.9, 0.8, 0.7, 0.2, 0.6]
    assert found.lost.tolist() == [False, False, False, True, True]
    assert found.good.tolist() == [True, True, False, False, False]


def test_an_overlap_of_a_tenth_is_lost():
    found = calibration.frames(sequence([BOX] * 3), run([BOX, TOUCH, THIRD], [np.nan, 0.5, 0.6]))
    assert found.lost.tolist() == [True, False]


def test_unknown_truth_is_a_target_that_is_not_there():
    truth = sequence([BOX, (np.nan,) * 4, BOX])
    found = calibration.frames(truth, run([BOX, BOX, BOX], [1, 0.5, 0.6]))
    assert found.lost.tolist() == [True, False]


def test_failures_of_restart_runs_are_lost_and_pauses_are_left_out():
    nothing = (np.nan,) * 4
    found = calibration.frames(
        sequence([BOX] * 6),
        run(
            [nothing, BOX, nothing, nothing, nothing, BOX],
            [np.nan, 0.9, 0.1, np.nan, np.nan, 0.8],
            [START, REGION, FAILURE, 0, START, REGION],
        ),
    )
    assert found.scores.tolist() == [0.9, 0.1, 0.8]
    assert found.lost.tolist() == [False, True, False]


def test_a_box_that_is_no_number_is_lost():
    found = calibration.frames(sequence([BOX] * 3), run([BOX, (np.nan,) * 4, BOX], [1, 0.3, 0.4]))
    assert found.lost.tolist() == [True, False]


SETTINGS = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
SCORES = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0]), st.booleans()),
    min_size=1,
    max_size=30,
)


@SETTINGS
@given(SCORES)
def test_auroc_by_counting_pairs(frames):
    lost = [score for score, bad in frames if bad]
    fine = [score for score, bad in frames if not bad]
    found = calibration.auroc(*map(np.array, zip(*frames, strict=True)))
    if not lost or not fine:
        assert np.isnan(found)
        return
    wins = sum((a < b) + (a == b) / 2 for a in lost for b in fine)
    assert found == pytest.approx(wins / (len(lost) * len(fine)))


@SETTINGS
@given(SCORES)
def test_area_below_the_detection_curve_is_the_auroc(frames):
    scores, lost = map(np.array, zip(*frames, strict=True))
    found = calibration.detection(scores, lost)
    if lost.all() or not lost.any():
        assert np.isnan(found).all()
        return
    assert (np.diff(found) >= 0).all()
    assert np.trapezoid(found, dx=0.01) == pytest.approx(calibration.auroc(scores, lost), abs=0.02)


def test_reliability_and_error_by_hand():
    scores = np.array([0.05, 0.95, 0.9, 1.0, 0.45])
    good = np.array([False, True, False, True, True])
    counts, means = calibration.reliability(calibration.Frames(scores, ~good, good))
    assert counts.tolist() == [1, 0, 0, 0, 1, 0, 0, 0, 0, 3]
    np.testing.assert_allclose(means[:, 9], [0.95, 2 / 3])
    np.testing.assert_allclose(means[:, 4], [0.45, 1])
    assert np.isnan(means[:, 1]).all()
    error = (0.05 + 0.55 + 3 * (0.95 - 2 / 3)) / 5
    assert calibration.calibration_error(counts, means) == pytest.approx(error)


def test_only_trackers_with_scores_that_differ():
    truth = [sequence([BOX] * 5)]
    boxes = [BOX, BOX, AWAY, BOX, AWAY]
    runs = {
        "none": [[unscored(np.array(boxes))]],
        "constant": [[run(boxes, [1] * 5)]],
        "logits": [[run(boxes, [0, 3, -2, 5, 4])]],
        "shares": [[run(boxes, [1, 0.9, 0.2, 0.8, 0.1])]],
        "ends": [[run(boxes, [1, 1, 0, 1, 0])]],  # 0 and 1 are shares
    }
    found = table.score("ope", truth, runs)
    assert "loss_auroc" not in found.trackers["none"] | found.trackers["constant"]
    assert found.trackers["logits"]["loss_auroc"] == pytest.approx(3 / 4)
    assert "calibration_error" not in found.trackers["logits"]
    assert found.trackers["shares"]["loss_auroc"] == 1
    assert found.trackers["shares"]["calibration_error"] == pytest.approx(0.15)
    assert found.trackers["ends"]["calibration_error"] == 0
    assert found.main == "success_auc"
    x, y = found.plots["reliability"].at(found, "shares")
    np.testing.assert_allclose(x, [0.1, 0.2, 0.8, 0.9])
    assert y.tolist() == [0, 0, 1, 1]
    with pytest.raises(KeyError):
        found.plots["reliability"].at(found, "logits")
    assert set(found.curves["loss detection"][1]) == {"logits", "shares", "ends"}


def test_without_scores_nothing_is_added():
    found = table.score("ope", [sequence([BOX] * 3)], {"t": [[unscored(np.array([BOX] * 3))]]})
    assert "loss_auroc" not in found.figures
    assert not {"reliability", "loss_detection"} & set(found.plots)
