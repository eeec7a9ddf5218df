import json

import numpy as np
import pytest

from siamjax.datasets import registry
from siamjax.datasets.results import Store
from siamjax.geometry.polygons import raster_overlap
from siamjax.measures import got10k, longterm, multistart, ope

# --- long-term


def test_longterm_by_hand():
    overlap = np.array([0.0, 0.8, np.nan, 0.6])
    scores = np.array([np.nan, 0.9, 0.7, 0.5])
    limits = np.array([np.inf, 0.8, 0.6, 0.1, -np.inf])
    precision, recall = longterm.sequence_curves(overlap, scores, 3, limits)
    np.testing.assert_allclose(precision, [1, 0.8, 0.4, 1.4 / 3, 1.4 / 3])
    np.testing.assert_allclose(recall, [0, 0.8 / 3, 0.8 / 3, 1.4 / 3, 1.4 / 3])


def test_thresholds_descend_between_the_infinities():
    limits = longterm.thresholds(np.random.default_rng(0).uniform(size=1000))
    assert len(limits) == longterm.RESOLUTION
    assert limits[0] == np.inf
    assert limits[-1] == -np.inf
    assert (np.diff(limits[1:-1]) <= 0).all()
    assert len(longterm.thresholds(np.array([0.5, 0.6]))) == longterm.RESOLUTION


@pytest.mark.reference
def test_toolkit_figures_of_longterm(reference):
    root = reference / "conformance/toolkit"
    expected = json.loads((root / "expected.json").read_text())["VOT2018-LT"]
    benchmark = registry.load("VOT2018-LT", root / "dataset", images=False)
    store = Store(root / "results/VOT2018-LT", benchmark.dataset)
    runs = [store.read("lt", s)[0] for s in benchmark.sequences]
    limits = longterm.thresholds(np.concatenate([run.scores for run in runs]))
    curves = []
    for sequence, run in zip(benchmark.sequences, runs, strict=True):
        overlap = raster_overlap(sequence.groundtruth, run.regions, sequence.size)
        visible = int(np.isfinite(sequence.groundtruth).all(1).sum())
        curves.append(longterm.sequence_curves(overlap, run.scores, visible, limits))
    mean = longterm.mean_curves(limits, curves)
    np.testing.assert_allclose(mean.precision, expected["precision_curve"], atol=1e-6)
    np.testing.assert_allclose(mean.recall, expected["recall_curve"], atol=1e-6)
    given = np.array([float(value) for value in expected["thresholds"]])
    np.testing.assert_allclose(limits, given, atol=1e-6)
    figures = mean.summary()
    assert mean.best == expected["index"]
    for ours, theirs in (("f_score", "f1"), ("precision", "precision"), ("recall", "recall")):
        assert figures[ours] == pytest.approx(expected[theirs], abs=1e-6)


@pytest.mark.reference
def test_toolkit_figures_of_lasot(reference):
    root = reference / "conformance/toolkit"
    expected = json.loads((root / "expected.json").read_text())["LaSOT"]
    benchmark = registry.load("LaSOT", root / "dataset", images=False)
    store = Store(root / "results/LaSOT", benchmark.dataset)
    assert any(s.absent.any() for s in benchmark.sequences)
    curves = {
        s.name: ope.curves(s.boxes, store.read("ope", s)[0].regions, s.absent)
        for s in benchmark.sequences
    }
    mean = ope.mean_curves(list(curves.values()))
    np.testing.assert_allclose(mean.success, expected["success_curve"], atol=1e-6)
    figures = ope.summary(mean)
    for ours, theirs in (
        ("success_auc", "success"),
        ("precision_20", "precision20"),
        ("normalised_precision_20", "norm_precision20"),
    ):
        assert figures[ours] == pytest.approx(expected[theirs], abs=1e-6)
    for name, value in expected["per_video"].items():
        assert ope.summary(curves[name])["success_auc"] == pytest.approx(value, abs=1e-6)


# --- GOT-10k


def test_got10k_by_hand():
    truth = np.array([[0.0, 0, 10, 10]] * 4)
    result = truth + [[0, 0, 0, 0], [0, 0, 0, 0], [5, 0, 0, 0], [0, 0, 0, 0]]
    absent = np.array([False, False, False, True])
    counts = got10k.count(truth, result, absent)
    assert counts[0] == 2
    figures = got10k.summary([counts])
    assert figures == pytest.approx({"ao": (1 + 1 / 3) / 2, "sr_50": 0.5, "sr_75": 0.5})
    np.testing.assert_allclose(got10k.curve([counts])[[0, 33, 34, 99, 100]], [1, 1, 0.5, 0.5, 0])


def test_got10k_cuts_boxes_at_the_border():
    truth = np.array([[0.0, 0, 10, 10]] * 2)
    result = np.array([[0.0, 0, 10, 10], [-10, 0, 20, 10]])
    assert got10k.summary([got10k.count(truth, result)])["ao"] == pytest.approx(0.5)
    assert got10k.summary([got10k.count(truth, result, size=(50, 50))])["ao"] == 1


# --- multi-start


def test_multistart_failure_is_the_first_of_ten_missed_frames():
    truth = np.tile([10.0, 10, 20, 20], (40, 1))
    regions = truth.copy()
    regions[0] = np.nan
    regions[12:15] += [100, 0, 0, 0]  # a short miss is forgiven
    regions[20:] += [100, 0, 0, 0]
    tracked = multistart.measure(truth, regions, (200, 200))
    assert tracked.progress == 20
    assert tracked.failed
    accuracy, share, frames = multistart.sequence_summary([tracked])
    assert (accuracy, share, frames) == (pytest.approx(17 / 20), 0.5, 20)
    curve = multistart.expected_overlap([[tracked]], 60)
    assert curve[11] == 1
    assert curve[39] == pytest.approx(17 / 40)
    assert curve[59] == pytest.approx(17 / 60)


def test_multistart_benchmark_weights():
    figures = multistart.summary([(0.8, 1.0, 90), (0.4, 0.5, 10)], [100, 300])
    assert figures == (pytest.approx(0.76), pytest.approx((100 + 150) / 400))
