"""Losses, shift and size of runs, by hand, and what the paired bootstrap says of known gains."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamjax.measures import robustness
from siamjax.measures.robustness import Counts

TRUTH = np.tile([40.0, 30.0, 20.0, 10.0], (40, 1))


def moved(frames, by=(100.0, 0.0)):
    found = TRUTH.copy()
    found[frames, :2] += by
    return found


def test_lost_frames_and_losses_by_hand():
    lost = [*range(5, 8), *range(10, 20), *range(36, 40)]
    found = robustness.counts(TRUTH, moved(lost), 0.5)
    # three frames are too few for a loss; ten are one, and so are the last four
    assert (found.frames, found.lost, found.losses, found.tracked) == (39, 17, 2, 39 - 14)
    figures = robustness.figures([found])
    assert figures["lost"] == pytest.approx(1000 * 17 / 39)
    assert figures["losses"] == pytest.approx(1000 * 2 / 25)
    assert figures["success_auc"] == 0.5


def test_overlap_of_a_tenth_is_not_lost():
    # 20 px wide, moved by 180 / 11: overlap (20 - x) / (20 + x) = 0.1
    by = 180 / 11
    assert robustness.counts(TRUTH, moved(range(40), (by + 1e-9, 0)), 0.0).lost == 39
    assert robustness.counts(TRUTH, moved(range(40), (by - 1e-9, 0)), 0.0).lost == 0


def test_frames_without_a_true_box_do_not_count():
    truth = TRUTH.copy()
    truth[3], truth[4] = np.nan, 0.0
    found = moved([0, 3, 4, 5])
    found[6] = np.nan
    counts = robustness.counts(truth, found, 0.0)
    assert (counts.frames, counts.lost, counts.sized) == (37, 2, 35)


def test_a_run_of_absent_frames_has_no_figures():
    counts = robustness.counts(np.full((4, 4), np.nan), TRUTH[:4], 0.0)
    figures = robustness.figures([counts])
    assert np.isnan([figures[name] for name in ("lost", "losses", "size", "shift")]).all()


def test_size_is_the_geometric_mean_of_sides():
    found = TRUTH.copy()
    found[:, 2:] *= [2.0, 2.0]
    found[1::2, 2:] /= 2
    found[7] += [100, 0, 50, 50]  # lost: its size does not count
    figures = robustness.figures([robustness.counts(TRUTH, found, 0.0)])
    assert figures["size"] == pytest.approx(2 ** (19 / 38))


@given(st.floats(-3, 3), st.floats(-3, 3))
def test_the_shift_is_the_common_part_of_both_runs(right, along):
    # one moves with what the clip shows, and so cancels; the other lies to the right in both
    truth = TRUTH * 4
    plain, other = truth.copy(), robustness.mirrored(truth, 640.0)
    plain[:, 0] += along + right
    other[:, 0] += -along + right
    pair = robustness.shift(truth, plain, other, 640.0)
    assert pair.frames == 39
    figures = robustness.figures([robustness.counts(truth, plain, 0.0)], [pair])
    assert figures["shift_width"] == pytest.approx(right / 80, abs=1e-9)
    # the target of 80 x 40 px with its context: sqrt(140 x 100), 127 px of the crop
    assert figures["shift"] == pytest.approx(right * 127 / 14000**0.5, abs=1e-9)


def test_only_frames_that_both_hold_have_a_shift():
    other = robustness.mirrored(moved(range(10)), 640.0)
    pair = robustness.shift(TRUTH, moved(range(5, 20)), other, 640.0)
    assert (pair.frames, pair.pixels) == (20, 0.0)


def test_gains_by_hand():
    def run(auc, lost):
        return Counts(auc, 100, lost, lost // 10, 100 - lost, 0.0, 100 - lost)

    theirs = [[run(0.5, 20), run(0.7, 0)], [run(0.4, 50), run(0.6, 0)]]
    ours = [[run(0.6, 10), run(0.8, 0)], [run(0.6, 30), run(0.8, 0)]]
    found = robustness.gains(ours, theirs)
    assert found["success_auc"]["gain"] == pytest.approx(0.15)
    assert found["lost"]["gain"] == pytest.approx((50 + 100) / 2)
    # of two targets a draw has one twice, or both
    np.testing.assert_allclose(found["success_auc"]["interval"], (0.1, 0.2))
    np.testing.assert_allclose(found["lost"]["interval"], (50, 100))
    # whichever runs are drawn, the gain in AUC is that of the target
    np.testing.assert_allclose(found["success_auc"]["interval_runs"], (0.15, 0.15))
    # none or only the runs that lose: (0 + 0) / 2 to (100 + 200) / 2
    np.testing.assert_allclose(found["lost"]["interval_runs"], (0, 150))
    losses = (2 / 180 - 1 / 190 + 5 / 150 - 3 / 170) / 2
    assert found["losses"]["gain"] == pytest.approx(1000 * losses)


def test_equal_trackers_gain_nothing():
    runs = [[robustness.counts(TRUTH, moved(range(k, 40)), 0.3) for k in (9, 20)]] * 3
    for row in robustness.gains(runs, runs).values():
        assert (row["gain"], row["interval"], row["interval_runs"]) == (0, (0, 0), (0, 0))
