"""Figures at their thresholds, intervals and weights, all by hand."""

import dataclasses
import math

import numpy as np
import pytest

from siamjax.datasets.forms.base import FAILURE, REGION, START, UNKNOWN, Run, unscored
from siamjax.datasets.sequence import NoFrames, Sequence
from siamjax.measures import (
    bootstrap,
    eao,
    got10k,
    longterm,
    multistart,
    ope,
    table,
    vot,
    vot_toolkit,
)
from siamjax.measures.result import Figure, Result

BOX = np.array([100.0, 100, 50, 40])


def sequence(count, name="s", box=BOX, **more):
    return Sequence(name, NoFrames(count, "none"), np.tile(box, (count, 1)), **more)


# --- one-pass


def moved(*steps):
    """Results that lie so many px to the right of the truth."""
    return np.array([BOX + [step, 0, 0, 0] for step in steps])


def summary(result):
    return ope.summary(ope.curves(np.tile(BOX, (len(result), 1)), result))


def test_precision_counts_frames_at_20_px_and_none_beyond():
    assert summary(moved(0, 19, 20, 20.5, 21))["precision_20"] == pytest.approx(3 / 5)


def test_normalised_precision_counts_a_fifth_of_the_size():
    # 10 px are 0.2 of 50
    assert summary(moved(0, 9.9, 10, 10.4, 11))["normalised_precision_20"] == pytest.approx(3 / 5)


def test_overlap_precision_counts_what_is_above_its_threshold():
    wide = np.array([[100, 100, width, 40] for width in (50, 25, 26, 37.5, 38)], float)
    found = summary(wide)  # overlaps 1, .5, .52, .75, .76
    assert found["op_50"] == pytest.approx(4 / 5)
    assert found["op_75"] == pytest.approx(2 / 5)
    assert found["mean_overlap"] == pytest.approx((1 + 0.5 + 0.52 + 0.75 + 0.76) / 5)


def test_frames_without_overlap_count_for_its_mean():
    assert summary(moved(0, 400))["mean_overlap"] == pytest.approx(0.5)


def test_success_auc_of_overlaps_between_thresholds():
    wide = np.array([[100, 100, width, 40] for width in (26, 38)], float)  # .52 and .76
    # above 0, .05 ... .5: 11 thresholds; above ... .75: 16
    assert summary(wide)["success_auc"] == pytest.approx((11 + 16) / 2 / 21)


def test_the_centre_lies_half_a_pixel_left_of_the_middle():
    truth = np.array([[-24.0, 100, 50, 40], [-25.0, 100, 50, 40]])  # centres .5 and -.5
    far = truth + [400, 0, 0, 0]
    assert ope.curves(truth, far).precision[50] == 0.5  # the second counts as a hit


def test_a_sequence_without_a_true_box_has_no_overlap():
    truth = np.full((3, 4), np.nan)
    assert ope.curves(truth, np.tile(BOX, (3, 1))).mean_overlap == 0.0


def test_all_sequences_and_all_repetitions_weigh_the_same():
    sequences = [sequence(2, "a"), sequence(8, "b")]
    runs = [[unscored(moved(0, 0)), unscored(moved(400, 400))], [unscored(moved(*[0] * 8))]]
    found = table.score("ope", sequences, {"t": runs})
    rows = found.per_sequence["t"]
    assert rows["a"]["success_auc"] == pytest.approx(10 / 21)
    assert found.trackers["t"]["success_auc"] == pytest.approx((10 / 21 + 20 / 21) / 2)


def test_two_scores_are_enough_to_tell_losses():
    one = unscored(moved(0, 0, 400, 400))
    for scores, figures in (([0.9, 0.9, 0.1, 0.1], {"loss_auroc"}), ([0.9] * 4, set())):
        run = dataclasses.replace(one, scores=np.array(scores))
        found = table.score("ope", [sequence(4)], {"t": [[run]]}).trackers["t"]
        assert {"loss_auroc"} & found.keys() == figures
    assert found["success_auc"] == pytest.approx(10 / 21)


# --- GOT-10k


def test_got10k_counts_what_is_above_its_thresholds():
    truth = np.tile(BOX, (5, 1))
    result = np.array([[100, 100, width, 40] for width in (1, 25, 26, 37.5, 38)], float)
    counts = got10k.count(truth, result)
    assert counts[0] == 4  # without the first frame
    found = got10k.summary([counts])
    assert found["ao"] == pytest.approx((0.5 + 0.52 + 0.75 + 0.76) / 4)
    assert found["sr_50"] == 3 / 4
    assert found["sr_75"] == 1 / 4
    np.testing.assert_array_equal(got10k.curve([counts])[[49, 50, 52, 76]], [1, 0.75, 0.5, 0])


