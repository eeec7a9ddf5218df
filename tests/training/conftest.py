"""A small world to train on: few shards, a network of a few thousand parameters."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import jax
import ml_collections
import numpy as np
import pytest

from siamjax.config import to_json
from siamjax.data.shards import ShardWriter
from siamjax.training import checkpoint, loop

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from configs import base  # noqa: E402


@pytest.fixture(scope="session")
def shards(tmp_path_factory):
    """A folder of shards: 6 videos with 4 frames each of a bright box on a smooth background."""
    folder = tmp_path_factory.mktemp("shards")
    writer = ShardWriter(folder, "tiny")
    rng = np.random.default_rng(0)
    for video in range(6):
        scene = cv2.resize(rng.integers(0, 200, (12, 12, 3), np.uint8), (511, 511))
        w, h = rng.uniform(50, 90, 2)
        # The target's size in the crop, which shows the target with its context at 127 px.
        side = np.sqrt((w + (w + h) / 2) * (h + (w + h) / 2))
        dx, dy = int(w * 127 / side / 2), int(h * 127 / side / 2)
        for frame in range(4):
            crop = np.roll(scene, 9 * frame, axis=1)
            cv2.rectangle(crop, (255 - dx, 255 - dy), (255 + dx, 255 + dy), (40, 90, 250), -1)
            writer.add(f"video{video}", "0", frame, crop, size=(w, h))
    writer.close()
    return folder


@pytest.fixture(scope="session")
def tiny(shards):
    """make(**fields) -> config of a tiny ResNet: 2 pairs a step, 4 steps an epoch, 2 epochs, the
    backbone frozen in the first. Fields are those of `train`, or section__field."""

    def make(**fields):
        c = base.get_config()
        c.model.backbone = "resnet18"
        c.model.width = 0.05
        c.model.blocks = (1, 1, 1, 1)
        c.model.levels = (2,)
        c.model.adjust_channels = (4,)
        c.data.sources = ml_collections.ConfigDict()
        c.data.sources.tiny = base.source(str(shards), frame_range=3)
        c.data.pairs_per_epoch = 8
        c.data.workers = 0
        c.train.epochs = 2
        c.train.batch_size = 2
        c.train.warmup_epochs = 1
        c.train.unfreeze_epoch = 1
        c.train.unfreeze_layers = ("layer2",)
        c.train.log_every = 1
        for name, value in fields.items():
            section, _, field = name.rpartition("__")
            setattr(c[section or "train"], field, value)
        c.lock()
        return c

    return make


@pytest.fixture(scope="session")
def whole(tiny, tmp_path_factory):
    """A run without interruption, with a score at each epoch's end."""
    workdir = tmp_path_factory.mktemp("whole")
    loop.train(tiny(), workdir, lambda *_: {"a": 0.5})
    return workdir


def lines(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def without_clock(workdir):
    clock = ("pairs_per_s", "device_busy")
    return [{k: v for k, v in line.items() if k not in clock} for line in lines(workdir)]


def assert_same_run(a, b, step=8):
    """The same lines and, bit for bit, the same weights, statistics and momentum in the end."""
    assert without_clock(a) == without_clock(b)
    items = [checkpoint.read(w / "checkpoints" / str(step), True)[:2] for w in (a, b)]
    jax.tree.map(np.testing.assert_array_equal, *items)


@pytest.fixture
def run_train(tmp_path):
    """As `start_train`, in the test's own folder."""
    return starter(tmp_path)


@pytest.fixture(scope="module")
def start_train(tmp_path_factory):
    """start(config, workdir, largest_file, arguments) -> process of run_train.py.

    largest_file: bytes; writing more to any file fails as on a full disk.
    """
    return starter(tmp_path_factory.mktemp("experiments"))


def starter(folder):
    def start(config, workdir, largest_file=None, arguments=()):
        path = folder / "experiment.py"
        path.write_text(
            "from siamjax.config import from_json\n\n\n"
            f"def get_config():\n    return from_json({to_json(config)!r})\n"
        )
        command = [sys.executable, "run_train.py", f"--config={path}", f"--workdir={workdir}"]
        command += arguments
        if largest_file is not None:  # sh counts in blocks of 512 bytes
            command = ["sh", "-c", f'ulimit -f {largest_file // 512}; exec "$@"', "sh", *command]
        return subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture(scope="session", autouse=True)
def compiled_programs(tmp_path_factory):
    """One compilation cache for all tests and their child processes, apart from the user's."""
    base = tmp_path_factory.getbasetemp()
    folder = str((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "xla")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = folder
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.5"
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


@pytest.fixture(autouse=True)
def strict_arithmetic():
    """Types and ranks of arrays meet only where the code says so."""
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield
