"""Rows of results without a region are misses in every measure, and never raise a figure."""

import dataclasses

import numpy as np
import pytest

from siamjax.datasets.forms.base import FAILURE, REGION, START, UNKNOWN, Run, without_region
from siamjax.datasets.forms.multistart import multistart_anchors, multistart_frames
from siamjax.datasets.forms.restarts import marks
from siamjax.datasets.sequence import NoFrames, Sequence
from siamjax.measures import bootstrap, calibration, conventions, table

BOX = np.array([20.0, 30.0, 40.0, 30.0])
LETTERS = {"s": START, "f": FAILURE, ".": UNKNOWN, "o": REGION, "N": REGION}


def sequence(length, name="s", **more):
    truth = np.tile(BOX, (length, 1))
    return Sequence(name, NoFrames(length, "none"), truth, image_size=(200, 150), **more)


def run(text):
    """A run from letters: s start, f failure, . pause, o the true box, N no region."""
    codes = np.array([LETTERS[letter] for letter in text], np.int8)
    held = np.array([letter == "o" for letter in text])
    return Run(np.where(held[:, None], BOX, np.nan), codes, np.full(len(text), np.nan))


def letters(marked):
    names = {START: "s", FAILURE: "f", UNKNOWN: ".", REGION: "o"}
    pairs = zip(marked.codes, marked.missed, strict=True)
    return "".join("x" if m and c == REGION else names[c] for c, m in pairs)


# --- which rows hold no region


@pytest.mark.parametrize(
    "row, none",
    [
        ([1, 2, 3, 4], False),
        ([np.nan, 2, 3, 4], True),
        ([1, 2, np.inf, 4], True),
        ([-np.inf, 2, 3, 4], True),
        ([1, 2, 0, 4], True),
        ([1, 2, 3, -4], True),
        ([0, 0, 4, 0, 4, 4, 0, 4], False),
        ([0, 0, 4, 4, 8, 8, 2, 2], True),  # a line
        ([0, 0, 4, 0, 4, np.nan, 0, 4], True),
    ],
)
def test_rows_without_a_region(row, none):
    assert without_region(np.array([row], float)).tolist() == [none]


# --- marks of supervised runs


@pytest.mark.parametrize(
    "text, settled",
    [
        ("soooof....sooo", "soooof....sooo"),
        ("sooNooo", "sooxooo"),  # a miss
        ("soo.ooo", "sooxooo"),  # a 0 outside a failure
        ("soo..N.ooo", "sooxxxxooo"),
        ("Noooo", "soooo"),  # the start was lost
        ("..sooo", "..sooo"),  # the truth begins later
        ("soooN....sooo", "sooof....sooo"),  # the failure was lost
        ("sooof....Nooo", "sooof....sooo"),  # the start after it was lost
        ("sooof....Nf....s", "sooof....sf....s"),
        ("sooof.N..sooo", "sooof....sooo"),
        ("soooN....Nooo", "sooof....sooo"),  # both were lost
        ("sooof....NNoo", "sooof....sxoo"),
        ("sooof.NNNNNoo", "sooof....sxoo"),
        ("NNooo", "sxooo"),
        ("..NNo", "..sxo"),
        ("sooo...", "sooof.."),  # a pause to the end begins with a failure
        ("soooN", "sooof"),
        ("soof.N", "soof.."),
        ("sooos", "sooos"),
        ("soNf....s", "soxf....s"),
        ("oNooo", "oxooo"),  # no start at all: the first box is none
    ],
)
def test_lost_marks_are_put_back(text, settled):
    assert letters(marks(run(text))) == settled


def test_misses_that_begin_a_failure_still_count_for_accuracy():
    found = marks(run("soooN"))
    assert found.missed.tolist() == [False] * 4 + [True]
    assert marks(run("sooof")).missed.sum() == 0


def test_what_replaced_a_restart():
    """The rows without a region from the failure on are misses, all but the start."""
    found = marks(run("soo.NNNNNooo"))
    assert letters(found) == "soof....sooo"
    assert np.flatnonzero(found.missed).tolist() == [4, 5, 6, 7]


@pytest.mark.parametrize("text", ["sooooooNoooooooooooo", "soooooo.oooooooooooo"])
@pytest.mark.parametrize("measure", ["vot", "vot_toolkit"])
def test_a_vot_row_without_region_is_a_miss(measure, text):
    """Before: `eval --dataset=VOT2018 --results=DIR` with one NaN, inf or `0` row in a run without
    failure said EAO 0.370 instead of 0.449 and no word."""
    whole, odd = (
        table.score(measure, [sequence(20), sequence(20, "t")], {"t": runs}, (5, 15)).trackers["t"]
        for runs in ([[run("s" + "o" * 19)]] * 2, [[run(text)], [run("s" + "o" * 19)]])
    )
    assert whole["eao"] == pytest.approx(1, abs=1e-6)
    # entries of the curve, frames 1..i: the seventh frame of one of two runs is missed
    rows = range(4, 15) if measure == "vot" else range(5, 16)
    expected = np.mean([1 - (1 / i if i >= 7 else 0) / 2 for i in rows])
    if measure == "vot_toolkit":  # its frames 1..i
        expected = np.mean([1 - (1 / i if i >= 7 else 0) / 2 for i in rows])
    assert odd["eao"] == pytest.approx(expected, abs=1e-6)


