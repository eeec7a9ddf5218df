"""Each toolkit's rules against the same rules as plain loops, a number at a time."""

import math

import numpy as np
import pytest

from siamjax.datasets import registry, result_folders
from siamjax.datasets.results import Store
from siamjax.datasets.sequence import shifted
from siamjax.errors import UserError
from siamjax.evaluation import scoring
from siamjax.measures import conventions, ope, table

NAN, INF = math.nan, math.inf


def iou(a, b):
    if any(map(math.isnan, (*a, *b))):
        return NAN
    w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    inter = max(0.0, w) * max(0.0, h)
    union = a[2] * a[3] + b[2] * b[3] - inter
    return min(inter / union, 1.0) if union else NAN  # above 1 in the last bit: x + w - x is not w


def centre(box):
    return box[0] + (box[2] - 1) / 2, box[1] + (box[3] - 1) / 2


def between(a, b):
    return math.sqrt((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2)


def ratio(box, size):
    x, y = centre(box)
    if not (size[0] and size[1]):
        return NAN, NAN
    return x / size[0], y / size[1]


def shares(rows, count, overlaps, normalised):
    """Three curves of (overlap, distance, normalised distance) per frame."""
    return (
        [sum(o > t for o, _, _ in rows) / count for t in overlaps],
        [sum(d <= t for _, d, _ in rows) / count for t in range(51)],
        [sum(n <= t for _, _, n in rows) / count for t in normalised],
    )


PYTHON = [0.05 * k for k in range(21)]
MATLAB = [0.05 * k if k < 11 else 1 - 0.05 * (20 - k) for k in range(21)]
HUNDREDTHS = [k / 100 for k in range(51)]


def slow_pysot(truth, result, absent, dataset, missing):
    count, rows = len(truth), []
    for t, r, gone in zip(truth, result, absent, strict=True):
        if gone:
            continue
        overlap = iou(t, r) if t[2] > 0 and t[3] > 0 else -1
        distance = between(centre(t), centre(r)) if min(centre(t)) > 0 else -1
        size = t[2] + 1e-16, t[3] + 1e-16
        inside = all(value > 0 for value in ratio(t, size))
        rows.append((overlap, distance, between(ratio(t, size), ratio(r, size)) if inside else -1))
    return shares(rows, count, PYTHON, HUNDREDTHS)


def slow_matlab(truth, result, absent, carries, leaves_absent):
    count, result = len(truth), [list(r) for r in result]
    for i in range(1, count):
        if carries(result[i]) and not any(map(math.isnan, truth[i])):
            result[i] = result[i - 1]
    result[0] = list(truth[0])
    rows = []
    for t, r, gone in zip(truth, result, absent, strict=True):
        if gone and leaves_absent:
            continue
        if all(value > 0 for value in t):
            close = between(ratio(t, t[2:]), ratio(r, t[2:]))
            rows.append((iou(t, r), between(centre(t), centre(r)), close))
        else:
            rows.append((-1, -1, -1))
    return shares(rows, count, MATLAB, HUNDREDTHS)


def slow_otb(truth, result, absent, dataset, missing):
    def carries(r):
        return all(map(math.isnan, r)) or r[2] <= 0 or r[3] <= 0

    return slow_matlab(truth, result, absent, carries, False)


def slow_lasot(truth, result, absent, dataset, missing):
    def carries(r):
        return any(map(math.isnan, r)) or r[2] <= 0 or r[3] <= 0

    return slow_matlab(truth, result, absent, carries, True)


def slow_pytracking(truth, result, absent, dataset, missing):
    count, result = len(truth), [list(r) for r in result]
    for i in range(count):
        r, known = result[i], not any(map(math.isnan, truth[i]))
        if not all(map(math.isfinite, r)) or r[2] < 0 or r[3] < 0:
            result[i] = [NAN] * 4  # pytracking refuses such files
        elif i and known and (r[2] == 0 or r[3] == 0):
            result[i] = result[i - 1]
    for i in range(count - missing, count):
        result[i] = [0, 0, 0, 0]
    result[0] = list(truth[0])
    rows, valid_frames = [], 0
    for t, r, gone in zip(truth, result, absent, strict=True):
        valid = t[2] > 0 and t[3] > 0 and not gone
        valid_frames += valid
        if valid:
            close = between(ratio(t, t[2:]), ratio(r, t[2:]))
            rows.append((iou(t, r), between(centre(t), centre(r)), close))
        elif dataset == "LaSOT":
            rows.append((-1, INF, INF if gone else -1))
        else:
            rows.append((-1, -1 if dataset == "UAV123" else INF, -1))
    divisor = count if dataset in ("LaSOT", "UAV123") else valid_frames
    return shares(rows, max(divisor, 1), PYTHON, HUNDREDTHS)


def slow_got10k(truth, result, absent, dataset, missing):
    rows = []
    for i, (t, r) in enumerate(zip(truth, result, strict=True)):
        if dataset in ("LaSOT", "UAV123") and any(map(math.isnan, t)):
            continue
        r = t if i == 0 else r
        (tx, ty), (rx, ry) = centre(t), centre(r)
        w, h = max(1.0, t[2]), max(1.0, t[3])
        close = math.sqrt(((tx - rx) / w) ** 2 + ((ty - ry) / h) ** 2)
        rows.append((iou(t, r), between((tx, ty), (rx, ry)), close))
    return shares(rows, len(rows), PYTHON, [0.01 * k for k in range(51)])


SLOW = {
    "pysot": slow_pysot,
    "pytracking": slow_pytracking,
    "got10k": slow_got10k,
    "otb": slow_otb,
    "lasot": slow_lasot,
}


def made(rng):
    """A truth and a result with every kind of odd row, and which frames are absent."""
    count = int(rng.integers(2, 40))
    truth = np.concatenate([rng.uniform(-8, 60, (count, 2)), rng.uniform(4, 40, (count, 2))], 1)
    result = truth + rng.normal(0, 6, truth.shape)
    result[:, 2:] = np.abs(result[:, 2:]) + 0.5
    if rng.random() < 0.5:  # whole numbers: overlaps and distances at the thresholds
        truth, result = truth.round(), result.round()
        truth[:, 2:] = np.maximum(truth[:, 2:], 4)

    def some(share):
        rows = rng.random(count) < share
        rows[0] = False
        return rows

    truth[some(0.1)] = np.nan
    truth[some(0.1), 2:] = 0
    truth[some(0.1), 0] = 0
    result[some(0.1)] = 0
    result[some(0.1), 3] = 0
    result[some(0.1)] = np.nan
    result[some(0.05), 1] = np.nan
    result[some(0.05), 2] = -3
    result[some(0.05), 0] = np.inf
    missing = int(rng.integers(0, 3)) if count > 4 else 0
    result[count - missing :] = np.nan
    return truth, result, some(0.15), missing


@pytest.mark.parametrize("dataset", ["OTB100", "LaSOT", "UAV123", "NFS30"])
@pytest.mark.parametrize("name", SLOW)
def test_rules_equal_plain_loops(name, dataset):
    rng = np.random.default_rng(7)
    rules = conventions.get(name, dataset)
    for _ in range(25):
        truth, result, absent, missing = made(rng)
        curve = ope.curves(truth, result, absent, rules, missing)
        slow = SLOW[name](truth.tolist(), result.tolist(), absent, dataset, missing)
        found = curve.success, curve.precision, curve.normalised
        for ours, theirs in zip(found, slow, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-9)


def test_what_each_does_with_a_first_row_that_is_not_the_truth():
    truth = np.tile([10.0, 10, 20, 20], (4, 1))
    result = truth + [[300, 0, 0, 0], [0] * 4, [0] * 4, [0] * 4]
    shares = {
        name: ope.curves(truth, result, None, conventions.get(name)).success[0]
        for name in ("", *SLOW)
    }
    whole = dict.fromkeys(("pytracking", "got10k", "otb", "lasot"), 1.0)
    assert shares == {"": 0.75, "pysot": 0.75} | whole


def test_what_each_does_with_a_box_without_area():
    truth = np.tile([10.0, 10, 20, 20], (4, 1))
    result = truth.copy()
    result[2, 2:] = 0  # its centre is 14.1 px from the true one
    close = {
        name: ope.curves(truth, result, None, conventions.get(name)).precision[20]
        for name in ("", *SLOW)
    }
    repeated = dict.fromkeys(("pytracking", "otb", "lasot"), 1.0)
    assert close == {"": 0.75, "pysot": 1.0, "got10k": 1.0} | repeated


def test_matlab_counts_its_second_half_down():
    thresholds = conventions.Lasot.overlaps
    np.testing.assert_allclose(thresholds, conventions.OVERLAPS, atol=1e-15)
    assert thresholds[12] == 0.6
    assert thresholds[12] < conventions.OVERLAPS[12]  # 12 x 0.05 is a bit more
    # 3 of 5 parts overlap: at the threshold for MATLAB, below it for Python
    truth, result = np.array([[1.0, 1, 5, 1]] * 2), np.array([[1.0, 1, 3, 1]] * 2)
    assert ope.curves(truth, result, None, conventions.get("otb")).success[12] == 0.5


def test_got10k_gives_the_mean_of_the_normalised_curve(clips_of_truth):
    sequences, runs = clips_of_truth
    found = table.score("ope", sequences, {"t": runs}, rules=conventions.get("got10k"))
    assert found.trackers["t"]["normalised_precision_auc"] == 1
    assert "normalised_precision_auc" not in table.score("ope", sequences, {"t": runs}).columns


@pytest.fixture
def clips_of_truth():
    from siamjax.datasets.forms.base import unscored
    from siamjax.datasets.sequence import NoFrames, Sequence

    truth = np.tile([10.0, 10, 20, 20], (4, 1))
    sequences = [Sequence(name, NoFrames(4, "none"), truth) for name in "ab"]
    return sequences, [[unscored(truth.copy())] for _ in sequences]


def test_a_convention_is_refused_where_it_says_nothing(clips_of_truth):
    sequences, runs = clips_of_truth
    with pytest.raises(UserError, match="--convention=otb is about one-pass figures"):
        table.score("got10k", sequences, {"t": runs}, rules=conventions.get("otb"))
    with pytest.raises(UserError, match="--convention=matlab: choose one of pysot, pytracking"):
        conventions.get("matlab")


# success AUC, precision at 20 px, normalised precision at 0.2 of the published boxes, OTB100
PUBLISHED = {
    "pysot": {"SiamRPN++": (0.696, 0.905, 0.860), "DaSiamRPN": (0.658, 0.880, 0.835)},
    "pytracking": {"SiamRPN++": (0.696, 0.905, 0.860), "DaSiamRPN": (0.658, 0.880, 0.835)},
    "got10k": {"SiamRPN++": (0.696, 0.905, 0.860), "DaSiamRPN": (0.658, 0.880, 0.835)},
    "otb": {"SiamRPN++": (0.695, 0.905, 0.860), "DaSiamRPN": (0.658, 0.881, 0.835)},
    "lasot": {"SiamRPN++": (0.695, 0.905, 0.860), "DaSiamRPN": (0.658, 0.881, 0.835)},
}
FIGURES = ("success_auc", "precision_20", "normalised_precision_20")


@pytest.fixture(scope="module")
def published(reference):
    """OTB100's truth and the published boxes of two trackers."""
    root = reference / "data/published/OTB100"
    benchmark = registry.load("OTB100", root, images=False)
    found = result_folders.find(root / "results", benchmark.dataset, benchmark.sequences)
    store = Store(root / "results", benchmark.dataset)
    runs = {t: [store.read(t, s) for s in benchmark.sequences] for t in found.trackers}
    return benchmark, found, runs


@pytest.mark.reference
@pytest.mark.parametrize("name", SLOW)
def test_figures_of_the_published_boxes(published, name):
    benchmark, _, runs = published
    rules = conventions.get(name, benchmark.name)
    for tracker, figures in PUBLISHED[name].items():
        curves = [
            ope.of_run(sequence, run.regions, rules)
            for sequence, (run,) in zip(benchmark.sequences, runs[tracker], strict=True)
        ]
        row = ope.summary(ope.mean_curves(curves))
        assert tuple(round(row[figure], 3) for figure in FIGURES) == figures


@pytest.mark.reference
def test_the_table_names_the_convention(published):
    benchmark, found, _ = published
    one = {"DaSiamRPN": found.trackers["DaSiamRPN"]}
    scores = scoring.score(benchmark, one, convention="pysot")
    assert round(scores.trackers["DaSiamRPN"]["success_auc"], 3) == 0.658
    assert "; convention pysot (PySOT's rules)" in scores.caption


@pytest.mark.reference
@pytest.mark.parametrize("every", [25, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", SLOW)
def test_published_boxes_by_plain_loops(published, name, every):
    benchmark, _, runs = published
    rules = conventions.get(name, benchmark.name)
    for own in runs.values():
        for sequence, (run,) in list(zip(benchmark.sequences, own, strict=True))[::every]:
            curve = ope.of_run(sequence, run.regions, rules)
            tables = (shifted(t, 1).tolist() for t in (sequence.boxes, run.regions))
            slow = SLOW[name](*tables, [False] * len(sequence), benchmark.name, 0)
            found = curve.success, curve.precision, curve.normalised
            for ours, theirs in zip(found, slow, strict=True):
                np.testing.assert_allclose(ours, theirs, atol=1e-9)
