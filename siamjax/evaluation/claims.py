"""Whose results a folder holds: `results/<tracker>.json` beside `results/<tracker>/`, so that those
of two trackers are never mixed under one name."""

import json
import sys
from pathlib import Path
from typing import Any

from siamjax import checksums
from siamjax.errors import UserError
from siamjax.files import write_whole


class _Damaged(ValueError):
    """Not as `claim` wrote it."""


def claim(out: Path, name: str, identity: str, code: str = "", alone: bool = True) -> None:
    """Records whose results a folder holds; anew where there is no result.

    Args:
        out: of the evaluation.
        name: the tracker's.
        identity, code: as in `siamjax.evaluation.specs.Spec`.
        alone: False where another process may be about to write its first result there.

    Raises:
        UserError: it holds those of another tracker, or it is not known whose.
    """
    folder = out / "results" / name
    path = _beside(folder)
    made: dict[str, Any] = {"identity": identity, "code": code}
    before: dict[str, Any] = {}
    if path.is_file() and (not alone or any(map(Path.is_file, folder.rglob("*")))):
        try:
            before = _read(path)
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise UserError(
                f"{path}: cannot be read, so it is not known whose results {folder}"
                " holds; delete both, or choose another --out"
            ) from error
    held = before.get("identity", before.get("checkpoint", identity))
    if held != identity:
        raise UserError(
            f"{folder}: holds results of another checkpoint or tracker, says"
            f" {path.name}; choose another --out or name, or delete both"
        )
    codes = [before.get("code", code), *before.get("later", ())]
    if {*codes, code} != {code}:
        print(_changed(name, folder), file=sys.stderr)
    if code not in codes:
        made = {"identity": identity, "code": codes[0], "later": [*codes[1:], code]}
    elif before:
        return
    write_whole(path, json.dumps(made | {"crc32c": checksums.of_values(made)}) + "\n")


def notes(name: str, folder: Path) -> list[str]:
    """What a report has to say of the results in a folder: that the tracker's code has changed
    since the first of them. Empty where nothing beside the folder says so."""
    try:
        return [_changed(name, folder)] if "later" in _read(_beside(folder)) else []
    except (OSError, ValueError, TypeError, RecursionError):
        return []


def _changed(name: str, folder: Path) -> str:
    return (
        f"{name}: its code has changed since {folder} was begun; what is there"
        " is kept: delete it to run all again"
    )


def _beside(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.json")


def _read(path: Path) -> dict[str, Any]:
    """What `claim` wrote.

    Raises:
        OSError, ValueError, TypeError, RecursionError: it cannot be read, or is damaged.
    """
    content = dict(json.loads(path.read_text()))
    if not checksums.unseal(content, "crc32c", content):
        raise _Damaged("the checksum differs")
    if content.keys() - {"later"} not in ({"identity", "code"}, {"checkpoint"}):
        raise _Damaged("it says nothing that is known")
    return content
