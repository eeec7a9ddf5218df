"""What is logged: means, speed."""

import json
import os
import struct
import threading
import time

import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog

from siamjax.data.tfrecord import frame_record
from siamjax.errors import UserError
from siamjax.training import metrics


def values(loss, skipped=0):
    return dict.fromkeys(metrics.MEANS, loss) | {"skipped_in_row": skipped}


def test_window_means_leave_out_skipped_steps():
    window = metrics.Window()
    window.add(values(1.0))
    window = metrics.Window(json.loads(json.dumps(window.state())))
    window.add(values(float("nan"), skipped=1))
    window.add(values(2.0))
    assert window.take() == dict.fromkeys(metrics.MEANS, 1.5)
    assert window.take() == dict.fromkeys(metrics.MEANS)


def test_a_later_step_leaves_the_saved_window_alone():
    """A checkpoint of one step is still being written while the next is added."""
    window = metrics.Window()
    window.add(values(1.0))
    saved = window.state()
    before = json.dumps(saved)
    window.add(values(2.0))
    assert json.dumps(saved) == before


def test_lines_after_the_checkpoint_are_removed(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 3}\n{"other": 1}\n{"step": 2}\n[]\n{"step": 2, "a')
    lines = metrics.JsonLines(path, step=2)
    lines.write({"step": 3, "loss": 0.5})
    lines.close()
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n{"step": 3, "loss": 0.5}\n'
    assert list(tmp_path.iterdir()) == [path]


class Device:
    """Stands in for `metrics.DeviceTime`: the test says when steps end."""

    def __init__(self, progress):
        self.clock = progress.device
        self.clock.close()
        self.clock._steps = self  # nothing is waited for

    def put(self, wait):
        pass


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""
    now = [0.0]
    monkeypatch.setattr(metrics.time, "monotonic", lambda: now[0])
    return now


def make_progress(**arguments):
    progress = metrics.Progress(total=10, batch_size=4, **arguments)
    Device(progress)
    return progress


def run(progress, clock, begin, end):
    progress.device.dispatched(begin, list)
    clock[0] = end
    progress.device.ended(end)


def test_speed_leaves_out_compilation(clock):
    progress = make_progress(start=0, show=False)
    run(progress, clock, 0.0, 60.0)  # the first step was compiled
    progress.step(1.0)
    assert progress.speed() == {"pairs_per_s": None, "device_busy": None}
    run(progress, clock, 60.0, 61.0)
    progress.step(1.0)
    run(progress, clock, 62.0, 63.0)
    clock[0] = 64.0
    progress.step(1.0)
    assert progress.speed() == {"pairs_per_s": 2.0, "device_busy": 0.5}
    progress.restart()
    assert progress.speed()["pairs_per_s"] is None
    progress.close()


def test_what_the_bar_shows(clock):
    clock[0] = 60.0
    progress = make_progress(start=3)
    progress.step(1.0)
    run(progress, clock, 61.0, 64.0)
    progress.step(0.5)
    assert progress._bar.n == 5
    assert progress._bar.total == 10
    assert progress._bar.postfix == "loss 0.500, 1.0 pairs/s, device 75 %"
    progress.close()


@pytest.mark.parametrize(
    "loader, device, share",
    [
        (1.1, 1.0, 1 / 1.1),  # Before: 0.0004, since each batch was waited for
        (2.0, 1.0, 0.5),
        (0.5, 1.0, 1.0),
        (1.0, 1.0, 1.0),
    ],
)
def test_the_share_of_the_device_by_hand(clock, loader, device, share):
    """A step is dispatched when its batch is there; the next batch is made meanwhile; the loop then
    waits for the step before."""
    progress = make_progress(start=0, show=False)
    busy = progress.device
    progress.step(0.0)
    made = ended = before = 0.0
    for _ in range(1000):
        dispatched = max(made, before)  # the loop has read the metrics of the step before
        busy.dispatched(dispatched, list)
        begin = max(dispatched, ended)
        before, ended = ended, begin + device
        made = dispatched + loader
        busy.ended(ended)
        progress.step(0.0)
    clock[0] = max(made, ended)
    assert progress.speed()["device_busy"] == pytest.approx(share, abs=2e-3)
    progress.close()


def test_the_share_is_at_most_the_whole(clock):
    """A step that ends while the share is computed."""
    progress = make_progress(start=0, show=False)
    progress.step(0.0)
    run(progress, clock, 0.0, 4.0)
    clock[0] = 2.0
    progress.step(0.0)
    assert progress.speed()["device_busy"] == 1.0
    progress.close()


def test_a_step_that_runs_counts_up_to_now(clock):
    progress = make_progress(start=0, show=False)
    progress.step(0.0)
    progress.device.dispatched(1.0, list)
    clock[0] = 4.0
    assert progress.device.busy(4.0) == 3.0
    progress.restart()  # a line was written meanwhile
    progress.device.dispatched(4.5, list)
    progress.device.ended(5.0)
    assert progress.device.busy(6.0) == 2.0  # the second runs from the end of the first
    progress.close()


def test_a_thread_waits_for_each_step():
    device = metrics.DeviceTime()
    gates = [threading.Event() for _ in range(3)]
    begin = time.monotonic()
    for gate in gates:
        device.dispatched(begin, gate.wait)
    assert device.busy(begin + 5) == pytest.approx(5)

    def fail():
        raise RuntimeError("the step failed")

    device.dispatched(begin, fail)
    for gate in gates:
        gate.set()
    end = time.monotonic() + 10
    while device._running and time.monotonic() < end:
        time.sleep(0.001)
    assert device._running == []
    device.close()


def test_no_thread_waits_for_a_device_at_the_end():
    """Before: a training whose loader died while a step ran said its line and then "terminate
    called after throwing an instance of ''", exit code 134 in place of 2."""
    device, ends = metrics.DeviceTime(), threading.Event()
    device.dispatched(0.0, ends.wait)
    threading.Timer(0.2, ends.set).start()
    device.close()
    assert ends.is_set()
    assert not device._waiting.is_alive()


def test_a_whole_line_without_its_end_is_kept(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}')
    lines = metrics.JsonLines(path, step=2)
    lines.write({"step": 3})
    lines.close()
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n{"step": 3}\n'


def test_what_is_not_finite_is_null(tmp_path):
    """Before: `{"step": 8, "epoch": 1, "scores": {"a": NaN}}`, which is not JSON."""
    lines = metrics.JsonLines(tmp_path / "metrics.jsonl", 0)
    lines.write({"step": 1, "loss": float("nan"), "scores": {"a": float("inf"), "b": 0.5}})
    lines.close()
    text = (tmp_path / "metrics.jsonl").read_text()
    assert text == '{"step": 1, "loss": null, "scores": {"a": null, "b": 0.5}}\n'


def test_foreign_bytes_and_lines_are_left_out(tmp_path):
    """Before: after bytes ff fe behind the last line a training did not resume:
    "UnicodeDecodeError: 'utf-8' codec can't decode byte 0xff in position 2378"."""
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n\xff\xfe\x00\n{"step": "a"}\n{"step": 2}\nnull\n')
    assert metrics.read_lines(path) == [{"step": 1}, {"step": 2}]
    metrics.JsonLines(path, 5).close()
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n'
    assert metrics.read_lines(tmp_path / "none") == []


def test_scores_of_a_validation_that_was_cut_off_go(tmp_path):
    path = tmp_path / "metrics.jsonl"
    text = '{"step": 2, "scores": {}}\n{"step": 4}\n{"step": 4, "scores": {}}\n'
    path.write_text(text)
    metrics.JsonLines(path, 4).close()
    assert path.read_text() == text
    metrics.JsonLines(path, 4, scores=False).close()
    assert path.read_text() == '{"step": 2, "scores": {}}\n{"step": 4}\n'


def events(folder):
    (path,) = folder.iterdir()
    data, found = path.read_bytes(), []
    while data:
        (length,) = struct.unpack_from("<Q", data)
        payload, data = data[12 : 12 + length], data[16 + length :]
        assert frame_record(payload) == path.read_bytes()[-len(data) - 16 - length :][: 16 + length]
        found.append(Event.FromString(payload))
    return found


def test_events(tmp_path):
    board = metrics.TensorBoard(tmp_path / "a", 5)
    board.scalars(7, {"loss": 0.5, "none": None})
    board.images(8, {"picture": np.zeros((4, 6, 3), np.uint8)})
    board.close()
    version, purge, start, loss, picture = events(tmp_path / "a")
    assert version.file_version == "brain.Event:2"
    assert purge.step == start.step == 6  # points after the checkpoint are hidden
    assert start.session_log.status == SessionLog.START
    assert (loss.step, loss.summary.value[0].tag, loss.summary.value[0].simple_value) == (
        *(7, "loss"),
        0.5,
    )
    image = picture.summary.value[0].image
    assert (picture.step, image.height, image.width) == (8, 4, 6)


@pytest.mark.parametrize("code, said", [(28, "no space left"), (122, "quota"), (5, "Input/output")])
def test_a_disk_that_refuses_is_one_line_and_leaves_no_half(tmp_path, code, said):
    path = tmp_path / "metrics.jsonl"
    lines = metrics.JsonLines(path, 5)
    lines.write({"step": 1})

    class Full:
        """Takes ten bytes more."""

        def __init__(self, file):
            self._file, self._left = file, 10

        def __getattr__(self, name):
            return getattr(self._file, name)

        def write(self, data):
            if not self._left:
                raise OSError(code, os.strerror(code))
            count = self._file.write(data[: self._left])
            self._left -= count
            return count

    lines._file = Full(lines._file)
    with pytest.raises(UserError, match=f"metrics.jsonl: .*{said}"):
        lines.write({"step": 2, "loss": 0.1})
    assert path.read_text() == '{"step": 1}\n'
    lines.close()
