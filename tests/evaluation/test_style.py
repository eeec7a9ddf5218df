"""Sixteen trackers are told from each other in colour and in grey; axes fit the data."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from siamjax.errors import UserError
from siamjax.evaluation import style

SIXTEEN = [style.style(place) for place in range(16)]
ALIKE = 10  # difference in lightness, of 100, below which two greys may be taken for one


def cielab(colour):
    """CIE 1976 L*a*b* of an sRGB colour under D65, by the definitions of IEC 61966 and the CIE."""
    coded = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    relative = np.array(to_xyz) @ linear / [0.9505, 1.0, 1.089]
    cube, line = np.cbrt(relative), relative * 841 / 108 + 4 / 29
    x, y, z = np.where(relative > (6 / 29) ** 3, cube, line)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_the_formula_by_known_colours():
    np.testing.assert_allclose(cielab("#ffffff"), [100, 0, 0], atol=0.05)
    np.testing.assert_allclose(cielab("#000000"), [0, 0, 0], atol=0.05)
    np.testing.assert_allclose(cielab("#ff0000"), [53.24, 80.09, 67.20], atol=0.1)


def test_colours_of_sixteen_trackers_differ():
    """Before: the ninth tracker had the first one's colour."""
    points = [cielab(one.colour) for one in SIXTEEN]
    distances = [np.linalg.norm(a - b) for a, b in combinations(points, 2)]
    assert min(distances) > 30
    white = [np.linalg.norm(point - cielab("#ffffff")) for point in points]
    assert min(white) > 30


def test_in_grey_line_and_marker_tell_them():
    """Before: all lines were whole, without markers."""
    lightness = [cielab(one.colour)[0] for one in SIXTEEN]
    close = [
        (SIXTEEN[i], SIXTEEN[j])
        for i, j in combinations(range(16), 2)
        if abs(lightness[i] - lightness[j]) < ALIKE
    ]
    assert len(close) > 10  # sixteen greys cannot all differ
    for one, other in close:
        assert (one.dashes, one.marker) != (other.dashes, other.marker)
        assert one.marker != other.marker or one.dashes != other.dashes


def test_no_two_of_32_are_the_same():
    assert len({(s.dashes, s.marker) for s in map(style.style, range(32))}) == 32
    assert len({s.marker for s in SIXTEEN[:8]}) == 8
    assert len({s.dashes for s in SIXTEEN[:4]}) == 4


def test_a_tracker_looks_the_same_on_all_data_sets():
    found = style.styles([["a", "b"], ["b", "c", "a"]])
    assert list(found) == ["a", "b", "c"]
    assert found["b"] == style.style(1)


def test_ends_of_axes():
    assert style.limits([[0.55, 0.6], [0.65]], 0.1) == pytest.approx((0.54, 0.66))
    low, high = style.limits([[0.0, 1.0]])
    assert -0.02 < low < 0
    assert 1 < high < 1.03
    assert style.limits([[np.nan], []]) == (0, 1)
    assert style.limits([[-5.0, 5.0]]) == pytest.approx((-5.4, 5.4))
    low, high = style.limits([[0.6]])  # one tracker
    assert 0.5 < low < 0.6 < high < 0.7


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.floats(-1e6, 1e6), min_size=1))
def test_axes_show_all_values(values):
    low, high = style.limits([values])
    assert low < high
    assert all(low <= value <= high for value in values)


def test_an_unknown_style_is_named():
    with pytest.raises(UserError, match="--style=poster: choose one of paper, screen"):
        style.medium("poster")
