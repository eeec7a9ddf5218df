"""Intervals over seeds by hand, and against SciPy's distribution."""

import math

import pytest
from scipy import stats

from siamjax.measures import seeds


@pytest.mark.parametrize("freedom", [1, 2, 5, 10, 11, 20, 100])
def test_quantile(freedom):
    assert seeds.quantile(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), abs=6e-4)


def test_interval_by_hand():
    """Of 1, 2, 3: mean 2, standard deviation 1, half width 4.303 / sqrt(3)."""
    mean, low, high = seeds.interval([1.0, 2.0, 3.0])
    assert mean == 2
    assert high - mean == pytest.approx(4.303 / math.sqrt(3))
    assert mean - low == pytest.approx(high - mean)


def test_one_seed_says_nothing():
    bounds = seeds.interval([0.4])
    assert bounds == (0.4, -math.inf, math.inf)
    assert not seeds.separates(bounds)


def test_differences_are_paired_by_seed():
    """Large differences between the seeds, a small and sure one between the ways."""
    first = {0: 0.1, 1: 0.5, 2: 0.9}
    second = {0: 0.201, 1: 0.6, 2: 0.999, 3: 0.0}
    bounds = seeds.difference(second, first)
    assert bounds[0] == pytest.approx(0.1)
    assert seeds.separates(bounds)
    assert not seeds.separates(seeds.difference(first, {0: 0.2, 1: 0.3, 2: 0.95}))
    assert seeds.difference({0: 1.0}, {1: 1.0}) is None
    assert not seeds.separates(None)
