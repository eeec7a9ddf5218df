"""Workers of pools end with their parent; what is logged stands on lines of its own."""

import contextlib
import io
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from siamjax.processes import plain_log

ROOT = Path(__file__).resolve().parents[1]
PARENT = """
import multiprocessing, os, time
from concurrent.futures import ProcessPoolExecutor
from siamjax.processes import begin_worker

if __name__ == "__main__":
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, begin_worker) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        pool.submit(time.sleep, 60)
        time.sleep(60)
"""


def test_a_worker_ends_with_its_killed_parent(tmp_path):
    """Before: workers of an evaluation or a preparation stayed for ever."""
    (tmp_path / "parent.py").write_text(PARENT)
    parent = subprocess.Popen(
        [sys.executable, tmp_path / "parent.py"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    worker = int(parent.stdout.readline())
    os.kill(worker, signal.SIGINT)  # is the parent's business
    time.sleep(0.1)
    os.kill(worker, 0)
    parent.kill()
    parent.communicate()
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{worker}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            return
        if state == "Z":
            return
        time.sleep(0.02)
    raise AssertionError("the worker is still there")


def test_what_is_logged_stands_above_a_bar():
    """Before: a warning of `siamjax track` stood behind "0%|          | 0/120"."""
    code = (
        "import logging, tqdm\n"
        "from siamjax.processes import plain_log\n"
        "plain_log()\n"
        "logging.getLogger('siamjax.x').warning('first')\n"
        "with tqdm.tqdm(total=9) as bar:\n"
        "    logging.getLogger('siamjax.x').warning('half of %s', 'it')\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    before, _, after = done.stderr.decode().partition("half of it\n")
    assert before.startswith("first\n")
    assert before.endswith("\r")  # the bar's line was emptied
    assert "0/9" in before
    assert "0/9" in after


def test_what_is_logged_goes_to_the_stderr_of_then(capsys):
    """Before: a thread that logged after the command's stderr had been replaced ended with
    "I/O operation on closed file"."""
    closed = io.StringIO()
    with contextlib.redirect_stderr(closed):
        plain_log()
    closed.close()
    logging.getLogger("siamjax.x").warning("late")
    assert capsys.readouterr() == ("", "late\n")
