import numpy as np
import pytest

from siamjax.datasets.results import FAILURE, REGION, START, UNKNOWN, Run
from siamjax.datasets.sequence import NoFrames, Sequence
from siamjax.measures import vot_toolkit

SIZE = (120, 90)


def one(truth, region, size=SIZE):
    return vot_toolkit.overlaps(np.array([truth], float), np.array([region], float), size)[0]


def test_a_box_covers_width_times_height_pixels():
    assert one((10, 10, 20, 20), (15, 15, 20, 20)) == 225 / (800 - 225)


def test_rounding_is_half_to_even():
    assert one((10, 10, 20, 20), (10.5, 11.5, 20, 20)) == 20 * 18 / (800 - 360)


def test_pixels_outside_of_the_image_do_not_count():
    assert one((-10, 0, 20, 10), (0, 0, 10, 10)) == 1
    assert one((110, 80, 20, 20), (110, 80, 10, 10)) == 1  # columns 110..119, rows 80..89


def test_a_polygon_reaches_to_its_corners():
    # columns 10..30, rows 10..30, beside a box of columns and rows 10..29
    assert one((10, 10, 30, 10, 30, 30, 10, 30), (10, 10, 20, 20)) == 400 / 441
    # a diamond: 1, 3, 5, 3, 1 pixels
    assert one((12, 10, 14, 12, 12, 14, 10, 12), (10, 10, 5, 5)) == 13 / 25


def test_lines_and_points():
    assert one((10, 10, 1, 1), (10, 10, 1, 1)) == 1
    assert one((10, 10, 1, 1), (40, 10, 1, 1)) == 1  # one row high together: taken for equal
    assert one((200, 10, 9, 9), (210, 10, 9, 9)) == 0
    assert one((10, 10, 5, 5), (np.nan, 10, 5, 5)) == 0


# overlaps that vot-toolkit 0.7.4 gave for these regions and image sizes
RECORDED = [
    (
        (43.6425, 24.9416, 59.2538, -4.455, 61.635, -3.1904, 46.0237, 26.2062),
        (47.8655, 15.9382, 58.6992, -4.323, 55.9336, -1.8591, 43.4186, 29.656),
        (46, 42),
        0.454545454545455,
    ),
    (
        (59.5, 22.0, 56.5, 27.0, 43.5, 18.5, 46.5, 14.0),
        (56.5807, 25.4445, 56.3407, 19.8823, 46.0077, 21.9215, 44.7002, 12.8736),
        (87, 22),
        0.646153846153846,
    ),
    (
        (40.8502, 34.0488, 12.2682, 34.1932, 15.995, 16.9539, 47.7398, 18.2874),
        (38.1603, 36.394, 12.4639, 29.7788, 11.4835, 14.7318, 45.0358, 22.6486),
        (67, 75),
        0.681208053691275,
    ),
    ((17.5, 33.5, 8.0, 40.0), (14.6417, 35.3783, 3.8645, 42.6636), (51, 78), 0.086092715231788),
    ((22.5, 14.0, 32.5, 19.0), (27.2272, 9.989, 23.379, 22.0673), (48, 80), 0.653979238754325),
    (
        (16.6986, 15.4992, 31.7751, 12.8789),
        (23.4322, 21.7419, 32.8708, 10.5885),
        (40, 66),
        0.265625,
    ),
    (
        (29.8193, 73.5973, 38.9608, 28.7049, 48.9464, 35.3521, 52.2506, 69.4845),
        (38.5, 59.0, 29.5, 24.0),
        (79, 75),
        0.174619289340102,
    ),
    (
        (34.0811, 54.1147, 3.4772, 77.0504, -1.9269, 69.8396, 28.677, 46.9039),
        (9.4529, 45.3265, 17.2309, 38.7562),
        (83, 53),
        0.054878048780488,
    ),
    (
        (-2.1978, 2.6577, 19.621, 15.3119, 13.6719, 25.5694, -8.1469, 12.9151),
        (13.3435, 2.5278, 20.4113, 14.0751),
        (40, 52),
        0.053045186640472,
    ),
    (
        (40.1944, 11.7316, 30.1683, 9.5092),
        (67.2875, 34.8168, 41.3491, 10.3877, 58.2607, -7.5687, 84.1991, 16.8604),
        (88, 72),
        0.237341772151899,
    ),
    (
        (45.0, 3.5, 34.5, 16.0),
        (38.6805, 12.7071, 83.7489, 22.1329, 80.7002, 35.0468, 57.2004, 35.6316),
        (80, 80),
        0.0717017208413,
    ),
    (
        (27.6941, 25.6087, 37.0213, 1.6209),
        (51.9394, 15.5208, 67.528, 15.5208, 67.528, 30.9506, 51.9394, 30.9506),
        (63, 75),
        0.098214285714286,
    ),
]


