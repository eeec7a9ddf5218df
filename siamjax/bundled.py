"""Makes `configs` and `data_prep` importable: importing this module puts their folder on the path.

In a clone they lie beside the package, in a wheel inside it, in `_bundled`.
"""

import importlib
import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_INSIDE = _PACKAGE / "_bundled"
FOLDER = _INSIDE if _INSIDE.is_dir() else _PACKAGE.parent

if str(FOLDER) not in sys.path:
    sys.path.append(str(FOLDER))


def experiments() -> dict[str, Path]:
    """The bundled experiment files by name."""
    files = sorted((FOLDER / "configs").glob("[!_]*.py"))
    return {path.stem: path for path in files}


def call(module: str, function: str, *arguments):
    """Calls a function of a bundled module by its name.

    Another process can unpickle a partial of this one without `data_prep` on its path.
    """
    return getattr(importlib.import_module(module), function)(*arguments)


def preparation(folder: Path) -> str:
    """The command that writes a data set into a folder, in words: of the training set that the
    folder is called after, of the demo for its `shards`."""
    if folder.name == "shards":
        return f"siamjax demo --out={folder.parent} writes it, and trains with it"
    runs = '__name__ == "__main__"'  # in the modules of data_prep that are training sets
    module = FOLDER / "data_prep" / f"{folder.name}.py"
    name = folder.name if module.is_file() and runs in module.read_text() else "NAME"
    source = "" if name == "synthetic" else "--source=DIR "
    return f"write it with python -m data_prep {name} {source}--out={folder}"
