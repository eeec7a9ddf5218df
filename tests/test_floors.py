"""The house's rule, read from the source: imports run downwards only."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# A room may import itself and rooms of lower floors: the table of docs/architecture.md.
ROWS = re.findall(
    r"^\| (\d+) \| `siamjax/(\w+)(?:/|\.py)` \|",
    (ROOT / "docs" / "architecture.md").read_text(),
    re.MULTILINE,
)
FLOORS = {name: int(floor) for floor, name in ROWS}
FORBIDDEN = {
    "geometry": {"flax", "tensorflow", "matplotlib"},
    "datasets": {"flax", "jax", "tensorflow", "matplotlib"},
    "measures": {"flax", "jax", "tensorflow", "matplotlib"},
    "viz": {"flax", "jax"},
    "data": {"flax"},
    "models": {"cv2"},
}


def room(path: Path) -> str:
    return path.relative_to(ROOT / "siamjax").parts[0].removesuffix(".py")


def imports(path: Path, top_level_only: bool = False):
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and re.fullmatch(r"siamjax(\.\w+)+", str(node.value)):
            yield node.value  # of import_module, or in a table


def upward_imports(path: Path, own: str):
    for name in imports(path):
        parts = name.split(".")
        if parts[0] in {"data_prep", "configs"} and FLOORS[own] < FLOORS["commands"]:
            yield name
        room_of = parts[1] if parts[0] == "siamjax" and len(parts) > 1 else own
        if room_of != own and FLOORS.get(room_of, -1) >= FLOORS[own]:
            yield name


SOURCES = sorted(p for p in (ROOT / "siamjax").rglob("*.py") if room(p) != "__init__")


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_run_downwards(path):
    assert room(path) in FLOORS, f"give the new room {room(path)} a floor"
    assert not list(upward_imports(path, room(path)))


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_rooms_keep_heavy_packages_out(path):
    roots = {name.split(".")[0] for name in imports(path, top_level_only=True)}
    assert not roots & FORBIDDEN.get(room(path), set())


def test_tensorflow_is_imported_in_data_prep_alone():
    users = {
        path.relative_to(ROOT).parts[0]
        for folder in ("siamjax", "configs", "data_prep", "benchmarks", ".")
        for path in (ROOT / folder).glob("*.py" if folder == "." else "**/*.py")
        if {"tensorflow", "tensorflow_datasets"} & {n.split(".")[0] for n in imports(path)}
    }
    assert users <= {"data_prep"}


def test_configs_import_ml_collections_alone():
    for path in (ROOT / "configs").glob("*.py"):
        assert {n.split(".")[0] for n in imports(path)} <= {"ml_collections", "configs"}, path


def test_the_rule_sees_an_upward_import(tmp_path):
    bad = tmp_path / "bad.py"
    bad.write_text("def f():\n    from siamjax.training import loop\n")
    assert list(upward_imports(bad, "geometry")) == [
        "siamjax.training",
        "siamjax.training.loop",
    ]
    assert not list(upward_imports(bad, "evaluation"))
    bad.write_text('import_module("siamjax.training.loop")\n')
    assert list(upward_imports(bad, "geometry")) == ["siamjax.training.loop"]


def test_every_room_has_a_floor():
    rooms = {p.name.removesuffix(".py") for p in (ROOT / "siamjax").iterdir()}
    assert rooms - FLOORS.keys() <= {"__init__", "__pycache__", "assets", "py.typed"}
    assert not FLOORS.keys() - rooms


def test_import_siamjax_loads_nothing_heavy():
    code = "import siamjax, sys; print([m for m in sys.modules if '.' not in m])"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    heavy = {"jax", "flax", "cv2", "tensorflow", "matplotlib", "numpy", "orbax"}
    assert not heavy & set(ast.literal_eval(loaded.stdout))