@pytest.mark.parametrize(("truth", "region", "size", "expected"), RECORDED)
def test_overlaps_of_the_toolkit(truth, region, size, expected):
    assert one(truth, region, size) == pytest.approx(expected, abs=1e-12)


def trial(name, length, polygons, letters, drift):
    """A sequence and its runs by rule; letters: s start, f failure, . pause, o region."""
    time = np.arange(length)
    x, y = 20 + 1.3 * time, 15 + 0.7 * time
    w, h = 24 + 0.25 * time, 18 - 0.125 * time
    truth = np.stack([x, y, w, h], 1)
    if polygons:
        lean = 3 * np.sin(time / 4)
        truth = np.stack([x + lean, y, x + w, y + lean, x + w - lean, y + h, x, y + h - lean], 1)
    sequence = Sequence(name, NoFrames(length, "none"), truth.round(4), image_size=SIZE)
    runs = []
    for number, text in enumerate(letters):
        codes = np.array(
            [{"s": START, "f": FAILURE, ".": UNKNOWN, "o": REGION}[letter] for letter in text]
        )
        since = time - np.maximum.accumulate(np.where(codes == START, time, 0))
        step = (drift + 0.1 * number) * since
        regions = np.stack([x + step, y - step / 2, w + 1.5, h + step / 3], 1).round(4)
        regions[codes != REGION] = np.nan
        runs.append(Run(regions, codes.astype(np.int8), np.full(length, np.nan)))
    return sequence, runs


def trials():
    lost = "s" + "o" * 17 + "f....s" + "o" * 11 + "f" + "...."
    twice = "s" + "o" * 14 + "f....s" + "o" * 19
    return [
        trial("leaning", 40, True, [lost[:40].ljust(40, "o"), twice], 0.45),
        trial("upright", 50, False, ["s" + "o" * 49, "s" + "o" * 30 + "f....s" + "o" * 13], 0.3),
    ]


# of vot-toolkit 0.7.4 on these trajectories, interval 10..30
ACCURACY, FAILURES, RELIABILITY = 0.4567261763142709, 0.9444444444444444, 0.5327890937629326
EAO = 0.5283787193752469
CURVE = {
    1: 0.8269655363900321,
    2: 0.8365193094526019,
    20: 0.5134731292724609,
    49: 0.26755614280700685,
}


def test_figures_of_the_toolkit():
    names, runs = zip(*trials(), strict=True)
    scored = [vot_toolkit.measure(s, r) for s, r in zip(names, runs, strict=True)]
    lengths = [len(s) for s in names]
    accuracies = [vot_toolkit.sequence_accuracy(s) for s in scored]
    assert vot_toolkit.average(accuracies, lengths) == pytest.approx(ACCURACY, abs=1e-12)
    failures = vot_toolkit.average([vot_toolkit.sequence_failures(s) for s in scored], lengths)
    assert failures == pytest.approx(FAILURES, abs=1e-12)
    assert vot_toolkit.reliability(failures, lengths) == pytest.approx(RELIABILITY, abs=1e-12)
    cut = vot_toolkit.fragments(scored)
    curve = vot_toolkit.expected_overlap(cut, np.ones(len(cut.sequence)))
    for index, value in CURVE.items():
        assert curve[index] == pytest.approx(value, abs=1e-6)  # float32 in the toolkit
    assert vot_toolkit.eao(curve, (10, 30)) == pytest.approx(EAO, abs=1e-6)


def test_a_repetition_without_counted_frames_is_0():
    sequence, runs = trial("short", 8, False, ["s" + "o" * 7], 0.0)
    assert vot_toolkit.sequence_accuracy(vot_toolkit.measure(sequence, runs)) == 0
    cut = vot_toolkit.fragments([vot_toolkit.measure(sequence, runs)])
    assert np.isnan(vot_toolkit.eao(vot_toolkit.expected_overlap(cut, np.ones(1)), (8, 9)))
