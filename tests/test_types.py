"""Public array functions of the numeric rooms say shapes and types in jaxtyping's terms.

The tests run with beartype on these rooms (`--jaxtyping-packages` in pyproject.toml), so what an
annotation says is checked at every call.
"""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("geometry", "models", "tracking", "training", "measures")
MODULES = sorted(path for room in ROOMS for path in (ROOT / "siamjax" / room).rglob("*.py"))
BARE = {"np.ndarray", "numpy.ndarray", "jax.Array", "jnp.ndarray", "Array"}


def bare_arrays(annotation: ast.expr) -> list[str]:
    """Array types in an annotation without a shape; `Float[Array, "n"]` has one."""
    if isinstance(annotation, ast.Subscript) and isinstance(annotation.slice, ast.Tuple):
        shape = annotation.slice.elts[-1]
        if isinstance(shape, ast.Constant) and isinstance(shape.value, str):
            return []
    if ast.unparse(annotation) in BARE:
        return [ast.unparse(annotation)]
    children = ast.iter_child_nodes(annotation)
    return [
        name for child in children if isinstance(child, ast.expr) for name in bare_arrays(child)
    ]


def faults(tree: ast.Module) -> list[str]:
    """Arguments and results of public functions whose arrays have no shape."""
    found = []
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
            continue
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        types = {argument.arg: argument.annotation for argument in arguments}
        types["return"] = node.returns
        for name, annotation in types.items():
            if annotation is not None and bare_arrays(annotation):
                found.append(f"{node.name}.{name}: {ast.unparse(annotation)}")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_arrays_have_shapes(path):
    assert faults(ast.parse(path.read_text())) == []


def test_the_rooms_are_checked_at_run_time():
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]
    packages = ",".join(f"siamjax.{room}" for room in ROOMS)
    expected = f"--jaxtyping-packages={packages},beartype.beartype"
    assert expected in options["ini_options"]["addopts"]


def test_a_wrong_shape_is_refused():
    from siamjax.geometry import boxes  # after the plugin's hook

    with pytest.raises(Exception, match="xywh_to_xyxy"):
        boxes.xywh_to_xyxy([1.0, 2.0, 3.0, 4.0])


def test_each_fault_is_seen():
    code = (
        "def f(x: np.ndarray, y: Float[Array, 'n 4'], z: list[jax.Array] | None) -> Array: ...\n"
        "def g(x: Float[np.ndarray | Array, '4'], y: int) -> Float[Array, '']: ...\n"
        "def _h(x: np.ndarray): ...\n"
    )
    names = [fault.split(":")[0] for fault in faults(ast.parse(code))]
    assert names == ["f.x", "f.z", "f.return"]
