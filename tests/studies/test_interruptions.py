"""A study that is killed, and one that several processes fill, end like one left alone."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def start(experiment, out, *flags):
    """The study, its standard error in a file: nobody reads a pipe meanwhile."""
    command = [sys.executable, "-m", "siamjax", "study", "shift", f"--workdir={out}"]
    command += [f"--config={experiment}", "--videos=2", "--workers=0", "--clips=1", "--seeds=1"]
    command.append("--shifts=40")  # with and without padding: two trainings
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    with open(experiment.with_name("said.txt"), "a") as said:
        return subprocess.Popen(
            [*command, *flags], env=environment, stdout=subprocess.DEVNULL, stderr=said
        )


def finish(process):
    assert process.wait(3600) == 0


def result(out):
    """JSON and table."""
    found = json.loads((out / "shift" / "study.json").read_text())
    return found, (out / "shift" / "table.md").read_text()


def files(folder):
    return sum(len(names) for _, _, names in os.walk(folder))


@pytest.fixture
def alone(experiment, tmp_path):
    finish(start(experiment, tmp_path / "alone"))
    return result(tmp_path / "alone")


@pytest.mark.slow
def test_killed_five_times(experiment, tmp_path, alone):
    """Each time after a random number of new files."""
    out, rng = tmp_path / "killed", random.Random(4)
    for _ in range(5):
        enough = files(out) + rng.randint(1, 15)
        process = start(experiment, out)
        while process.poll() is None and files(out) < enough:
            time.sleep(0.02)
        process.kill()
        process.wait()
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
