"""`.ci/install`, by which `make env` shows packages, size and time."""

import importlib.machinery
import importlib.util
import io
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / ".ci" / "install"


@pytest.fixture
def script():
    loader = importlib.machinery.SourceFileLoader("install_script", str(SCRIPT))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    loader.exec_module(module)
    sys.dont_write_bytecode = before
    return module


def test_what_pip_says_becomes_numbers(script, monkeypatch):
    monkeypatch.setattr(script, "EVERY", 2)
    out = io.StringIO()
    progress = script.Progress(out)
    for line in (
        "Obtaining file:///home/me/siamjax\n",
        "Collecting jax>=0.8 (from siamjax==0.1.0)\n",
        "  Downloading jax-0.10.2-py3-none-any.whl (2.5 MB)\n",
        "Collecting jax<1,>=0.7 (from flax)\n",  # known already
        "Requirement already satisfied: numpy>=2.0 in ./lib (from jax)\n",
        "Collecting jaxtyping[x]~=0.2\n",
        "  Downloading jaxtyping-0.3-py3-none-any.whl (500 kB)\n",
        "Installing collected packages: numpy, jax, jaxtyping\n",
    ):
        progress.line(line)
    assert progress.packages == {"file:///home/me/siamjax", "jax", "numpy", "jaxtyping"}
    assert progress.bytes == 3e6
    assert out.getvalue().splitlines() == [
        "0:00  2 packages, 0 MB  jax",
        "0:00  4 packages, 2 MB  jaxtyping",
        "0:00  4 packages, 3 MB  unpacking 3 packages",
    ]


def test_sizes(script, tmp_path):
    assert script.size(1.84e9) == "1.8 GB"
    assert script.size(84.6e6) == "85 MB"
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_bytes(bytes(100_000))
    assert 100_000 <= script.taken(tmp_path) < 300_000


def test_a_failure_shows_what_pip_said(tmp_path):
    (tmp_path / "bin").mkdir()
    pip = "#!/bin/sh\necho ERROR: no such package\nexit 1\n"
    (tmp_path / "bin" / "python").write_text(pip)
    (tmp_path / "bin" / "python").chmod(0o755)
    done = subprocess.run(
        [sys.executable, SCRIPT, tmp_path, "-e", "."], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "ERROR: no such package" in done.stderr
    assert "on the disk" not in done.stdout
