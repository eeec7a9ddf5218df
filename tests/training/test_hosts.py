"""The heartbeat of a process among several, without the others."""

import io
import json
import threading
import time

import pytest

from siamjax.training import hosts, watch


@pytest.fixture
def first_of_two(tmp_path, monkeypatch):
    """(folder of the heartbeats, event that stands for the end of this process)."""
    ended = threading.Event()
    monkeypatch.setattr(hosts.jax, "process_count", lambda: 2)
    monkeypatch.setattr(hosts.jax, "process_index", lambda: 0)
    monkeypatch.setattr(hosts.parallel, "from_lead", lambda function: function())
    monkeypatch.setattr(hosts.Hosts, "_start_helper", lambda *_: None)
    monkeypatch.setattr(hosts.Hosts, "_dismiss_helper", lambda *_: None)
    monkeypatch.setattr(hosts.watch, "BEAT", 0.01)
    monkeypatch.setattr(hosts.os, "_exit", lambda code: ended.set() if code == 3 else None)
    return tmp_path / watch.FOLDER, ended


def wait_for(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_helper_says_it_where_jax_ended_the_process(tmp_path, monkeypatch, capsys):
    """JAX ends all processes with a dump when the first is gone, before they can look."""
    folder = tmp_path / watch.FOLDER
    folder.mkdir()
    record = {"run": "r", "host": "node7", "beat": 3, "ended": ""}
    (folder / "0").write_text(json.dumps(record))
    monkeypatch.setattr(watch, "BEAT", 0.01)
    monkeypatch.setattr(watch, "_SURE", 0.2)
    monkeypatch.setattr(watch.sys, "stdin", io.StringIO("Fatal Python error: Aborted"))
    monkeypatch.setattr(watch.os, "_exit", lambda code: None)
    watch.help_out(str(tmp_path), "r", 1, 2, "run again")
    text = capsys.readouterr().err
    assert "host node7 (process 0 of 2) shows no sign of life" in text
    assert text.count("\n") == 2
    assert "here: run again" in text
    assert not folder.exists()


def test_it_beats_until_its_end_and_leaves_no_record(first_of_two, tmp_path):
    folder, ended = first_of_two
    with hosts.Hosts(tmp_path):
        record = folder / "0"
        wait_for(lambda: json.loads(record.read_bytes())["beat"] > 3)
    assert not folder.exists()
    assert not ended.is_set()


def test_it_ends_with_another_and_says_which(first_of_two, tmp_path, capsys):
    folder, ended = first_of_two
    (tmp_path / "checkpoints" / "12").mkdir(parents=True)
    with hosts.Hosts(tmp_path):
        record = json.loads((folder / "0").read_bytes())
        other = record | {"host": "node7", "ended": "OSError: no disk"}
        (folder / "1").write_text(json.dumps(other))
        wait_for(ended.is_set)
    text = capsys.readouterr().err
    assert "host node7 (process 1 of 2) has ended (OSError: no disk)" in text
    assert "resume from step 12" in text
