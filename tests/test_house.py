"""The house stays light: short functions, short modules, no import circles, few hidden imports."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FUNCTION, MODULE, HIDDEN = 60, 350, 30  # lines, lines, imports inside functions
SOURCES = sorted(p for room in ("siamjax", "data_prep") for p in (ROOT / room).rglob("*.py"))

JAX = "JAX takes 0.75 s of CPU, which the flags and the help do not need"
# Imports inside functions: module -> {what it imports: why not at the top}.
REASONS: dict[str, dict[str, str]] = {
    "data_prep.command": {"data_prep": "TensorFlow Datasets and Beam are optional"},
    "siamjax.api": {
        "siamjax": "compile_cache: commands import the api at their top; " + JAX,
        "siamjax.models": "commands import the api at their top; " + JAX,
        "siamjax.tracking.session": "commands import the api at their top; " + JAX,
        "siamjax.training": "checkpoints of runs need orbax, weights files do not: 0.5 s of CPU",
    },
    "siamjax.cli": {"argcomplete": "optional, and only for a shell that asks for completions"},
    "siamjax.devices": {"jax": "only where another device than the CPU is asked for; " + JAX},
    "siamjax.commands.convert": {"siamjax.integrations": JAX},
    "siamjax.commands.curve": {"siamjax.evaluation": JAX},
    "siamjax.commands.demo": {"siamjax.training.loop": JAX},
    "siamjax.commands.export": {
        "siamjax.tracking.export": JAX,
        "siamjax.integrations": "onnx: optional; " + JAX,
    },
    "siamjax.commands.finetune": {"siamjax.finetuning": JAX, "siamjax.finetuning.run": JAX},
    "siamjax.commands.inspect": {
        "siamjax.integrations": "verify: runs, weights and archives; " + JAX,
        "siamjax.models": JAX,
        "siamjax.training": "pairs_page: `inspect shards` needs no JAX; " + JAX,
    },
    "siamjax.commands.search": {"siamjax.evaluation": JAX},
    "siamjax.commands.study": {"siamjax.studies": JAX},
    "siamjax.commands.track": {"siamjax.commands": "track_run: OpenCV, PyAV, evaluation: 0.25 s"},
    "siamjax.commands.track_run": {"siamjax.tracking": JAX},
    "siamjax.commands.tracker_flags": {
        "siamjax.evaluation": "specs: --tracker=help alone asks OpenCV, 0.2 s of CPU with NumPy"
    },
    "siamjax.commands.serve": {"siamjax.integrations": "aiohttp is optional"},
    "siamjax.commands.train": {"siamjax.training": JAX},
    "siamjax.evaluation.report": {"siamjax.evaluation": "matplotlib takes 0.3 s, tables need none"},
    "siamjax.evaluation.trackers": {"siamjax.evaluation": "batched: scoring needs no JAX; " + JAX},
    "siamjax.media.labels.rle": {"pycocotools": "optional"},
    "siamjax.remote.places": {"fsspec": "optional; paths without a scheme do not need it"},
    "siamjax.models.torch_files": {"torch": "optional"},
}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in SOURCES}


def long_functions(source: str, most: int = FUNCTION) -> list[str]:
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, functions)]
    return [n.name for n in found if n.end_lineno - n.lineno + 1 > most]


def is_table(source: str) -> bool:
    """Whether a module holds names and numbers alone."""
    plain = ast.Expr | ast.Assign | ast.AnnAssign | ast.Import | ast.ImportFrom
    return all(isinstance(node, plain) for node in ast.parse(source).body)


def imported(node: ast.AST) -> set[str]:
    """What an import statement, or a string that is a module's name, refers to."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.module:
        names = {f"{node.module}.{alias.name}" for alias in node.names}
        modules = names & MODULES.keys()
        return modules if len(modules) == len(names) else modules | {node.module}
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return {node.value} & MODULES.keys() if "." in node.value else set()
    return set()


def references(source: str) -> set[str]:
    """Modules of ours that a source imports, at its top or not, or names in a table."""
    found = set().union(*(imported(node) for node in ast.walk(ast.parse(source))))
    return found & MODULES.keys()


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that reach each other (Tarjan's strongly connected components)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(name):
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in graph.get(name, ()):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            members = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(members) > 1 or name in graph.get(name, ()):
                found.append(sorted(members))

    for name in graph:
        if name not in index:
            visit(name)
    return found


def hidden_imports(source: str) -> list[str]:
    """Modules imported inside functions, one entry per statement."""
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    statements = {
        id(node): node
        for function in ast.walk(ast.parse(source))
        if isinstance(function, functions)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    return [
        node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in statements.values()
    ]


@pytest.mark.parametrize("name", MODULES)
def test_functions_and_modules_are_short(name):
    source = MODULES[name].read_text()
    assert long_functions(source) == []
    assert is_table(source) or len(source.splitlines()) <= MODULE


def test_no_import_circles():
    graph = {name: references(path.read_text()) - {name} for name, path in MODULES.items()}
    assert circles(graph) == []


def test_imports_inside_functions_are_few_and_explained():
    found = {name: hidden_imports(path.read_text()) for name, path in MODULES.items()}
    found = {name: imports for name, imports in found.items() if imports}
    assert {name: set(imports) for name, imports in found.items()} == {
        name: set(reasons) for name, reasons in REASONS.items()
    }
    assert sum(map(len, found.values())) <= HIDDEN
    assert all(len(why) >= 8 for reasons in REASONS.values() for why in reasons.values())


def test_each_fault_is_seen():
    assert long_functions("def f():\n" + "    x = 1\n" * 60) == ["f"]
    assert long_functions("def f():\n" + "    x = 1\n" * 59) == []
    assert is_table('"""Names."""\nA = 1\n')
    assert not is_table("def f(): ...\n")
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set(), "e": {"e"}}
    assert circles(graph) == [["a", "b", "c"], ["e"]]
    assert circles({"a": {"b"}, "b": set()}) == []
    inner = "import os\ndef f():\n    import json\n    from a import b\n"
    assert hidden_imports(inner) == ["json", "a"]
    assert references('X = "siamjax.errors"') == {"siamjax.errors"}
    assert references("from siamjax import errors") == {"siamjax.errors"}
    assert references("from siamjax.errors import UserError") == {"siamjax.errors"}
