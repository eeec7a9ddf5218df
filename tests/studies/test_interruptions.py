"""A study that is killed, and one that several processes fill, end like one left alone."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def start(experiment, out, *flags):
    command = [sys.executable, "-m", "siamjax.cli", "study", "layers", f"--workdir={out}"]
    command += [f"--config={experiment}", "--videos=2", "--workers=0", "--clips=1", "--seeds=1"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    return subprocess.Popen([*command, *flags], env=environment, stderr=subprocess.PIPE, text=True)


def finish(process):
    _, said = process.communicate(timeout=900)
    assert process.returncode == 0, said
    return said


def result(out):
    """Of the study; the rate of frames is none of its figures."""
    found = json.loads((out / "layers" / "study.json").read_text())
    return found, (out / "layers" / "table.md").read_text()


@pytest.fixture
def alone(experiment, tmp_path):
    finish(start(experiment, tmp_path / "alone"))
    return result(tmp_path / "alone")


@pytest.mark.slow
def test_killed_five_times(experiment, tmp_path, alone):
    out, rng = tmp_path / "killed", random.Random(4)
    for _ in range(5):
        process = start(experiment, out)
        time.sleep(rng.uniform(4, 25))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stderr.close()
    finish(start(experiment, out))
    assert result(out) == alone


@pytest.mark.slow
def test_two_processes_fill_one_study(experiment, tmp_path, alone):
    out = tmp_path / "shared"
    both = [start(experiment, out, f"--shard={i}/2") for i in range(2)]
    for process in both:
        finish(process)
    finish(start(experiment, out, "--dry_run"))
    assert result(out) == alone
