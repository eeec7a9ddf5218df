"""Every public function and class says what it does, errors are named, and what follows a
publication says which. Shapes are in the types (jaxtyping), which the tests check at run time."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(
    path
    for path in (ROOT / "siamjax").rglob("*.py")
    if path.read_text() and path.name != "version.py"
)

SOURCE = re.compile(
    r"section|arXiv|SiamRPN|SiamFC|VOT|OTB|LaSOT|GOT-10k|publish|PySOT|benchmark|paper|OpenCV|\b(?:19|20)\d\d\b"
)
# What a publication or a benchmark prescribes; infrastructure has no source to name.
FOLLOWING = (
    "geometry/anchors.py",
    "geometry/[bcdp]*.py",
    "models/adjust.py",
    "models/*net*.py",
    "models/rpn.py",
    "models/siamrpn.py",
    "models/winograd.py",
    "models/xcorr.py",
    "data/targets.py",
    "training/losses.py",
    "training/schedule.py",
    "training/optimizer.py",
    "tracking/decode.py",
    "tracking/longterm.py",
    "tracking/session.py",
    "tracking/tracker.py",
    "datasets/[dlnotuv]*.py",
    "measures/*.py",
    "evaluation/protocols.py",
)


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def public(tree: ast.Module):
    """(qualified name, node) of what a module offers; not Flax's `setup`."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node.name, node
            if isinstance(node, ast.ClassDef):
                for child in node.body:
                    if not isinstance(child, ast.FunctionDef) or child.name.startswith("_"):
                        continue
                    setter = any(ast.unparse(d).endswith(".setter") for d in child.decorator_list)
                    if not setter and child.name != "setup":
                        yield f"{node.name}.{child.name}", child


def raised(node: ast.AST) -> set[str]:
    """Names of the exceptions that a function raises itself; `_Private` ones stay in the module."""
    found = set()
    for each in ast.walk(node):
        if isinstance(each, ast.Raise) and isinstance(each.exc, ast.Call):
            found.add(ast.unparse(each.exc.func).split(".")[-1])
    return {name for name in found if not name.startswith("_")}


def calls(node: ast.AST) -> set[str]:
    """Names of the module's own functions and of own methods that are called."""
    found = set()
    for each in ast.walk(node):
        if isinstance(each, ast.Call):
            if isinstance(each.func, ast.Name):
                found.add(each.func.id)
            elif isinstance(each.func, ast.Attribute) and ast.unparse(each.func.value) == "self":
                found.add(each.func.attr)
    return found


def errors_of(tree: ast.Module) -> dict[str, set[str]]:
    """Function, or class and method -> what it raises, also through helpers of its module."""
    nodes = {}
    for node in tree.body:
        members = node.body if isinstance(node, ast.ClassDef) else [node]
        owner = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
        nodes |= {(owner, n.name): n for n in members if isinstance(n, ast.FunctionDef)}
    errors = {key: raised(node) for key, node in nodes.items()}
    for _ in range(4):  # helpers of helpers
        for (owner, name), node in nodes.items():
            for helper in calls(node):
                if helper.startswith("_") and not helper.startswith("__"):
                    for place in {owner, ""}:
                        errors[owner, name] |= errors.get((place, helper), set())
    return {owner + name: found for (owner, name), found in errors.items()}


def faults(path: Path) -> list[str]:
    """What is missing in a module's docstrings, one line each."""
    tree = ast.parse(path.read_text())
    module = ast.get_docstring(tree) or ""
    found = [] if module else [f"{name_of(path)}: no docstring"]
    errors = errors_of(tree)
    texts = [module]
    for name, node in public(tree):
        where = f"{name_of(path)}.{name} (line {node.lineno})"
        text = ast.get_docstring(node) or ""
        texts.append(text)
        if not text:
            found.append(f"{where}: no docstring")
            continue
        if isinstance(node, ast.ClassDef):
            continue
        for error in sorted(errors[name] - {"AttributeError"}):  # Python's own protocol
            if error not in text and "Raises:" not in text:
                found.append(f"{where}: raises {error}, its docstring does not say so")
    follows = any(path.match(f"siamjax/{pattern}") for pattern in FOLLOWING)
    if follows and len(texts) > 1 and not SOURCE.search(" ".join(texts)):
        found.append(f"{name_of(path)}: names no source")
    return found


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_docstrings_say_what_is_needed(path):
    assert faults(path) == []


def test_the_public_interface_is_not_empty():
    offered = [name for path in MODULES for name, *_ in public(ast.parse(path.read_text()))]
    assert len(offered) > 400
    assert "load" in offered


def test_each_fault_is_seen(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    module = tmp_path / "siamjax" / "geometry" / "bad.py"
    module.parent.mkdir(parents=True)
    module.write_text(
        '"""Things."""\n'
        "def silent():\n    pass\n"
        'def harmful(x):\n    """Does something."""\n    _fail(x)\n'
        'def _fail(x):\n    raise UserError("no")\n'
        "class Holder:\n"
        '    """Holds."""\n'
        "    def get(self):\n        return 1\n"
        "    def _own(self):\n        return 2\n"
    )
    name = "siamjax.geometry.bad"
    assert faults(module) == [
        f"{name}.silent (line 2): no docstring",
        f"{name}.harmful (line 4): raises UserError, its docstring does not say so",
        f"{name}.Holder.get (line 11): no docstring",
        f"{name}: names no source",
    ]
