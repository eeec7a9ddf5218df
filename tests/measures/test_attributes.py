"""Figures and curves by attribute and tag, and the draws that comparisons are made from."""

import numpy as np
import pytest

from siamjax.datasets.forms.base import FAILURE, REGION, START, Run, unscored
from siamjax.datasets.sequence import NoFrames, Sequence
from siamjax.measures import bootstrap, table
from siamjax.measures.result import by_attribute, by_tag

BOX = (10.0, 10.0, 20.0, 20.0)
HALF = (10.0, 10.0, 10.0, 20.0)  # overlap 1/2 with BOX
AWAY = (60.0, 60.0, 20.0, 20.0)


def sequence(name, count=4, **fields):
    truth = np.array([BOX] * count)
    return Sequence(name, NoFrames(count, None), truth, image_size=(100, 100), **fields)


def result(*boxes):
    return [unscored(np.array(boxes))]


SEQUENCES = [
    sequence("a", attributes=("OCC", "SV")),
    sequence("b", attributes=("SV",)),
    sequence("c"),
]
RUNS = {
    "t": [
        result(BOX, BOX, BOX, BOX),
        result(BOX, BOX, AWAY, AWAY),
        result(AWAY, AWAY, AWAY, AWAY),
    ]
}


def test_sequences_by_attribute():
    assert by_attribute(SEQUENCES) == {"OCC": [0], "SV": [0, 1]}


@pytest.mark.parametrize(
    "measure, figure, whole, curve",
    [("ope", "success_auc", 20 / 21, "success"), ("ope", "precision_20", 1, "precision")],
)
def test_success_and_precision_by_attribute(measure, figure, whole, curve):
    """Before: `scores.attributes` held "success_auc" alone, and no curve."""
    found = table.score(measure, SEQUENCES, RUNS)
    assert found.attributes[figure]["OCC"]["t"] == pytest.approx(whole)
    assert found.attributes[figure]["SV"]["t"] == pytest.approx(0.75 * whole)
    lines = found.attribute_curves[curve]
    assert lines["OCC"]["t"].max() == 1
    np.testing.assert_allclose(lines["SV"]["t"], 0.75 * lines["OCC"]["t"])
    assert found.attribute_sizes == {"OCC": "1 sequence", "SV": "2 sequences"}


def test_frames_of_a_class_count_the_same():
    """Of b one frame more than of a is scored: 3 frames of overlap 1, then 1, 0, 0, 0."""
    sequences = [sequence("a", attributes=("dog",)), sequence("b", 5, attributes=("dog", "cat"))]
    runs = {"t": [result(BOX, BOX, BOX, BOX), result(BOX, BOX, AWAY, AWAY, AWAY)]}
    found = table.score("got10k", sequences, runs)
    assert found.attributes["ao"]["dog"]["t"] == pytest.approx(4 / 7)
    assert found.attributes["ao"]["cat"]["t"] == pytest.approx(1 / 4)
    assert found.attributes["sr_75"]["dog"]["t"] == pytest.approx(4 / 7)
    assert found.attribute_curves["overlap"]["cat"]["t"][50] == pytest.approx(1 / 4)


def supervised(*boxes):
    regions = np.array([(np.nan,) * 4 if box in (START, FAILURE) else box for box in boxes])
    codes = [box if box in (START, FAILURE) else REGION for box in boxes]
    return [Run(regions, np.array(codes, np.int8), np.full(len(boxes), np.nan))]


def test_frames_without_a_tag_are_empty():
    count = 13
    tags = {"occlusion": np.arange(count) == 11}
    sequences = [sequence("a", count, tags=tags), sequence("b", count)]
    flags = by_tag(sequences)
    assert list(flags) == ["occlusion", "empty"]
    assert [int(one.sum()) for one in flags["empty"]] == [12, 13]
    runs = {"t": [supervised(START, *[BOX] * 10, HALF, BOX)] + [supervised(START, *[BOX] * 12)]}
    found = table.score("vot", sequences, runs, (2, 10))
    # boxes cover pixels: 11 x 21 of 21 x 21
    assert found.attributes["accuracy"]["occlusion"]["t"] == pytest.approx(11 / 21)
    assert found.attributes["accuracy"]["empty"]["t"] == 1
    assert found.attribute_sizes == {"occlusion": "1 frame", "empty": "25 frames"}
    lines = found.attribute_curves["expected overlap"]
    assert lines["empty"]["t"].shape == (count,)
    assert by_tag([sequence("c")]) == {}


def test_tags_that_no_frame_carries_leave_all_frames_empty():
    """Before: tags without a single frame were an IndexError in the plots."""
    tags = {"occlusion": np.zeros(13, bool)}
    runs = {"t": [supervised(START, *[BOX] * 12)] * 2}
    sequences = [sequence(name, 13, tags=tags) for name in "ab"]
    found = table.score("vot", sequences, runs, (2, 10)).attributes["accuracy"]
    assert np.isnan(found["occlusion"]["t"])
    assert found["empty"]["t"] == 1


@pytest.mark.parametrize("measure", ["ope", "got10k"])
def test_the_draws_give_the_intervals(measure):
    found = table.score(measure, SEQUENCES, RUNS)
    main = found.main
    drawn = found.resampled["t"][main]
    assert found.intervals["t"][main] == bootstrap.interval(drawn)
    picks = bootstrap.resamples(3)
    rows = np.array([found.per_sequence["t"][name][main] for name in "abc"])
    np.testing.assert_allclose(drawn, rows[picks].mean(1), atol=1e-12)  # as long as each other


def test_how_unlikely_a_difference_is():
    rng = np.random.default_rng(0)
    draws = rng.normal(0.03, 0.01, 200_000)
    assert bootstrap.p_value(0.0196, draws) == pytest.approx(0.05, abs=0.001)
    assert bootstrap.p_value(-0.0196, draws) == bootstrap.p_value(0.0196, draws)
    assert bootstrap.p_value(0.1, draws) < 1e-9  # far below one in the number of draws
    assert bootstrap.p_value(0.0, np.zeros(10)) == 1
    assert bootstrap.p_value(0.1, np.full(10, 0.1)) == 0
    assert bootstrap.p_value(0.0, np.array([1.0, -1.0, np.nan])) == 1
    assert np.isnan(bootstrap.p_value(0.1, np.array([np.nan])))