def test_got10k_weighs_sequences_by_their_frames():
    long, short = sequence(11, "l", image_size=(400, 300)), sequence(3, "s", image_size=(400, 300))
    runs = [[unscored(moved(*[0] * 11))], [unscored(moved(*[300] * 3))]]
    found = table.score("got10k", [long, short], {"t": runs})
    assert found.trackers["t"]["ao"] == pytest.approx(10 / 12)
    assert found.per_sequence["t"]["s"]["ao"] == 0


def test_the_interval_of_got10k_weighs_by_frames_too():
    size = (400, 300)
    sequences = [sequence(11, "l", image_size=size), sequence(3, "s", image_size=size)]
    runs = [[unscored(moved(*[0] * 11))], [unscored(moved(*[300] * 3))]]
    drawn = got10k.score(sequences, runs).resampled["ao"]
    # both sequences, the long one twice, the short one twice
    assert set(np.round(drawn, 9)) == {round(10 / 12, 9), 1.0, 0.0}
    single = got10k.score([sequence(2, image_size=size)], [[unscored(moved(0, 0))]])
    assert set(single.resampled["ao"]) == {1.0}


def test_got10k_cuts_at_all_four_borders():
    size = (120, 110)
    cut = got10k.inside(np.array([[-5.0, -7, 200, 300], [110, 100, 20, 20]]), size)
    np.testing.assert_array_equal(cut, [[0, 0, 120, 110], [110, 100, 10, 10]])


def test_got10k_without_a_scored_frame():
    truth = np.tile(BOX, (2, 1))
    counts = got10k.count(truth, truth, np.array([False, True]))
    assert got10k.summary([counts]) == {"ao": 0, "sr_50": 0, "sr_75": 0}


# --- long-term


def test_thresholds_of_98_scores_are_these_scores():
    limits = longterm.thresholds(np.arange(98.0))
    np.testing.assert_array_equal(limits, [np.inf, *np.arange(97.0, -1, -1), -np.inf])


def test_thresholds_of_more_scores_lie_at_even_ranks():
    limits = longterm.thresholds(np.arange(196.0))
    # from rank 1 to rank 194, in 97 steps, rounded half up
    ranks = [math.floor(1 + k * (194 - 1) / 97 + 0.5) for k in range(98)]
    np.testing.assert_array_equal(limits[1:-1], ranks[::-1])
    assert len(limits) == 100


def test_thresholds_of_few_scores():
    limits = longterm.thresholds(np.array([3.0, np.nan, 1.0]))
    assert set(limits[1:-1]) <= {1.0, 3.0}
    assert limits[1] == 3
    assert (longterm.thresholds(np.array([np.nan])) == [np.inf, *[0] * 98, -np.inf]).all()


def test_a_frame_is_reported_at_its_own_score_and_at_none_below_zero():
    overlap = np.array([0.0, 0.5, 0.9, 0.3])
    scores = np.array([np.nan, 0.4, 0.8, -0.1])
    limits = np.array([np.inf, 0.8, 0.4, 0.0, -0.1, -np.inf])
    precision, recall = longterm.sequence_curves(overlap, scores, 4, limits)
    # at 0 the first frame is reported too, at -0.1 all; at -inf those with a score above 0
    np.testing.assert_allclose(precision, [1, 0.9, 0.7, 1.4 / 3, 1.7 / 4, 1.4 / 2])
    np.testing.assert_allclose(recall, [0, 0.9 / 4, 1.4 / 4, 1.4 / 4, 1.7 / 4, 1.4 / 4])


def test_f_is_the_harmonic_mean_and_its_best_is_taken():
    curves = longterm.Curves(
        np.array([2.0, 1, 0]), np.array([1.0, 0.8, 0]), np.array([0.2, 0.6, 0])
    )
    np.testing.assert_allclose(curves.f, [2 * 0.2 / 1.2, 2 * 0.48 / 1.4, 0])
    assert curves.best == 1
    found = curves.summary()
    assert found == pytest.approx({"f_score": 0.96 / 1.4, "precision": 0.8, "recall": 0.6})


def test_ranges_of_the_longterm_plots():
    assert longterm.PLOTS["precision_recall"].x_range == (0, 1)
    assert longterm.PLOTS["f_score"].x_range == (0, 100)


