import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from siamjax import cli, models
from siamjax.errors import UserError
from siamjax.models import weights
from siamjax.tracking import Settings, TrackerConfig, export, tracker

PLATFORMS = export.PLATFORMS


@pytest.fixture(scope="module")
def artefact(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    weights.save(folder / "tiny.npz", tiny.config, tiny.variables)
    cli.dispatch(["export", f"--checkpoint={folder / 'tiny.npz'}", f"--out={folder / 'tiny.zip'}"])
    return folder / "tiny.zip"


def live(tiny, frames, box):
    model, config = models.build(tiny.config), TrackerConfig.of(tiny.config)
    settings = Settings(*(jnp.float32(v) for v in config.settings()))
    start = jax.jit(tracker.init, static_argnums=(0, 1))
    step = jax.jit(tracker.update, static_argnums=(0, 1))
    state = start(model, config, tiny.variables, frames[0], np.float32(box))
    for frame in frames[1:]:
        state, found = step(model, config, tiny.variables, settings, state, frame)
        yield np.asarray(found.box), float(found.score)


RUN = """
import sys
sys.modules["siamjax"] = sys.modules["flax"] = sys.modules["cv2"] = None  # not to be imported
import numpy as np
sys.path.insert(0, {folder!r})
from tiny import ExportedTracker

tracker = ExportedTracker({artefact!r})
for name in ("large", "small"):
    frames = np.load({frames!r})[name]
    tracker.init(frames[0], (40, 50, 30, 24))
    for frame in frames[1:]:
        box, score = tracker.update(frame)
        print(*box, score)
"""


def test_exported_equals_live_without_siamjax(artefact, tiny, clip, tmp_path):
    large, small = clip.frames[:4], clip.frames[:4, :110, :140]
    np.savez(tmp_path / "frames.npz", large=large, small=small)
    program = RUN.format(
        folder=str(artefact.parent), artefact=str(artefact), frames=str(tmp_path / "frames.npz")
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    got = np.array([line.split() for line in done.stdout.splitlines()], float)
    expected = [*live(tiny, large, (40, 50, 30, 24)), *live(tiny, small, (40, 50, 30, 24))]
    np.testing.assert_allclose(got[:, :4], [box for box, _ in expected], rtol=1e-5, atol=1e-2)
    np.testing.assert_allclose(got[:, 4], [score for _, score in expected], atol=1e-5)


def test_platforms(artefact):
    import zipfile

    with zipfile.ZipFile(artefact) as file:
        for name in ("init", "update"):
            step = jax.export.deserialize(bytearray(file.read(name)))
            assert set(step.platforms) == {"cpu", "cuda", "tpu"}
        assert "siamrpn" in file.read("config.json").decode()


def test_runner_is_short(artefact):
    code = artefact.with_suffix(".py").read_text().split('"""', 2)[2]
    assert len([line for line in code.splitlines() if line.strip()]) <= 30


def test_bad_output(tmp_path, tiny):
    weights.save(tmp_path / "tiny.npz", tiny.config, tiny.variables)
    for out, message in (("a.onnx", "name a .zip file"), ("tiny.npz/a.zip", "cannot make")):
        with pytest.raises(UserError, match=message):
            cli.dispatch(
                ["export", f"--checkpoint={tmp_path / 'tiny.npz'}", f"--out={tmp_path / out}"]
            )
    with pytest.raises(UserError, match="no such checkpoint"):
        cli.dispatch(["export", f"--checkpoint={tmp_path / 'x'}", f"--out={tmp_path / 'a.zip'}"])


def steps(tiny, monkeypatch, *platforms) -> str:
    """StableHLO of the archive's two steps, lowered on this machine for these platforms alone."""
    monkeypatch.setattr(export, "PLATFORMS", platforms)
    constants = TrackerConfig.of(tiny.config).structure()
    exported = export._exported(models.build(tiny.config), constants, tiny.variables)
    return "".join(step.mlir_module() for step in exported)


def test_an_archive_holds_the_formulation_of_each_platform(tiny, monkeypatch):
    for platform in ("cuda", "tpu"):
        text = steps(tiny, monkeypatch, platform)
        groups = re.findall(r"feature_group_count = (\d+)", text)
        assert set(groups) == {"1"}
        assert text.count("stablehlo.dot_general") == 0, platform
    own = steps(tiny, monkeypatch, "cpu")
    assert own.count("stablehlo.dot_general") > 0  # its 1x1 convolutions are products
    assert len(re.findall("feature_group_count", own)) < len(groups)
    every = steps(tiny, monkeypatch, *PLATFORMS)
    assert every.count("stablehlo.dot_general") >= own.count("stablehlo.dot_general")
    assert "stablehlo.case" in every  # chosen when it runs
