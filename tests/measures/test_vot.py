import json

import numpy as np
import pytest

from siamjax.datasets import registry, result_folders
from siamjax.datasets.results import FAILURE, REGION, START, UNKNOWN, Run, Store
from siamjax.datasets.sequence import NoFrames, Sequence
from siamjax.measures import vot


def sequence(length, name="s", size=(200, 150), **kwargs):
    truth = np.tile([20.0, 30.0, 40.0, 30.0], (length, 1))
    return Sequence(name, NoFrames(length, "none"), truth, image_size=size, **kwargs)


def run(text, box=(20.0, 30.0, 40.0, 30.0)):
    """A run from letters: s start, f failure, . pause, o the true box."""
    codes = [{"s": START, "f": FAILURE, ".": UNKNOWN, "o": REGION}[letter] for letter in text]
    regions = np.array([box if code == REGION else [np.nan] * 4 for code in codes])
    return Run(regions, np.array(codes, np.int8), np.full(len(text), np.nan))


def test_means_of_stretches_leave_unknown_frames_out():
    nan, whole = np.nan, np.zeros(1, int)
    overlap = np.array([[1, 0.5, nan, 0.8, nan, nan]])
    means, defined = vot._sums(vot.Fragments(overlap, whole, whole, whole + 4, np.ones(1)))
    assert defined.tolist() == [[True, True, True, False, False]]
    np.testing.assert_allclose(means[:, :3], [[0.5, 0.5, 0.65]])


def test_burn_in_drops_ten_frames_from_each_start():
    text = "s" + "o" * 14 + "f....s" + "o" * 12
    scored = vot.measure(sequence(len(text)), [run(text)])
    kept = np.flatnonzero(~np.isnan(vot.burned_in(scored)[0]))
    assert kept.tolist() == [10, 11, 12, 13, 14, 30, 31, 32]
    assert vot.accuracy([vot.mean_over_repetitions(vot.burned_in(scored))]) == 1


def test_robustness_counts_failures_over_all_frames():
    assert vot.robustness([np.array([2, 4]), np.array([0, 0])], [100, 200]) == (1.0, 3.0)


def test_fragments_of_a_run_with_a_failure():
    text = "s" + "o" * 3 + "f....s" + "o" * 4
    scored = vot.measure(sequence(len(text)), [run(text)])
    cut = vot.fragments([scored, vot.measure(sequence(20), [run("s" + "o" * 19)])])
    first, second, third = cut.overlap
    assert first.tolist() == [0, 1, 1, 1] + [0] * 16  # the failure counts for ever
    assert second[:5].tolist() == [0, 1, 1, 1, 1]
    assert np.isnan(second[5:]).all()
    assert np.isnan(third[0])
    assert (third[1:] == 1).all()
    curve = vot.expected_overlap(cut, vot.weights(cut))
    # at length 4 (column 4) the three means are 3/4, 1 and 1
    assert curve[4] == pytest.approx((0.75 + 1 + 1) / 3)
    assert curve[19] == pytest.approx((3 / 19 + 1) / 2)
    assert vot.eao(curve, (5, 5)) == pytest.approx(curve[4])


def test_a_tag_weighs_fragments_by_its_share_of_frames():
    text = "s" + "o" * 3 + "f....s" + "o" * 4
    scored = vot.measure(sequence(len(text)), [run(text)])
    cut = vot.fragments([scored])
    tag = np.zeros(len(text), bool)
    tag[10:12] = True
    np.testing.assert_allclose(vot.weights(cut, [tag]), [0, 2 / 5])
    curve = vot.expected_overlap(cut, vot.weights(cut, [tag & False]))
    nothing = vot.tag_summary(curve, (2, 4), [np.ones(len(text))], [scored], [tag & False])
    assert np.isnan(list(nothing.values())).all()


def test_bounds_of_accuracy_and_expected_overlap_differ_by_a_pixel():
    truth = sequence(3, size=(50, 150))
    narrow = run("soo", (20.0, 30.0, 29.0, 30.0))
    scored = vot.measure(truth, [narrow])
    assert scored.inner[0, 1] > scored.whole[0, 1]


def test_resampling_all_once_gives_the_benchmark():
    texts = ["s" + "o" * 30 + "f....s" + "o" * 20, "s" + "o" * 40, "s" + "o" * 25 + "f...."]
    scored = [vot.measure(sequence(len(text)), [run(text)]) for text in texts]
    cut = vot.fragments(scored)
    interval = (10, 35)
    expected = vot.eao(vot.expected_overlap(cut, vot.weights(cut)), interval)
    found = vot.resampled_eao(cut, interval, np.array([[0, 1, 2], [1, 1, 1]]), 3)
    np.testing.assert_allclose(found, [expected, 1.0], atol=1e-6)


@pytest.mark.reference
@pytest.mark.parametrize("name", ["VOT2016", "VOT2018", "VOT2019"])
def test_toolkit_figures_of_vot(reference, name):
    root = reference / "conformance/toolkit"
    expected = json.loads((root / "expected.json").read_text())[name]
    benchmark = registry.load(name, root / "dataset", images=False)
    assert list(benchmark.dataset.interval) == expected["interval"]
    assert (expected["skipping"], expected["burnin"]) == (vot.SKIPPING, vot.BURN_IN)
    store = Store(root / "results" / name, benchmark.dataset)
    found = result_folders.find(root / "results" / name, benchmark.dataset, benchmark.sequences)
    assert [*found.trackers] == sorted(expected["trackers"])
    for tracker, figures in expected["trackers"].items():
        scored = [vot.measure(s, store.read(tracker, s)) for s in benchmark.sequences]
        frames = [vot.mean_over_repetitions(vot.burned_in(one)) for one in scored]
        assert vot.accuracy(frames) == pytest.approx(figures["accuracy"], abs=1e-6)
        failures = [np.array([len(f) for f in one.failures]) for one in scored]
        robustness, lost = vot.robustness(failures, [len(s) for s in benchmark.sequences])
        assert robustness == pytest.approx(figures["robustness"], abs=1e-6)
        assert lost == pytest.approx(figures["lost"], abs=1e-6)
        cut = vot.fragments(scored)
        for tag, value in figures["eao"].items():
            tags = None if tag == "all" else [s.tags[tag] for s in benchmark.sequences]
            curve = vot.expected_overlap(cut, vot.weights(cut, tags))
            assert vot.eao(curve, benchmark.dataset.interval) == pytest.approx(value, abs=1e-6)
