"""Shared fixtures: where the reference data lies, and a quiet, deterministic JAX."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")

_DEFAULT = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder of reference data; tests that ask for it are skipped where it is not there."""
    folder = Path(os.environ.get("SIAMJAX_REFERENCE", _DEFAULT))
    if not (folder / "conformance").is_dir():
        pytest.skip(f"no reference data at {folder}; set SIAMJAX_REFERENCE to its folder")
    return folder
