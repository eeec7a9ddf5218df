"""What is logged: means, speed."""

import json

import pytest

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


def test_speed_leaves_out_compilation(monkeypatch):
    now = 0.0
    monkeypatch.setattr(metrics.time, "monotonic", lambda: now)
    progress = metrics.Progress(total=10, start=0, batch_size=4, show=False)
    now = 60.0  # the first step was compiled
    progress.step(1.0)
    assert progress.speed() == {"pairs_per_s": None, "device_busy": None}
    now = 64.0
    progress.idle(1.0)
    progress.step(1.0)
    progress.step(1.0)
    assert progress.speed() == {"pairs_per_s": 2.0, "device_busy": pytest.approx(0.75)}
    progress.idle(9.0)  # cannot be
    assert progress.speed()["device_busy"] == 0
    progress.restart()
    assert progress.speed()["pairs_per_s"] is None
    progress.close()


def test_what_the_bar_shows(monkeypatch):
    now = 60.0
    monkeypatch.setattr(metrics.time, "monotonic", lambda: now)
    progress = metrics.Progress(total=10, start=3, batch_size=4)
    progress.step(1.0)
    progress.idle(1.0)
    now = 64.0
    progress.step(0.5)
    assert progress._bar.n == 5
    assert progress._bar.total == 10
    assert progress._bar.postfix == "loss 0.500, 1.0 pairs/s, device 75 %"
    progress.close()


def test_a_whole_line_without_its_end_is_kept(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}')
    lines = metrics.JsonLines(path, step=2)
    lines.write({"step": 3})
    lines.close()
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n{"step": 3}\n'


def test_points_after_the_checkpoint_are_hidden(monkeypatch, tmp_path):
    purged = []
    monkeypatch.setattr(
        metrics.SummaryWriter,
        "__init__",
        lambda self, folder, purge_step, **_: purged.append(purge_step),
    )
    metrics.TensorBoard(tmp_path, 5)
    assert purged == [6]
