"""docs/licences.md is what docs/licences.py writes here."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def licences():
    spec = importlib.util.spec_from_file_location("licences", ROOT / "docs" / "licences.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_required_package_is_listed_with_its_licence(licences):
    core, extras = licences.requirements()
    assert {"jax", "flax", "numpy", "scipy"} <= core  # scipy comes with jax
    known = licences.known()
    names = core.union(*extras.values()) - {"siamjax"}
    assert names - known.keys() == set(), "run python docs/licences.py"
    for name in names:
        licence = licences.licence(name)
        assert licence in (None, known[name].strip()), f"{name}: run python docs/licences.py"


def test_the_sources_of_a_licence(licences, monkeypatch):
    from email.message import Message

    def about(*headers):
        message = Message()
        for key, value in headers:
            message[key] = value
        return lambda name: message

    for headers, expected in (
        ([("License-Expression", "MIT"), ("License", "BSD")], "MIT"),
        ([("Classifier", "License :: OSI Approved :: MIT License")], "MIT"),
        (
            [("Classifier", "License :: OSI Approved"), ("License", "Apache 2.0\nlong")],
            "Apache-2.0",
        ),
        ([("Name", "x")], "not stated"),
    ):
        monkeypatch.setattr(licences.metadata, "metadata", about(*headers))
        assert licences.licence("x") == expected
