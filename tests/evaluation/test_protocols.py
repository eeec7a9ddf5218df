import numpy as np
import pytest

from siamjax.datasets.results import FAILURE, REGION, START, UNKNOWN
from siamjax.datasets.sequence import Sequence
from siamjax.errors import UserError
from siamjax.evaluation import baselines, protocols


class Frames:
    """Frames that carry their number."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, i):
        return np.full((60, 80, 3), i, np.uint8)


def sequence(count=30, **kwargs):
    truth = np.tile([20.0, 20, 16, 12], (count, 1))
    return Sequence("s", Frames(count), truth, image_size=(80, 60), **kwargs)


class Scripted:
    """Gives the true box, but a far one in some frames; remembers what it was shown."""

    def __init__(self, lost=()):
        self.lost, self.starts, self.shown = lost, [], []

    def init(self, frame, box):
        self.starts.append((int(frame[0, 0, 0]), box))

    def update(self, frame):
        number = int(frame[0, 0, 0])
        self.shown.append(number)
        return (60, 40, 10, 10) if number in self.lost else (20, 20, 16, 12)


def test_supervised_starts_again_five_frames_after_a_failure():
    tracker = Scripted(lost=(7, 28))
    run = protocols.supervised(tracker, sequence())
    assert [number for number, _ in tracker.starts] == [0, 12]
    expected = [START] + [REGION] * 6 + [FAILURE] + [UNKNOWN] * 4 + [START] + [REGION] * 15
    expected += [FAILURE, UNKNOWN]
    assert run.codes.tolist() == expected
    assert np.isnan(run.regions[run.codes != REGION]).all()
    assert tracker.shown == [*range(1, 8), *range(13, 29)]


def test_supervised_starts_from_the_box_of_the_published_runs():
    def started(region):
        tracker = Scripted()
        tracker.half_pixel_start = True
        truth = np.tile(np.float64(region), (2, 1))
        one = Sequence("s", Frames(2), truth, image_size=(80, 60))
        protocols.supervised(tracker, one)
        return tracker.starts[-1][1]

    # an upright polygon of 16 x 12: centre 28, 26, one pixel is added to the size
    polygon = (20, 20, 36, 20, 36, 32, 20, 32)
    assert started(polygon) == pytest.approx((28 - 16 / 2, 26 - 12 / 2, 17, 13))
    # a square of 10 turned by 45 degrees: extent 200, area 100, so sides of 10 + 1 about 40, 30
    r = 10 / 2**0.5
    turned = (40, 30 - r, 40 + r, 30, 40, 30 + r, 40 - r, 30)
    assert started(turned) == pytest.approx((40 - 5, 30 - 5, 11, 11))
    # a box is the polygon of its outermost pixels, and comes back as it was
    assert started((20, 20, 16, 12)) == pytest.approx((20, 20, 16, 12))


def test_runs_of_trackers_that_draw_random_numbers_do_not_depend_on_runs_before():
    rng = np.random.default_rng(0)
    ground = rng.integers(0, 256, (60, 90, 3), dtype=np.uint8)
    frames = [np.ascontiguousarray(ground[:, i : i + 80]) for i in range(4)]
    truth = np.array([[30.0 - i, 20, 16, 12] for i in range(4)])
    one = Sequence("s", frames, truth, image_size=(80, 60))
    tracker = baselines.make("mil")
    runs = [protocols.one_pass(tracker, one) for _ in range(3)]
    for run in runs[1:]:
        np.testing.assert_array_equal(run.regions, runs[0].regions)


def test_supervised_skips_frames_without_truth():
    truth = np.tile([20.0, 20, 16, 12], (20, 1))
    truth[5:8] = np.nan
    run = protocols.supervised(
        Scripted(lost=(2, 6, 9)), Sequence("s", Frames(20), truth, image_size=(80, 60))
    )
    # failure in 2, the start due in 7 waits for the truth, 9 fails, start in 14
    assert np.flatnonzero(run.codes == FAILURE).tolist() == [2, 9]
    assert np.flatnonzero(run.codes == START).tolist() == [0, 8, 14]


def test_supervised_starts_from_the_box_of_a_polygon():
    truth = np.tile([20.0, 20, 40, 20, 40, 30, 20, 30], (3, 1))
    tracker = Scripted()
    protocols.supervised(tracker, Sequence("s", Frames(3), truth, image_size=(80, 60)))
    ((_, box),) = tracker.starts
    np.testing.assert_allclose(box, (19.5, 19.5, 21, 11))


def test_longterm_marks_the_start_and_gives_every_box_a_score():
    run = protocols.long_term(Scripted(), sequence(4))
    assert run.codes.tolist() == [START, REGION, REGION, REGION]
    assert np.isnan(run.scores[0])
    assert run.scores[1:].tolist() == [1, 1, 1]


def test_multistart_goes_backward_from_late_anchors():
    tracker = Scripted()
    run = protocols.multi_start(tracker, sequence(60), 59)
    assert tracker.starts[0][0] == 59
    assert tracker.shown == list(range(58, -1, -1))
    assert len(run.codes) == 60


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Slow(Scripted):
    """Takes a simulated time for each frame."""

    def __init__(self, clock, init, update):
        super().__init__()
        self.clock, self.init_time, self.update_time = clock, init, update

    def init(self, frame, box):
        self.clock.now += self.init_time
        super().init(frame, box)

    def update(self, frame):
        self.clock.now += self.update_time
        super().update(frame)
        x = float(frame[0, 0, 0])
        return (x, 20, 16, 12)


@pytest.mark.parametrize(
    "init, update, grace, shown",
    [
        (0.0, 0.05, 0, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),  # fast enough
        (0.0, 0.1, 0, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),  # just enough
        (0.0, 0.25, 0, [1, 4, 7, 10]),  # two of three frames are missed
        (0.35, 0.05, 0, [4, 5, 6, 7, 8, 9, 10, 11]),  # the start takes three frames
        (0.35, 0.05, 3, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),  # which are granted
    ],
)
def test_realtime_misses_frames_while_the_tracker_works(init, update, grace, shown):
    clock = Clock()
    slow = Slow(clock, init, update)
    tracker = protocols.RealTime(slow, fps=10, grace=grace, clock=clock)
    run = protocols.one_pass(tracker, sequence(12))
    assert slow.shown == shown
    # in a missed frame the last box stands
    last = 20.0
    for i in range(1, 12):
        last = float(i) if i in shown else last
        assert run.regions[i, 0] == last


def test_realtime_needs_a_rate():
    with pytest.raises(UserError, match="--realtime=0"):
        protocols.RealTime(Scripted(), 0)


@pytest.mark.parametrize("run", [protocols.one_pass, protocols.long_term, protocols.multi_start])
def test_a_first_box_without_sense_is_refused_with_the_sequences_name(run):
    """Before: every tracker got it, OpenCV's and the user's own; none of their errors named the
    sequence."""
    wrong = sequence(3)
    wrong.groundtruth[:, 2] = 0.5
    tracker = Scripted()
    with pytest.raises(protocols.Stopped) as stopped:
        run(tracker, wrong, 0)
    assert str(stopped.value.__cause__).startswith("s: box 20,20,0.5,12: under one pixel")
    assert isinstance(stopped.value.__cause__, UserError)
    assert not tracker.starts


def test_a_first_box_in_corners_is_doubted_with_the_sequences_name(caplog):
    corners = sequence(3)
    corners.groundtruth[:] = (40, 30, 76, 58)
    protocols.one_pass(Scripted(), corners)
    (message,) = caplog.messages
    assert message.startswith("s: box 40,30,76,58: more than half of it lies outside")
