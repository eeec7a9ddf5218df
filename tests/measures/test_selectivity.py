"""How much a category explains of a channel: by hand, by loops, on planted channels."""

import numpy as np
import pytest

from siamjax.measures import selectivity


def slowly(responses, categories):
    found = []
    for channel in responses.T:
        mean = sum(channel) / len(channel)
        total = sum((value - mean) ** 2 for value in channel)
        between = 0.0
        for k in set(categories.tolist()):
            own = channel[categories == k]
            between += len(own) * (sum(own) / len(own) - mean) ** 2
        found.append(between / total if total else 0.0)
    return found


def test_explained_by_hand():
    """Means 1 and 3 around 2: between 4 of total 4, and of total 4 + 4 where 1 is added."""
    responses = np.array([[1.0, 0.0, 5.0], [1, 2, 5], [3, 2, 5], [3, 4, 5]])
    categories = np.array([0, 0, 1, 1])
    np.testing.assert_allclose(selectivity.explained(responses, categories), [1, 0.5, 0])


def test_explained_equals_loops():
    rng = np.random.default_rng(0)
    responses, categories = rng.normal(size=(40, 6)), rng.integers(0, 4, 40)
    wanted = slowly(responses, categories)
    np.testing.assert_allclose(selectivity.explained(responses, categories), wanted)


def test_planted_channels_are_found_and_others_are_not():
    rng = np.random.default_rng(1)
    categories = np.arange(90) % 3
    responses = rng.normal(size=(90, 8))
    found = selectivity.permuted(responses, categories)
    assert found["selectivity"] == pytest.approx(2 / 89, abs=0.02)  # (k - 1) / (n - 1)
    assert found["chance"] == pytest.approx(2 / 89, abs=0.002)
    assert found["p"] > 0.05
    assert found["selective"] == 0
    responses[:, :2] += 2 * np.eye(3)[categories][:, :2]
    found = selectivity.permuted(responses, categories)
    assert found["p"] == 1 / 1000
    assert found["selective"] == 2 / 8
    strongest = selectivity.contrast(responses, categories).argmax(0)
    assert strongest[:2].tolist() == [0, 1]


def test_cosine_by_hand():
    """Angles of 60, 90 and 90 degrees; a silent channel is left out."""
    channels = np.array([[1.0, 0, 0], [0.5, np.sqrt(0.75), 0], [0, 0, 2], [0, 0, 0]])
    assert selectivity.cosine(channels @ channels.T) == pytest.approx(0.5 / 3)
    assert selectivity.cosine(np.zeros((2, 2))) == 0