def test_longterm_sequences_weigh_the_same_and_are_read_at_one_threshold():
    count, size = 6, (400, 300)
    codes = np.array([START] + [REGION] * (count - 1), np.int8)

    def run(steps, scores):
        regions = np.vstack([np.full(4, np.nan), moved(*steps)])
        return Run(regions, codes, np.array([np.nan, *scores]))

    sequences = [sequence(count, name, image_size=size) for name in "ab"]
    runs = [[run([0] * 5, [0.9] * 5)], [run([300] * 5, [0.2] * 5)]]
    found = table.score("longterm", sequences, {"t": runs})
    # at 0.9: precision 1 and 1 (nothing is reported), recall 5/6 and 0
    recall = 5 / 12
    assert found.trackers["t"]["precision"] == pytest.approx(1)
    assert found.trackers["t"]["recall"] == pytest.approx(recall)
    assert found.trackers["t"]["f_score"] == pytest.approx(2 * recall / (1 + recall))
    assert found.per_sequence["t"]["a"]["recall"] == pytest.approx(5 / 6)
    assert found.per_sequence["t"]["b"]["precision"] == 1


def test_f_of_small_precision_and_recall():
    curves = longterm.Curves(np.arange(3.0), np.array([0.2, 0, 1]), np.array([0.3, 0, 1]))
    np.testing.assert_allclose(curves.f, [0.24, 0, 1])


# --- multi-start


def test_an_overlap_just_above_a_tenth_is_no_failure():
    truth = np.tile([0.0, 0, 100, 20], (30, 1))
    for shift, progress in ((80, 30), (84, 1)):  # overlaps .111 and .087
        tracked = multistart.measure(truth, truth + [shift, 0, 0, 0], (400, 300))
        assert tracked.progress == progress


def test_ten_frames_at_a_tenth_of_overlap_fail_and_nine_do_not():
    size, count = (400, 300), 30
    truth = np.tile(BOX, (count, 1))
    low = np.array([100.0, 100, 50, 4])  # 51 x 5 of 51 x 41 pixels: .122
    lower = np.array([100.0, 100, 50, 3])  # 51 x 4: .0976
    for row, frames, progress in ((low, 20, count), (lower, 9, count), (lower, 10, 5)):
        regions = truth.copy()
        regions[5 : 5 + frames] = row
        assert multistart.measure(truth, regions, size).progress == progress


def test_frames_without_truth_are_not_missed():
    truth = np.tile(BOX, (20, 1))
    truth[8] = np.nan
    regions = np.full((20, 4), np.nan)
    tracked = multistart.measure(truth, regions, (400, 300))
    assert tracked.progress == 9  # the first of the ten after frame 8
    assert multistart.measure(truth[:18], regions[:18], (400, 300)).progress == 18


def test_accuracy_of_multistart_weighs_by_tracked_frames_robustness_by_lengths():
    nothing = (float("nan"), 0.0, 0)
    accuracy, share = multistart.summary([(0.5, 0.5, 30), (0.9, 1.0, 10), nothing], [60, 10, 30])
    assert accuracy == pytest.approx((0.5 * 30 + 0.9 * 10) / 40)
    assert share == pytest.approx((0.5 * 60 + 10) / 100)
    assert math.isnan(multistart.summary([nothing], [30])[0])


@pytest.mark.parametrize("longest, interval", [(115, (28, 115)), (116, (115, 755)), (5, (2, 5))])
def test_the_interval_of_multistart(longest, interval):
    one = sequence(longest, image_size=(400, 300))
    from siamjax.datasets.forms.multistart import multistart_anchors, multistart_frames

    runs = []
    for anchor, _ in multistart_anchors(one):
        codes = np.full(len(multistart_frames(one, anchor)), REGION, np.int8)
        runs.append(unscored(np.tile(BOX, (len(codes), 1)), codes))
    found = table.score("multistart", [one], {"t": [runs]})
    assert found.interval == interval
    assert found.trackers["t"]["eao"] == pytest.approx(1)
    assert found.curves["expected overlap"][0].tolist() == list(range(1, longest + 1))


def test_sequences_weigh_alike_whatever_the_number_of_their_runs():
    good = multistart.Tracked(np.ones(20), 20)
    bad = multistart.Tracked(np.zeros(20), 0)
    curve = multistart.expected_overlap([[good], [bad] * 4], 20)
    np.testing.assert_allclose(curve, 0.5)


# --- VOT


def supervised(text):
    codes = [{"s": START, "f": FAILURE, ".": UNKNOWN, "o": REGION}[c] for c in text]
    regions = np.array([BOX if c == "o" else [np.nan] * 4 for c in text])
    return Run(regions, np.array(codes, np.int8), np.full(len(text), np.nan))


