"""Frames decoded by a thread: the same ones, the same errors in the same place, no thread left."""

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from siamjax.errors import UserError
from siamjax.media import ahead


class Source:
    """Numbers from 0; what was made, in which thread, and whether the generator was closed."""

    def __init__(self, count=None, error=None):
        self.made, self.threads, self.closed = 0, set(), False
        self._count, self._error = count, error

    def items(self):
        try:
            for number in itertools.count() if self._count is None else range(self._count):
                self.threads.add(threading.current_thread())
                self.made += 1
                yield number
            if self._error is not None:
                raise self._error
        finally:
            self.closed = True


def wait_for(condition):
    end = time.monotonic() + 60
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    assert condition()


@pytest.mark.parametrize("count", [0, 1, 2, 20])
@pytest.mark.parametrize("most", [1, 3])
def test_the_same_items(count, most):
    source = Source(count)
    assert list(ahead(source.items(), most)) == list(range(count))
    assert source.closed
    assert threading.current_thread() not in source.threads
    assert not any(thread.is_alive() for thread in source.threads)


def test_an_error_comes_behind_the_items_before_it():
    source, got = Source(2, UserError("0003.jpg: not a readable image")), []
    with pytest.raises(UserError, match=r"0003\.jpg"):
        got += ahead(source.items())  # += takes nothing before the error
    got = []
    with contextlib.suppress(UserError):
        for item in ahead(source.items()):
            got.append(item)
    assert got == [0, 1]


def test_it_is_as_far_ahead_as_said():
    source = Source()
    with contextlib.closing(ahead(source.items(), 2)) as items:
        assert next(items) == 0
        wait_for(lambda: source.made == 4)  # one is used, two wait, one has no place
        time.sleep(0.05)
        assert source.made == 4
    assert source.closed
    assert not any(thread.is_alive() for thread in source.threads)


def test_closed_before_anything_was_asked_for():
    source = Source()
    ahead(source.items()).close()
    assert source.made == 0


PROGRAM = """
import contextlib, itertools, signal, threading, time
from siamjax.media import ahead
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
def slow():
    try:
        yield 0
        print("ready", flush=True)
        time.sleep(1)
        yield 1
    finally:
        print("closed", flush=True)
try:
    with contextlib.closing(ahead(slow())) as items:
        for item in items:
            pass
        time.sleep(60)
except KeyboardInterrupt:
    print("interrupted", threading.active_count(), flush=True)
"""


def test_interrupt_while_waiting_for_a_frame():
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=120)[0] == "closed\ninterrupted 1\n"
