"""JSON files of labels: read whole, and known by what stands at their top."""

import contextlib
import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from siamjax.errors import UserError

# what a file that is built in another way than its format makes readers raise
_WRONG = (
    *(AttributeError, LookupError, ArithmeticError, TypeError, ValueError, RecursionError),
    OSError,  # a name in it that no file can have
)


@contextlib.contextmanager
def built_as(path: Path, form: str, fix: str = "export it again") -> Iterator[None]:
    """A block that reads a file's content.

    Raises:
        UserError: the content is built in another way than the form.
    """
    try:
        yield
    except _WRONG as error:
        raise UserError(f"{path}: not {form} ({_said(error)}); {fix}") from None


@contextlib.contextmanager
def part(what: str) -> Iterator[None]:
    """A block that reads a part of a file, which the line of `built_as` then names.

    Raises:
        ValueError: the part is built in another way.
    """
    try:
        yield
    except _WRONG as error:
        raise ValueError(f"{what}: {_said(error)}") from None


def _said(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error.args[0]} is missing"
    return str(error) if isinstance(error, ValueError) else repr(error)


def load(path: Path) -> Any:
    """The content of a JSON file, which is not to be changed: the last one is kept, as several
    formats look at a file.

    Raises:
        UserError: not there, or not JSON.
    """
    try:
        state = path.stat()
        return _parsed(path, state.st_mtime_ns, state.st_size)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); restore it") from None
    except (ValueError, RecursionError) as error:
        fault = str(error) if len(str(error)) < 100 else type(error).__name__
        raise UserError(f"{path}: not a JSON file ({fault}); export it again") from None


@functools.lru_cache(maxsize=1)
def _parsed(path: Path, changed: int, size: int) -> Any:
    return json.loads(path.read_bytes())


def forget() -> None:
    """Frees the file that is kept."""
    _parsed.cache_clear()


def head_of(path: Path) -> dict:
    """The object at the top of a .json file, or the first of a list there; {} for anything else."""
    if path.suffix.lower() != ".json" or not path.is_file():
        return {}
    try:
        content = load(path)
    except UserError:
        return {}
    if isinstance(content, list) and content:
        content = content[0]
    return content if isinstance(content, dict) else {}