def test_vot_figures_of_two_sequences():
    size = (400, 300)
    first = "s" + "o" * 19 + "f....s" + "o" * 14
    sequences = [sequence(40, "a", image_size=size), sequence(60, "b", image_size=size)]
    runs = [[supervised(first)], [supervised("s" + "o" * 59)]]
    found = table.score("vot", sequences, {"t": runs}, (10, 12)).trackers["t"]
    assert found["lost"] == 1
    assert found["robustness"] == pytest.approx(1)  # 1 of 100 frames
    assert found["accuracy"] == pytest.approx(1)
    assert found["eao"] == pytest.approx(1)
    later = table.score("vot", sequences, {"t": runs}, (30, 30)).trackers["t"]
    # fragments at length 30 (29 frames after the start): 19 of 29 tracked, then lost; one of 60
    assert later["eao"] == pytest.approx((19 / 29 + 1) / 2, abs=1e-6)
    result = table.score("vot", sequences, {"t": runs}, (10, 12))
    assert result.per_sequence["t"]["a"] == {"accuracy": 1, "lost": 1, "robustness": 100 / 40}
    x, y = result.plots["accuracy_robustness"].at(result, "t")
    assert (x, y) == (pytest.approx(math.exp(-30 * 1 / 100)), pytest.approx(1))


@pytest.mark.parametrize(
    "size, box, narrow",
    [
        ((150, 400), (100, 100, 50, 40), (100, 100, 49, 40)),
        ((400, 140), (10, 100, 50, 40), (10, 100, 50, 39)),
    ],
    ids=["right", "bottom"],
)
def test_the_expected_overlap_leaves_the_last_column_and_row_out(size, box, narrow):
    """The true box ends at the image's last column or row, the result one before it."""
    run = supervised("soo")
    run.regions[1:] = narrow
    scored = vot.measure(sequence(3, box=box, image_size=size), [run])
    long, short = (51, 50) if size[0] == 150 else (41, 40)
    np.testing.assert_allclose(scored.whole[0, 1:], short / long, atol=1e-6)
    np.testing.assert_allclose(scored.inner[0, 1:], 1, atol=1e-6)


def test_resampled_eao_weighs_sequences_alike_whatever_their_repetitions():
    size = (400, 300)
    sequences = [sequence(30, name, image_size=size) for name in "ab"]
    lost = "s" + "o" * 4 + "f" + "." * 4 + "s" + "o" * 19
    runs = [[supervised("s" + "o" * 29)], [supervised(lost)] * 3]
    scored = [vot.measure(s, r) for s, r in zip(sequences, runs, strict=True)]
    cut = vot.fragments(scored)
    whole = vot.eao(vot.expected_overlap(cut, vot.weights(cut)), (10, 15))
    found = vot.resampled_eao(cut, (10, 15), np.array([[0, 1], [1, 0], [0, 0]]), 2)
    np.testing.assert_allclose(found, [whole, whole, 1], atol=1e-6)
    # sequences weigh 1 and, of its two stretches, 1 each: means 1, 4 frames of i, 1
    expected = np.mean([(1 + 4 / i + 1) / 3 for i in range(9, 15)])
    assert whole == pytest.approx(expected, abs=1e-6)


def test_the_toolkit_sees_nothing_in_a_single_row_or_column():
    size = (120, 90)

    def overlap(box):
        return vot_toolkit.overlaps(np.array([box], float), np.array([box], float), size)[0]

    assert overlap((10, 89, 20, 20)) == 0  # row 89 alone is inside
    assert overlap((119, 10, 20, 20)) == 0
    assert overlap((10, 88, 20, 20)) == overlap((118, 10, 20, 20)) == 1


def test_trackers_are_ranked_and_numbers_are_printed():
    figures = {"up": Figure("up"), "down": Figure("down", lower_is_better=True, digits=1)}
    rows = {"a": {"up": 0.5, "down": 2.0}, "b": {"up": 0.75, "down": 3.25}, "c": {"up": math.nan}}
    result = Result(overlap="none", trackers=rows, figures=figures)
    assert result.ranked() == ["b", "a", "c"]
    assert result.ranked("down") == ["a", "b", "c"]
    assert result.best("down") == 2.0
    assert result.number("up", 0.12345) == "0.123"
    assert result.number("down", 3.26) == "3.3"
    assert result.number("up", None) == result.number("up", math.nan) == "-"


