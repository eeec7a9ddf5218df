"""The local copies of what lies at addresses: one entry for each content, bounded in size.

An entry is a folder: `content/` with the files, `about.json` (address, bytes), `complete.json` when
all of them are there (names and sizes), `.lock` while a process fills it, `.use`, which those that
use it hold.
"""

import hashlib
import json
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from siamjax import locks
from siamjax.errors import UserError, refused
from siamjax.files import write_whole
from siamjax.remote.fetch import Wanted, fetch
from siamjax.remote.places import Place

FOLDER, LIMIT = "SIAMJAX_REMOTE_CACHE", "SIAMJAX_REMOTE_CACHE_GB"
CONTENT = "content"
_ABOUT, _COMPLETE, _USE = "about.json", "complete.json", ".use"
_ASK = 0.5  # s between two looks at an entry that another process fills


def folder() -> Path:
    """Where the copies are kept: $SIAMJAX_REMOTE_CACHE, else `siamjax/remote` under the user's
    cache folder."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get(FOLDER) or home / "siamjax" / "remote").absolute()


def limit(cache: Path) -> int:
    """Bytes that the copies may take: $SIAMJAX_REMOTE_CACHE_GB, else half of the disk.

    Raises:
        UserError: the variable is no number above 0.
    """
    text = os.environ.get(LIMIT)
    if not text:
        return shutil.disk_usage(cache).total // 2
    try:
        most = float(text)
    except ValueError:
        most = 0.0
    if not 0 < most < float("inf"):
        raise UserError(f"{LIMIT}={text}: give gigabytes, a number above 0")
    return int(most * 1e9)


def fetched(place: Place, version: str, wanted: Callable[[], Sequence[Wanted]]) -> Path:
    """The local copy of a place's files, fetched if need be.

    Of the processes that share the cache one fetches; the others wait for it. What a killed one has
    fetched stays, and the next continues. The copy is not removed while this process lives.

    Args:
        place: the folder at the address.
        version: another one for another content.
        wanted: gives the list of the files; asked for only where they are not all there.

    Returns:
        The folder with the files.

    Raises:
        UserError: as `siamjax.remote.fetch.fetch`; there is not enough room.
    """
    cache = folder()
    stem = re.sub(r"[^\w.-]+", "_", place.name)[:40].strip(".") or "files"
    key = hashlib.sha256(f"{place.digest or place.address}\n{version}".encode()).hexdigest()[:16]
    entry = cache / f"{stem}-{key}"
    try:
        entry.mkdir(parents=True, exist_ok=True)
        while not locks.share(entry / _USE):  # it is being removed
            time.sleep(_ASK / 10)
            entry.mkdir(parents=True, exist_ok=True)
        if not _is_complete(entry):
            with _owned(entry, place.shown):
                if not _is_complete(entry):
                    _fill(entry, place, wanted())
    except OSError as error:
        raise refused(cache, error, FOLDER) from error
    return entry / CONTENT


def _fill(entry: Path, place: Place, wanted: Sequence[Wanted]) -> None:
    content = entry / CONTENT
    known = {each.name: each.size for each in wanted}
    there = {name: path.stat().st_size for name, path in _files(content).items()}
    for name, size in there.items():
        if known.get(name, -1) not in (size, None):
            (content / name).unlink()  # cut, or not of the set, since it was fetched
    needed = sum(size or 0 for size in known.values())
    left = needed - sum(size for name, size in there.items() if name in known)
    write_whole(entry / _ABOUT, json.dumps({"address": place.shown, "bytes": needed}))
    _make_room(entry, needed, left)
    fetch(place, wanted, content)
    sizes = {name: (content / name).stat().st_size for name in known}
    about = {"address": place.shown, "bytes": sum(sizes.values())}
    write_whole(entry / _ABOUT, json.dumps(about))
    write_whole(entry / _COMPLETE, json.dumps(sizes))


def _is_complete(entry: Path) -> bool:
    """Whether all files are there with their sizes."""
    try:
        sizes = json.loads((entry / _COMPLETE).read_text())
        return all((entry / CONTENT / n).stat().st_size == size for n, size in sizes.items())
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return False


def _make_room(entry: Path, needed: int, left: int) -> None:
    """Removes the copies that were used longest ago until an entry fits.

    Args:
        entry: what is to be filled.
        needed: bytes of all of it.
        left: bytes of it that are not there yet.

    Raises:
        UserError: it does not fit.
    """
    cache = entry.parent
    most = limit(cache)
    for going in cache.glob(".*.removed"):  # its process was killed
        shutil.rmtree(going, ignore_errors=True)
    others = [path for path in cache.iterdir() if (path / _USE).exists() and path != entry]
    sizes = {path: _size(path) for path in others}
    for path in sorted(others, key=_used):
        total = sum(sizes.values()) + needed
        if total <= most and left <= shutil.disk_usage(cache).free:
            return
        if _removed(path):
            del sizes[path]
    total, free = sum(sizes.values()) + needed, shutil.disk_usage(cache).free
    if total > most or left > free:
        gb = "{:.3g} GB".format
        raise UserError(
            f"{entry.parent}: no room for {gb(needed / 1e9)}: {gb(free / 1e9)} are free,"
            f" {gb((total - needed) / 1e9)} in use, {gb(most / 1e9)} allowed; raise {LIMIT} or"
            f" choose another {FOLDER}"
        )


def _size(entry: Path) -> int:
    """Bytes that an entry takes, or will take when it is complete."""
    try:
        return int(json.loads((entry / _ABOUT).read_text())["bytes"])
    except (OSError, ValueError, ArithmeticError, KeyError, TypeError, RecursionError):
        return sum(path.stat().st_size for path in _files(entry).values())


def _used(entry: Path) -> float:
    try:
        return (entry / _USE).stat().st_mtime
    except OSError:
        return 0.0


def _removed(entry: Path) -> bool:
    """Removes an entry unless a process uses it."""
    with locks.alone(entry / _USE) as unused:
        if unused:
            going = entry.with_name(f".{secrets.token_hex(4)}.removed")
            entry.rename(going)
            shutil.rmtree(going, ignore_errors=True)
    return unused


def _files(content: Path) -> dict[str, Path]:
    """Finished files by name."""
    found = [path for path in content.rglob("*") if path.is_file() and path.suffix != ".partial"]
    return {path.relative_to(content).as_posix(): path for path in found}


def _owned(entry: Path, shown: str) -> locks.Lock:
    """The lock of an entry; waits for the process that has it."""
    told = False
    while True:
        try:
            return locks.Lock(entry)
        except locks.Busy as busy:
            if not told:
                print(f"{shown}: is being fetched; waits ({busy})", file=sys.stderr)
        told = True
        time.sleep(_ASK)
