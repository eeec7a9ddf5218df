"""Differences of two trackers by hand, and by an independent slow form."""

import itertools
from statistics import NormalDist

import numpy as np
import pytest

from siamjax.evaluation import compare
from siamjax.measures import bootstrap
from siamjax.measures.result import Figure, Result

FIGURES = {"main": Figure("main"), "other": Figure("other", lower_is_better=True)}


def result(main="main", **values):
    """Trackers with one value per sequence."""
    return Result(
        overlap="none",
        figures=FIGURES,
        trackers={t: {main: float(np.mean(v))} for t, v in values.items()},
        per_sequence={
            t: {f"s{i}": {main: float(one)} for i, one in enumerate(v)} for t, v in values.items()
        },
    )


def test_a_difference_by_a_slow_bootstrap():
    rng = np.random.default_rng(1)
    a, b = rng.uniform(0.4, 0.8, 30), rng.uniform(0.4, 0.8, 30)
    (found,) = compare.differences(result(a=a, b=b))
    if found.first == "b":
        a, b = b, a
    drawn = []
    for pick in bootstrap.resamples(30):
        drawn.append(sum(a[i] for i in pick) / 30 - sum(b[i] for i in pick) / 30)
    assert found.value == pytest.approx(a.mean() - b.mean())
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])))
    z = abs(found.value) / np.std(drawn)
    assert found.p == found.adjusted == pytest.approx(2 * (1 - NormalDist().cdf(z)))


def test_few_sequences_by_a_slow_exact_test():
    """Before: p of two sequences 1.3e-08, of seven 1.7e-14, from the spread of the draws."""
    rng = np.random.default_rng(3)
    for count in (2, 3, 7, 10):
        a, b = rng.integers(0, 9, (2, count)) / 8  # many ties
        (found,) = compare.differences(result(a=a, b=b))
        flipped = [
            abs(sum(s * d for s, d in zip(signs, a - b, strict=True)))
            for signs in itertools.product((-1, 1), repeat=count)
        ]
        assert found.p == sum(one >= abs(sum(a - b)) for one in flipped) / 2**count
    for count, least in ((2, 2 / 4), (7, 2 / 128), (16, 2 / 65536)):
        better = np.linspace(0.3, 0.31, count)
        (found,) = compare.differences(result(a=better + 0.3, b=better))
        assert found.p == least
        assert found.low == pytest.approx(0.3)


def test_a_figure_that_is_no_mean_has_no_smaller_p_than_swapped_trackers():
    scores = result(a=[0.6, 0.7, 0.8], b=[0.1, 0.2, 0.3])
    scores.trackers = {"a": {"main": 0.9}, "b": {"main": 0.2}}
    scores.resampled = {"a": {"main": np.full(9, 0.9)}, "b": {"main": np.full(9, 0.2)}}
    assert compare.differences(scores)[0].p == 2 / 8
    scores.resampled["b"]["main"] = np.linspace(-3, 3, 9)
    assert 0.7 < compare.differences(scores)[0].p < 0.75  # |z| = 0.7 / 1.936


def test_pairing_finds_what_intervals_hide():
    """A tracker that is .01 better on every sequence: the intervals of the two overlap widely."""
    rng = np.random.default_rng(2)
    base = rng.uniform(0.2, 0.9, 40)
    scores = result(good=base + 0.01 + rng.normal(0, 0.002, 40), bad=base)
    (found,) = compare.differences(scores)
    assert (found.first, found.second) == ("good", "bad")
    assert 0 < found.low < found.value < found.high
    assert found.p < 1e-6
    assert bootstrap.of_mean(base)[1] > base.mean() + 0.02


def test_the_same_twice_is_no_difference():
    values = np.linspace(0, 1, 7)
    (found,) = compare.differences(result(a=values, b=values))
    assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_lower_may_be_better():
    (found,) = compare.differences(result("other", a=[3.0, 4.0, 5.0], b=[1.0, 1.0, 1.0]))
    assert (found.first, found.value) == ("b", -3)


def test_draws_of_the_measure_come_before_rows():
    scores = result(a=[1.0, 0.0, 1.0], b=[0.0, 0.0, 0.0])
    scores.resampled = {"a": {"main": np.full(50, 0.5)}, "b": {"main": np.full(50, 0.25)}}
    (found,) = compare.differences(scores)
    assert (found.low, found.high, found.p) == (0.25, 0.25, 0.5)  # signs of 1, 0, 1: 4 of 8


def test_nothing_to_compare():
    assert compare.differences(result(a=[1.0, 2.0])) == []
    assert compare.differences(result(a=[1.0], b=[2.0])) == []
    unknown = Result(overlap="none", trackers={"a": {"main": 1.0}, "b": {"main": 2.0}})
    assert compare.differences(unknown) == []


def test_holm_by_hand():
    # ordered .001 .01 .02 .04: times 4, 3, 2, 1
    assert compare.holm([0.04, 0.001, 0.02, 0.01]) == pytest.approx([0.04, 0.004, 0.04, 0.03])
    assert compare.holm([0.5, 0.6, 0.7]) == [1, 1, 1]
    assert compare.holm([]) == []


def test_per_sequence_largest_first():
    scores = result(a=[0.5, 0.9, np.nan, 0.1], b=[0.4, 0.2, 0.3, 0.3])
    figure, found = compare.per_sequence(scores, "a", "b")
    assert figure == "main"
    assert list(found) == ["s1", "s0", "s3"]
    assert found["s3"] == pytest.approx(-0.2)
    assert compare.per_sequence(Result(overlap="", per_sequence={"a": {}, "b": {}}), "a", "b") == (
        "",
        {},
    )