def test_the_order_of_columns_is_that_of_the_figures():
    """Before: that of the first tracker's, so that one which lacks some moved the others."""
    names = ("auc", "loss_auroc", "fps")
    rows = {"a": {"auc": 0.5, "fps": 9.0}, "b": {"auc": 0.4, "loss_auroc": 0.7, "fps": 8.0}}
    figures = {name: Figure(name) for name in (*names, "other")}
    for trackers in (rows, dict(reversed(rows.items()))):
        result = Result(overlap="none", trackers=trackers, figures=figures)
        assert result.columns == [*names]
        assert result.main == "auc"


def test_a_failure_whose_restart_lies_beyond_the_end():
    size = (400, 300)
    # the restart would be at the last frame + 1, and one later
    for text, count in (("s" + "o" * 9 + "f....", 2), ("s" + "o" * 9 + "f...", 1)):
        one = sequence(len(text), image_size=size)
        cut = vot.fragments([vot.measure(one, [supervised(text)])])
        assert len(cut.overlap) == count


def test_vot_toolkit_figures_of_two_sequences():
    size = (400, 300)
    first = "s" + "o" * 19 + "f....s" + "o" * 14
    sequences = [sequence(40, "a", image_size=size), sequence(60, "b", image_size=size)]
    runs = [[supervised(first)], [supervised("s" + "o" * 59)]]
    result = table.score("vot_toolkit", sequences, {"t": runs}, (30, 30))
    found = result.trackers["t"]
    assert found["weighted_lost"] == pytest.approx(40 / 100)  # one in 40 of 100 frames
    assert found["reliability"] == pytest.approx(math.exp(-0.4 / 50 * 30))
    assert result.per_sequence["t"]["a"]["lost"] == 1
    # frames 1..30 after the start: 19 tracked, then lost; the stretch of 15 is over
    assert found["eao"] == pytest.approx((19 / 30 + 1) / 2)
    assert result.plots["accuracy_robustness"].at(result, "t") == (found["reliability"], 1)
    thresholds, curves = result.curves["expected overlap"]
    assert thresholds.tolist() == list(range(60))
    assert len(curves["t"]) == 60


# --- intervals


def test_the_middle_half_of_lengths():
    assert eao.middle_half(np.array([10, 20, 30, 40, 50])) == (20, 40)
    assert eao.middle_half(np.array([1, 1])) == (2, 2)


def test_the_intervals_of_benchmarks_without_their_own():
    size = (400, 300)
    lengths = (20, 30, 40, 50, 60)
    sequences = [sequence(n, str(n), image_size=size) for n in lengths]
    runs = [[supervised("s" + "o" * (n - 1))] for n in lengths]
    assert vot.score(sequences, runs).interval == (30, 50)
    assert vot_toolkit.score(sequences, runs).interval == (29, 49)


def test_eao_averages_from_low_to_high_counted_from_1():
    curve = np.array([9.0, 1, 2, np.nan, 9])
    assert eao.eao(curve, (2, 4)) == 1.5
    assert math.isnan(eao.eao(curve, (6, 9)))


def test_the_interval_holds_the_middle_95_percent():
    samples = np.arange(1001) / 1000
    assert bootstrap.interval(samples) == (pytest.approx(0.025), pytest.approx(0.975))
    assert bootstrap.interval(np.append(samples, np.nan)) == bootstrap.interval(samples)
    assert all(map(math.isnan, bootstrap.interval(np.full(3, np.nan))))


def test_the_draws():
    draws = bootstrap.resamples(5)
    assert draws.shape == (2000, 5)
    assert set(draws.ravel()) == set(range(5))
    np.testing.assert_array_equal(draws, np.random.default_rng(0).integers(0, 5, (2000, 5)))
    np.testing.assert_array_equal(bootstrap.means([1, 2, 3, 4, 5]), draws.mean(1) + 1)
    assert bootstrap.of_mean([1, 2, 3, 4, 9]) == bootstrap.interval(
        bootstrap.means([1, 2, 3, 4, 9])
    )
    assert bootstrap.of_mean([1.0, 1.0]) == (1, 1)


def test_the_probability_of_a_difference():
    draws = np.array([-1.0, 1.0] * 50)  # spread 1
    assert bootstrap.p_value(1.96, draws) == pytest.approx(0.05, abs=1e-3)
    assert bootstrap.p_value(-1.96, draws) == bootstrap.p_value(1.96, draws)
    assert bootstrap.p_value(0.0, np.zeros(5)) == 1
    assert bootstrap.p_value(0.5, np.full(5, 0.5)) == 0
    assert bootstrap.p_value(1e-15, np.full(5, 1.0)) < 1e-9
