import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from siamjax.datasets import registry
from siamjax.datasets.results import Store
from siamjax.measures import bootstrap, conventions, ope


def distance(dx, dy):
    return math.sqrt(dx**2 + dy**2)


def loop_curves(truth, result):
    """The rules written as plain loops."""
    count = len(truth)
    overlap, distances, scaled = [], [], []
    for t, r in zip(truth, result):
        w = max(0.0, min(t[0] + t[2], r[0] + r[2]) - max(t[0], r[0]))
        h = max(0.0, min(t[1] + t[3], r[1] + r[3]) - max(t[1], r[1]))
        inter = w * h
        union = t[2] * t[3] + r[2] * r[3] - inter
        overlap.append(inter / union if t[2] > 0 and t[3] > 0 else -1)
        centres = [(b[0] + (b[2] - 1) / 2, b[1] + (b[3] - 1) / 2) for b in (t, r)]
        visible = min(centres[0]) > 0
        (tx, ty), (rx, ry) = centres
        if r[2] <= 0 or r[3] <= 0:  # no region: a miss
            rx = ry = math.inf
        distances.append(distance(tx - rx, ty - ry) if visible else -1)
        sw, sh = t[2] + 1e-16, t[3] + 1e-16
        visible = min(tx / sw, ty / sh) > 0
        scaled.append(distance(tx / sw - rx / sw, ty / sh - ry / sh) if visible else -1)
    return (
        [sum(o > s for o in overlap) / count for s in conventions.OVERLAPS],
        [sum(d <= s for d in distances) / count for s in conventions.DISTANCES],
        [sum(d <= s for d in scaled) / count for s in conventions.NORMALISED],
    )


boxes_strategy = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 12), st.just(8)),
    elements=st.floats(-20, 60, allow_nan=False, width=32),
)


@given(boxes_strategy)
@settings(max_examples=60, deadline=None)
def test_curves_equal_plain_loops(table):
    truth, result = table[:, :4], table[:, 4:]
    result[:, 2:] = np.abs(result[:, 2:])
    curve = ope.curves(truth, result)
    success, precision, normalised = loop_curves(truth, result)
    np.testing.assert_allclose(curve.success, success, atol=1e-12)
    np.testing.assert_allclose(curve.precision, precision, atol=1e-12)
    np.testing.assert_allclose(curve.normalised, normalised, atol=1e-12)


def test_a_perfect_tracker_scores_20_of_21():
    truth = np.array([[10.0, 10, 20, 30]] * 5)
    assert ope.summary(ope.curves(truth, truth))["success_auc"] == pytest.approx(20 / 21)


def test_rules_for_odd_ground_truth():
    truth = np.array([[10.0, 10, 20, 30], [10, 10, 0, 0], [-50, 10, 20, 30], [np.nan] * 4])
    far = truth + [500, 0, 0, 0]
    curve = ope.curves(truth, np.nan_to_num(far))
    assert curve.success[0] == 0
    assert (
        curve.precision[0] == 0.5
    )  # a centre that is not positive and an unknown one count as hits
    same = ope.curves(truth, np.nan_to_num(truth))
    assert same.success[0] == 0.5  # boxes without area never overlap


def test_absent_frames_stay_in_the_divisor():
    truth = np.array([[10.0, 10, 20, 30]] * 4)
    absent = np.array([False, True, False, False])
    assert ope.curves(truth, truth, absent).success[0] == 0.75


def test_bootstrap_interval_covers_the_mean():
    values = np.random.default_rng(1).normal(0.5, 0.1, 40)
    low, high = bootstrap.of_mean(values)
    assert low < values.mean() < high
    assert 0.04 < high - low < 0.09  # 2 x 1.96 x 0.1 / sqrt(40) = 0.062
    assert bootstrap.of_mean(values) == (low, high)
    assert bootstrap.of_mean([0.3]) == (0.3, 0.3)


@pytest.mark.reference
def test_toolkit_figures_of_otb(reference):
    root = reference / "conformance/toolkit"
    expected = json.loads((root / "expected.json").read_text())["OTB100"]
    benchmark = registry.load("OTB100", root / "dataset", images=False)
    store = Store(root / "results/OTB100", benchmark.dataset)
    all_curves = {}
    for sequence in benchmark.sequences:
        (run,) = store.read("ope", sequence)
        shift = np.array([sequence.base, sequence.base, 0, 0])
        all_curves[sequence.name] = ope.curves(sequence.boxes + shift, run.regions + shift)
    mean = ope.mean_curves(list(all_curves.values()))
    np.testing.assert_allclose(mean.success, expected["success_curve"], atol=1e-6)
    found = ope.summary(mean)
    assert found["success_auc"] == pytest.approx(expected["success"], abs=1e-6)
    assert found["precision_20"] == pytest.approx(expected["precision20"], abs=1e-6)
    assert found["normalised_precision_20"] == pytest.approx(expected["norm_precision20"], abs=1e-6)
    for name, value in expected["per_video"].items():
        assert ope.summary(all_curves[name])["success_auc"] == pytest.approx(value, abs=1e-6)