# --- a row without a region never makes a figure better


def shaken(rng, truth, size):
    """A track that drifts from the truth and comes back."""
    drift = np.cumsum(rng.normal(0, size, (len(truth), 2)), 0)
    drift *= rng.random((len(truth), 1)) < 0.8
    return truth + np.concatenate([drift, np.zeros((len(truth), 2))], 1)


def one_pass(rng, one):
    regions = shaken(rng, one.groundtruth, rng.uniform(0.5, 8))
    return [Run(regions, np.full(len(one), REGION, np.int8), rng.random(len(one)))]


def supervised(rng, one):
    """Runs with failures where chance has it, and the rows that VOT writes for them."""
    runs = []
    for _ in range(int(rng.integers(1, 4))):
        regions = shaken(rng, one.groundtruth, rng.uniform(0.5, 4))
        codes, i = np.full(len(one), UNKNOWN, np.int8), 0
        while i < len(one):
            # some stretch is longer than the EAO's interval
            codes[i], length = START, int(rng.integers(1 if i else 25, 35))
            codes[i + 1 : i + length] = REGION
            if i + length < len(one):
                codes[i + length] = FAILURE
            i += length + 5
        regions[codes != REGION] = np.nan
        runs.append(Run(regions, codes, np.full(len(one), np.nan)))
    return runs


def long_term(rng, one):
    (made,) = one_pass(rng, one)
    codes, regions, scores = made.codes, made.regions, made.scores
    codes[0], regions[0], scores[0] = START, np.nan, np.nan
    return [made]


def multi_start(rng, one):
    runs = []
    for anchor, _ in multistart_anchors(one):
        truth = one.groundtruth[multistart_frames(one, anchor)]
        regions = shaken(rng, truth, rng.uniform(0.5, 8))
        codes = np.full(len(truth), REGION, np.int8)
        codes[0], regions[0] = START, np.nan
        runs.append(Run(regions, codes, np.full(len(truth), np.nan)))
    return runs


MEASURES = {
    "ope": one_pass,
    "got10k": one_pass,
    "vot": supervised,
    "vot_toolkit": supervised,
    "longterm": long_term,
    "multistart": multi_start,
}
# Figures that are read where another figure puts them, so that they may rise when that one falls:
# precision and recall at the threshold of the best F, accuracy up to an earlier failure.
BESIDE = {"longterm": {"precision", "recall"}, "multistart": {"accuracy"}}
# how well scores tell losses, not how well a tracker follows
OF_SCORES = {*calibration.FIGURES}


def benchmark(rng):
    """Two sequences; in some the truth is unknown or absent in places."""
    made = []
    for name in "ab":
        one = sequence(int(rng.integers(40, 80)), name)
        truth = one.groundtruth + np.cumsum(rng.normal(0, 1, (len(one), 1)), 0) * [1, 1, 0, 0]
        gone = rng.random(len(one)) < 0.1
        gone[0] = False
        if rng.random() < 0.5:
            truth[gone] = np.nan
        absent = gone if rng.random() < 0.5 else None
        made.append(dataclasses.replace(one, groundtruth=truth, absent=absent))
    return made


def without_some(rng, runs):
    """The same runs with one to four rows that hold nothing."""
    changed = [list(repeated) for repeated in runs]
    for _ in range(int(rng.integers(1, 5))):
        repeated = changed[rng.integers(len(changed))]
        place = rng.integers(len(repeated))
        old = repeated[place]
        codes, regions = old.codes.copy(), old.regions.copy()
        row = rng.integers(len(codes))
        codes[row], regions[row] = REGION, np.nan
        repeated[place] = dataclasses.replace(old, codes=codes, regions=regions)
    return changed


@pytest.mark.parametrize(
    "sets", [pytest.param(15, id="15"), pytest.param(1000, id="1000", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("measure", MEASURES)
def test_no_figure_gets_better_by_a_row_of_nan(measure, sets, monkeypatch):
    monkeypatch.setattr(bootstrap, "resamples", lambda count, *_: np.zeros((1, count), int))
    rng = np.random.default_rng(11)
    compared = worse = 0
    for _ in range(sets):
        sequences = benchmark(rng)
        whole = [MEASURES[measure](rng, one) for one in sequences]
        runs = {"whole": whole, "odd": without_some(rng, whole)}
        found = table.score(measure, sequences, runs, (5, 20))
        for figure, before in found.trackers["whole"].items():
            after = found.trackers["odd"][figure]
            sign = -1 if found.figures[figure].lower_is_better else 1
            if figure in OF_SCORES | BESIDE.get(measure, set()) or np.isnan(before):
                continue
            assert sign * after <= sign * before + 1e-9, (figure, before, after)
            compared, worse = compared + 1, worse + (after != before)
    assert worse > compared / 4


@pytest.mark.parametrize("name", ["", "pysot"])
def test_neither_by_the_rules_that_repeat_nothing(name):
    rng = np.random.default_rng(5)
    for _ in range(15):
        sequences = benchmark(rng)
        whole = [one_pass(rng, one) for one in sequences]
        runs = {"whole": whole, "odd": without_some(rng, whole)}
        found = table.score("ope", sequences, runs, rules=conventions.get(name)).trackers
        for figure in found["odd"].keys() - OF_SCORES:
            assert found["odd"][figure] <= found["whole"][figure]
