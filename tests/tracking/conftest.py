"""A short clip of a moving square; the tracker runs without implicit promotion."""

import contextlib
import math
from types import SimpleNamespace

import cv2
import jax
import numpy as np
import pytest

from siamjax import cli, compile_cache

with contextlib.suppress(ImportError):  # aiohttp is optional; then the tests are skipped
    from .serving import serve, session, video  # noqa: F401


@pytest.fixture(autouse=True)
def strict_promotion():
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


@pytest.fixture(autouse=True)
def nothing_is_announced(monkeypatch):
    """Log messages are those of the test, however long something before it compiled."""
    monkeypatch.setattr(compile_cache, "_LONG", math.inf)


@pytest.fixture(scope="session")
def clip():
    """12 frames of 160x120 px: a textured square that moves over a textured ground; its boxes."""
    rng = np.random.default_rng(0)
    ground = cv2.resize(rng.integers(0, 128, (15, 20, 3), dtype=np.uint8), (160, 120))
    patch = cv2.resize(rng.integers(128, 256, (5, 5, 3), dtype=np.uint8), (30, 24))
    frames, boxes = [], []
    for i in range(12):
        x, y = 40 + 3 * i, 50 + i
        frame = ground.copy()
        frame[y : y + 24, x : x + 30] = patch
        frames.append(frame)
        boxes.append((x, y, 30, 24))
    return SimpleNamespace(frames=np.stack(frames), boxes=np.array(boxes, float))


@pytest.fixture(scope="session")
def folder(clip, tmp_path_factory):
    """The clip as PNG files, 0000.png and on."""
    path = tmp_path_factory.mktemp("clip")
    for i, frame in enumerate(clip.frames):
        cv2.imwrite(str(path / f"{i:04d}.png"), frame)
    return path


@pytest.fixture
def track(checkpoint, tmp_path, monkeypatch):
    """Runs `siamjax track` with the tiny weights, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        return cli.dispatch(["track", *map(str, arguments), f"--checkpoint={checkpoint}"])

    return run
