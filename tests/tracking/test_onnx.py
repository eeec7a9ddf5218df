import os
import subprocess
from pathlib import Path

import pytest

from siamjax import models
from siamjax.errors import UserError
from siamjax.models import weights


@pytest.mark.toolkit
@pytest.mark.slow
@pytest.mark.parametrize("correlation", ["depthwise", "cross"])
def test_both_halves_in_their_own_environment(correlation, tmp_path, tiny):
    """Writes, runs and compares them; the module itself refuses what differs."""
    python = os.environ.get("SIAMJAX_ONNX_PYTHON")
    if not python:  # jax2onnx needs an older orbax than training does
        pytest.skip("name an interpreter with jax2onnx and onnxruntime by SIAMJAX_ONNX_PYTHON")
    config, variables = tiny.config.copy_and_resolve_references(), tiny.variables
    if correlation != config.model.correlation:
        config.model.correlation = correlation
        variables = models.init_variables(models.build(config), seed=0)
    weights.save(tmp_path / "tiny.npz", config, variables)
    done = subprocess.run(
        [python, "-m", "siamjax.integrations.onnx", "--checkpoint=tiny.npz", "--out=onnx"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 6  # four kernels, cls and loc
    assert sorted(os.listdir(tmp_path / "onnx")) == ["search.onnx", "template.onnx"]


def test_without_the_packages(tmp_path, tiny):
    from siamjax.integrations import onnx

    with pytest.raises(UserError, match="an environment of its own"):
        onnx.export(tmp_path / "onnx", tiny.config, tiny.variables)
    assert os.listdir(tmp_path) == []
