"""Checksums of files, beside them in the form of `sha256sum`, and of JSON values, among them: a
later run sees what a disk has changed before it builds on it."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import google_crc32c

from siamjax.files import write_whole

_DIGITS = 64  # of a SHA-256 in hexadecimal


def write(path: Path, folder: Path, names: Iterable[str]) -> None:
    """Writes the checksums of files.

    Args:
        path: of the list.
        folder, names: of the files, which are there.

    Raises:
        UserError: the list cannot be written.
    """
    write_whole(path, "".join(f"{sha256(folder / name)}  {name}\n" for name in names))


def first_damaged(path: Path, folder: Path) -> Path | None:
    """The first file that is not as it was when the list was written; the list itself where it is
    damaged, or names a file that is not there. None: all are as they were.

    Args:
        path: of the list.
        folder: of the files.
    """
    try:
        *lines, end = path.read_bytes().decode().split("\n")
        for line in lines:
            if folder / line[_DIGITS + 2 :] == folder or line[_DIGITS : _DIGITS + 2] != "  ":
                return path
            if sha256(folder / line[_DIGITS + 2 :]) != line[:_DIGITS]:
                return folder / line[_DIGITS + 2 :]
    except (OSError, ValueError):
        return path
    return None if lines and not end else path


def sha256(path: Path) -> str:
    """A file's SHA-256 in hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def of_values(values) -> int:
    """CRC-32C of JSON values."""
    return google_crc32c.value(json.dumps(values, sort_keys=True).encode())


def unseal(place: dict, name: str, values) -> bool:
    """Removes the checksum of JSON values, of `of_values`, from where it was written; whether it
    fits. Files from before 0.3 have none, which fits.

    Args:
        place: has it under a name.
        values: all of them, `place` too where it is among them.
    """
    return place.pop(name, None) in (None, of_values(values))
