"""How siamjax was installed, and by which command more is installed into the same place."""

import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]


def extra(name: str) -> str:
    """The command that installs an extra, a name of `project.optional-dependencies`: of the clone
    where siamjax is one, else of the wheel; by uv in an environment that uv made."""
    source = "siamjax"
    if (_ROOT / "pyproject.toml").is_file():
        source = "." if Path.cwd() == _ROOT else str(_ROOT)
    editable = "" if source == "siamjax" else "-e "
    return f"{_pip()} install {editable}'{source}[{name}]'"


def package(name: str) -> str:
    """The command that installs a package which no extra names, beside siamjax."""
    return f"{_pip()} install {name}"


def _pip() -> str:
    made = Path(sys.prefix) / "pyvenv.cfg"
    lines = made.read_text().splitlines() if made.is_file() else []
    return "uv pip" if any(line.startswith("uv =") for line in lines) else "pip"


def environment(script: str = "") -> str:
    """What to do where a package that siamjax always needs is not there, in words.

    Args:
        script: the file of a clone that was run by a Python without siamjax's packages; empty: the
            command itself.
    """
    if (_ROOT / "pyproject.toml").is_file():
        run = f".venv/bin/python {script}" if script else ".venv/bin/siamjax"
        return f"in {_ROOT}: make env, then {run}"
    return f"{_pip()} install siamjax"
