"""How a run is asked to stop, without a run."""

import os
import signal
import threading

import pytest

from siamjax.training import stopping
from siamjax.training.resources import Resources


@pytest.fixture
def resources():
    with Resources() as resources:
        yield resources


def test_two_ctrl_cs_that_come_together_end_the_process(resources, monkeypatch):
    ended = threading.Event()
    monkeypatch.setattr(stopping.os, "_exit", lambda code: ended.set() if code == 130 else None)
    stop = stopping.Stop(resources)
    os.write(stop._write, bytes([signal.SIGINT, signal.SIGINT]))
    assert ended.wait(30)
    assert stop.came
    assert stop.name == "Ctrl-C"


def test_two_hosts_agree_on_the_step(resources, monkeypatch):
    """By JAX, which listens to SIGTERM: Ctrl-C passes one on."""
    sent = threading.Event()
    monkeypatch.setattr(stopping.jax, "process_count", lambda: 2)
    monkeypatch.setattr(
        stopping.os, "kill", lambda pid, number: sent.set() if number == signal.SIGTERM else None
    )
    agreed = {7}
    monkeypatch.setattr(
        stopping.multihost_utils, "reached_preemption_sync_point", lambda number: number in agreed
    )
    stop = stopping.Stop(resources)
    assert [stop.asked(number) for number in (6, 7)] == [False, True]
    assert stop.signal == signal.SIGTERM
    os.write(stop._write, bytes([signal.SIGINT]))
    assert sent.wait(30)
    assert not stop.asked(8)
    assert not stop.came
