"""Shared fixtures: the reference data's place, a tiny tracker, and a quiet, deterministic JAX."""

import logging
import os
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from .servers import _s3_server, cache_folder, files, s3  # noqa: F401

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("SIAMJAX_CACHE", "off")  # tests leave the home alone

_DEFAULT = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder of reference data; tests that ask for it are skipped where it is not there."""
    folder = Path(os.environ.get("SIAMJAX_REFERENCE", _DEFAULT))
    if not (folder / "conformance").is_dir():  # made by another program, so never in a clone
        pytest.skip(f"no reference data at {folder}; set SIAMJAX_REFERENCE to its folder")
    return folder


@pytest.fixture(autouse=True)
def importers_log():
    """Every test begins with the log of a process that imports siamjax: one before may have run a
    command, whose lines go to stderr alone."""
    own = logging.getLogger("siamjax")
    own.handlers.clear()
    own.propagate = True


@pytest.fixture
def own_mounts(tmp_path) -> list[str]:
    """The start of a command that may mount disks, which it alone sees; skipped where none may."""
    command = ["unshare", "-rm"]
    mount = [*command, "mount", "-t", "tmpfs", "tmpfs", tmp_path]
    if subprocess.run(mount, capture_output=True).returncode:  # some containers forbid them
        pytest.skip("no mount namespaces here")
    return command


class Tiny(NamedTuple):
    """A network small enough to compile in seconds, with the geometry of the real ones."""

    config: Any
    variables: dict


@pytest.fixture(scope="session")
def tiny() -> Tiny:
    """Random variables, with logits and offsets of a sensible size."""
    from configs import base
    from siamjax import models

    config = base.get_config()
    config.model.backbone = "resnet18"
    config.model.width = 0.0625
    config.model.blocks = (1, 1, 1, 1)
    config.model.levels = (2, 3)
    config.model.adjust_channels = (8,)
    config.lock()
    variables = models.init_variables(models.build(config), seed=0)
    for level in ("level2", "level3"):
        for branch, gain in (("cls", 1e-4), ("loc", 5e-6)):
            out = variables["params"]["head"][level][branch]["out"]
            out["kernel"] = out["kernel"] * np.float32(gain)
            out["bias"] = out["bias"] * 0
    return Tiny(config, variables)


@pytest.fixture(scope="session")
def checkpoint(tiny, tmp_path_factory) -> Path:
    """The same as a weights file."""
    from siamjax.models import weights

    path = tmp_path_factory.mktemp("weights") / "tiny.npz"
    weights.save(path, *tiny)
    return path
