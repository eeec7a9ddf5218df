"""Every public function and class says what it does: arrays have shapes, lengths have units, errors
are named, and what follows a publication says which."""

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

ARRAYS = {"frame", "image", "crop", "cls", "loc", "label", "delta", "boxes", "heatmap", "kernel"}
SHAPE = re.compile(r"\((?:\.\.\.|[A-Z][\w']*|\d+|[a-z]+)(?:,[^()]*)\)|\(\)|x, y, w, h|cx, cy, w, h")
TYPED_SHAPE = re.compile(r"\[[\w. |]+, '[^']*'\]")  # jaxtyping
ELSEWHERE = re.compile(r"(?:as|like|of|see) (?:in )?`|`'s|bgr", re.IGNORECASE)
LENGTHS = {"side", "box", "boxes", "instance", "exemplar", "stride", "width", "height"}
UNIT = re.compile(r"\bpx\b|pixel|\bcells?\b|as in `|see `|`'s|channels|factor")
SOURCE = re.compile(
    r"section|arXiv|SiamRPN|SiamFC|VOT|OTB|LaSOT|GOT-10k|publish|PySOT|benchmark|paper|OpenCV|\b(?:19|20)\d\d\b"
)
# What a publication or a benchmark prescribes; infrastructure has no source to name.
FOLLOWING = (
    "geometry/[bcdp]*.py",
    "geometry/anchors.py",
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
    """(qualified name, node, class or None) of what a module offers."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node.name, node, None
            if isinstance(node, ast.ClassDef):
                for child in node.body:
                    if not isinstance(child, ast.FunctionDef) or child.name.startswith("_"):
                        continue
                    if not any(ast.unparse(d).endswith(".setter") for d in child.decorator_list):
                        yield f"{node.name}.{child.name}", child, node


def arguments(node: ast.FunctionDef) -> dict[str, str]:
    """Argument -> annotation as text."""
    every = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
    return {a.arg: ast.unparse(a.annotation) if a.annotation else "" for a in every}


def is_class_method(node: ast.FunctionDef) -> bool:
    """Whether its first argument is the class."""
    return any(ast.unparse(each) == "classmethod" for each in node.decorator_list)


def raised(node: ast.AST) -> set[str]:
    """Names of the exceptions that a function raises itself."""
    found = set()
    for each in ast.walk(node):
        if isinstance(each, ast.Raise) and isinstance(each.exc, ast.Call):
            found.add(ast.unparse(each.exc.func).split(".")[-1])
    return found


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
    for name, node, owner in public(tree):
        where = f"{name_of(path)}.{name} (line {node.lineno})"
        text = ast.get_docstring(node) or ""
        texts.append(text)
        around = " ".join([text, module, (owner and ast.get_docstring(owner)) or ""])
        if not text:
            found.append(f"{where}: no docstring")
            continue
        if isinstance(node, ast.ClassDef):
            continue
        for argument, annotation in arguments(node).items():
            array = "ndarray" in annotation or "jax.Array" in annotation
            array |= argument in ARRAYS and not annotation and not is_class_method(node)
            array &= not TYPED_SHAPE.search(annotation)
            if array and not SHAPE.search(around) and not ELSEWHERE.search(text):
                found.append(f"{where}: {argument} is an array, its shape is not said")
            if argument in LENGTHS and not UNIT.search(around):
                found.append(f"{where}: {argument} is a length, its unit is not said")
        for error in sorted(errors[name] - {"AttributeError"}):  # Python's own protocol
            if error not in text and "Raises:" not in text:
                found.append(f"{where}: raises {error}, its docstring does not say so")
    follows = any(path.match(f"siamjax/{pattern}") for pattern in FOLLOWING)
    if follows and path.name != "__init__.py" and not SOURCE.search(" ".join(texts)):
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
        'def shapeless(image: np.ndarray):\n    """Does something."""\n'
        'def unitless(side):\n    """Does something."""\n'
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
        f"{name}.shapeless (line 4): image is an array, its shape is not said",
        f"{name}.unitless (line 6): side is a length, its unit is not said",
        f"{name}.harmful (line 8): raises UserError, its docstring does not say so",
        f"{name}.Holder.get (line 15): no docstring",
        f"{name}: names no source",
    ]
