"""Files from an address to a folder: in pieces, resumed where they stopped, checked, several at
once."""

import concurrent.futures
import contextlib
import hashlib
import os
import re
import threading
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from tqdm import tqdm

from siamjax.checksums import sha256
from siamjax.errors import UserError
from siamjax.files import Appending
from siamjax.remote.places import Place

PIECE = 8 << 20  # bytes asked for at once
_AT_ONCE = 8  # files
_TRIES = 2  # downloads of a file that turns out damaged


class Wanted(NamedTuple):
    """A file to fetch.

    Attributes:
        name: in the local folder.
        size: bytes; None: what the server says.
        sha256: in hexadecimal; None: it is not compared.
        check: given the downloaded file, says what is wrong with it; "" where nothing is.
        source: its name at the address; "" for what lies at the address itself; None: `name`.
    """

    name: str
    size: int | None = None
    sha256: str | None = None
    check: Callable[[Path], str] | None = None
    source: str | None = None


class Damaged(UserError):
    """A file is not what its list says."""


class _Stopped(Exception):
    """Another file of the same call failed."""


def fetch(place: Place, wanted: Iterable[Wanted], folder: Path) -> None:
    """Fetches files that the folder lacks.

    A file has its name there only when it is whole and checked; until then it is
    `.NAME.xxxxxxxx.partial`, from which the next call continues.

    Args:
        place: the folder at the address.
        wanted: its files.
        folder: the local one, made if missing; one process at a time may fetch to it.

    Raises:
        UserError: a file is missing, cannot be fetched, has another size than wanted, or is
            damaged; the disk is full.
    """
    left = []
    for each in wanted:
        check_name(place, each.name)
        if not (folder / each.name).exists():
            left.append(each)
    if not left:
        return
    total = sum(each.size or 0 for each in left) or None
    stop = threading.Event()
    bar = tqdm(total=total, desc=place.name, unit="B", unit_scale=True, mininterval=1.0)
    with bar, concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
        grow = _counted(bar, stop)
        futures = [pool.submit(_one, place, each, folder, grow) for each in left]
        try:
            for future in concurrent.futures.as_completed(futures):
                future.result()
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def check_name(place: Place, name: str) -> None:
    """Refuses a name in a foreign list that leads out of its folder.

    Raises:
        UserError: names it.
    """
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or "\0" in name:
        raise UserError(f"{place.shown}: names a file {name!r}, which is not in that folder")


def _counted(bar: tqdm, stop: threading.Event) -> Callable[[int], None]:
    lock = threading.Lock()

    def grow(count: int) -> None:
        if stop.is_set():
            raise _Stopped
        with lock:
            bar.update(count)

    return grow


def _one(place: Place, wanted: Wanted, folder: Path, grow: Callable[[int], None]) -> None:
    source = wanted.name if wanted.source is None else wanted.source
    info, shown = place.info(source), place.shown_file(source)
    if info.is_folder:
        raise UserError(f"{shown}: is a folder; name a file in it")
    if wanted.size is not None and info.size not in (None, wanted.size):
        raise Damaged(
            f"{shown}: {info.size} bytes, {wanted.size} in the list of its folder; copy the folder"
            " there again"
        )
    target = folder / wanted.name
    target.parent.mkdir(parents=True, exist_ok=True)
    mark = hashlib.sha256(info.mark.encode()).hexdigest()[:8]
    partial = target.with_name(f".{target.name}.{mark}.partial")
    _remove_others(partial, target.name)
    size = wanted.size if info.size is None else info.size
    wanted = wanted._replace(size=size)
    fault = ""
    for _ in range(_TRIES):
        _continue(place, source, partial, size, grow)
        fault = _fault(partial, wanted)
        if not fault:
            os.replace(partial, target)
            return
        grow(-partial.stat().st_size)
        partial.unlink()
    raise Damaged(f"{shown}: {fault}, downloaded {_TRIES} times; copy it there again")


def _continue(place, name, partial: Path, size: int | None, grow) -> None:
    """Brings the partial file to its size."""
    there = partial.stat().st_size if partial.exists() else 0
    if size is None or there > size:
        partial.unlink(missing_ok=True)
        there = 0
    grow(there)
    with contextlib.closing(Appending(partial)) as file:
        if size is None:
            for data in place.stream(name, PIECE):
                file.append(data)
                grow(len(data))
        while size is not None and there < size:
            data = place.piece(name, there, min(there + PIECE, size))
            if len(data) == size:  # also where the server gave all of it in place of a piece
                data = data[there:]
            if not data or there + len(data) > size:
                break  # the check says what is wrong
            file.append(data)
            grow(len(data))
            there += len(data)
        file.sync()


def _fault(path: Path, wanted: Wanted) -> str:
    found = path.stat().st_size
    if wanted.size not in (None, found):
        return f"{found} bytes came in place of {wanted.size}"
    if wanted.sha256 is not None and (digest := sha256(path)) != wanted.sha256:
        return f"its SHA-256 is {digest} in place of {wanted.sha256}"
    return wanted.check(path) if wanted.check is not None else ""


def _remove_others(partial: Path, name: str) -> None:
    """Beginnings of what lay at the address before."""
    old = re.compile(rf"\.{re.escape(name)}\.[0-9a-f]{{8}}\.partial")
    for path in partial.parent.iterdir():
        if old.fullmatch(path.name) and path != partial:
            path.unlink(missing_ok=True)
