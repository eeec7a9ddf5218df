"""Output files that are there whole or not at all, and JSON files that siamjax wrote."""

import contextlib
import itertools
import json
import os
import re
import secrets
import shutil
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from siamjax.errors import UserError, refused

Content = str | bytes | Callable[[IO[bytes]], object]


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary path in the same folder, of the same suffix, that is renamed to `path` at the
    end of the block; a file, or a folder where `path` is none yet.

    The folder above it is made. A file's content is on the disk before the rename. After an
    exception nothing is left; a block that wrote nothing leaves `path` as it was.

    Raises:
        UserError: the file cannot be written; says why, in the operating system's words.
    """
    path = Path(path)
    # machines that share a folder may have equal process numbers
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.partial{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if temporary.exists():
            _sync(temporary)
            os.replace(temporary, path)
    except OSError as error:
        if error.filename is not None and not _ours(error.filename, path):
            raise  # something else that the block opened
        raise refused(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)  # where it is a folder
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_whole(path: str | os.PathLike, content: Content) -> Path:
    """Writes a file by `replacing`.

    Args:
        content: text (UTF-8), bytes, or a function that writes to the open binary file.

    Returns:
        `path`.

    Raises:
        UserError: the file cannot be written.
    """
    with replacing(path) as temporary, temporary.open("wb") as file:
        if callable(content):
            content(file)
        else:
            file.write(content.encode() if isinstance(content, str) else content)
    return Path(path)


def read_json(path: str | os.PathLike, what: str) -> dict[str, Any]:
    """The object in a JSON file that siamjax wrote.

    Args:
        what: it is, for the message.

    Raises:
        UserError: it cannot be read, or is none.
    """
    try:
        content = json.loads(Path(path).read_bytes())
    except (OSError, ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise UserError(f"{path}: not {what}; remove it")
    return content


class Appending:
    """A file that grows by whole pieces: after an error the piece is not there."""

    def __init__(self, path: str | os.PathLike):
        """Opens the file, which is made if missing, with its folder.

        Raises:
            UserError: it cannot be written.
        """
        self._path = Path(path)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("ab", buffering=0)
        except OSError as error:
            raise refused(path, error) from error

    def append(self, piece: bytes) -> None:
        """Writes a piece behind the others.

        Raises:
            UserError: no space left, or another refusal of the operating system.
        """
        end = self._file.tell()
        try:
            left = memoryview(piece)
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(end)
            raise refused(self._path, error) from error

    def sync(self) -> None:
        """Returns when all pieces are on the disk.

        Raises:
            UserError: they could not be written.
        """
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise refused(self._path, error) from error

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def folder_name(path: str | os.PathLike[str]) -> str:
    """The last part of a path: of "." the folder's name, of a link the link's."""
    return os.path.basename(os.path.abspath(path))


def check_writable(path: str | os.PathLike) -> None:
    """Tries the place of an output file; makes nothing.

    Raises:
        UserError: the file could not be written there.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name a file in it")
    if path.exists() and not path.is_file():  # it would be replaced by a file
        raise UserError(f"{path}: is a device or a pipe; name a file")
    made = missing(path.parent)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        in_folder = os.access(path.parent, os.W_OK | os.X_OK)
        sealed = os.statvfs(path.parent).f_flag & os.ST_RDONLY
    except OSError as error:
        raise UserError(f"{path.parent}: cannot make this folder ({error.strerror})") from error
    finally:
        remove_empty(made)
    if not in_folder or (path.exists() and not os.access(path, os.W_OK)):
        why = "on a read-only file system" if sealed else "not writable"
        raise UserError(f"{path}: {why}; choose another place for the output")


def missing(folder: Path) -> list[Path]:
    """A folder and those above it that are not there, the innermost first."""
    return [each for each in (folder, *folder.parents) if not os.path.lexists(each)]


def remove_empty(folders: Iterable[Path]) -> None:
    """Removes folders that are there and empty, in this order."""
    for each in folders:
        with contextlib.suppress(OSError):
            each.rmdir()


def check_new(out: str | os.PathLike) -> None:
    """Refuses an output folder that exists.

    Raises:
        UserError: it does.
    """
    if Path(out).exists():
        raise UserError(f"{out}: exists already; remove it or choose another --out")


def remove_partial(path: str | os.PathLike) -> None:
    """Removes what processes that were killed while they wrote an output left of it.

    Only for the one process that may write this output.
    """
    path = Path(path)
    _remove(path.parent, re.escape(path.stem), re.escape(path.suffix))


def partial(path: str | os.PathLike) -> list[Path]:
    """What `remove_partial` would remove."""
    path = Path(path)
    return _left(path.parent, re.escape(path.stem), re.escape(path.suffix))


def remove_partials(*folders: str | os.PathLike) -> None:
    """Removes what processes that were killed while they wrote any output in folders left of it.

    Only for the one process that may write there.
    """
    for folder in filter(Path.is_dir, map(Path, folders)):
        _remove(folder, ".+", r"(\..+)?")


def check_apart(outputs: Mapping[str, str], inputs: Mapping[str, str | os.PathLike]) -> None:
    """Refuses an output that is an input or another output, however their names are written.

    Args:
        outputs: paths by what messages call them, "--csv".
        inputs: paths by what messages call them, "the video"; those that are no files are left
            alone.

    Raises:
        UserError: names the two.
    """
    for (flag, path), (name, other) in itertools.product(outputs.items(), inputs.items()):
        if _is_one_file(path, other):
            raise UserError(f"{flag}={path}: is {name}; choose another place for the output")
    for (flag, path), (other_flag, other) in itertools.combinations(outputs.items(), 2):
        if _is_one_file(path, other) or _plain(path) == _plain(other):
            raise UserError(
                f"{flag}={path} and {other_flag}={other} are one file; choose another place for one"
            )


def _is_one_file(path, other) -> bool:
    """Whether both are there and are the same file, through links too."""
    try:
        return os.path.samefile(path, other) and not os.path.isdir(path)
    except OSError:
        return False


def _plain(path) -> str:
    """One spelling of a name: some file systems take case and composition of letters for equal."""
    return unicodedata.normalize("NFC", os.path.realpath(path)).casefold()


def _left(folder: Path, stem: str, suffix: str) -> list[Path]:
    """What `replacing` left in a folder of outputs whose stems and suffixes match."""
    left = re.compile(rf"\.{stem}\.[0-9a-f]{{8}}\.partial{suffix}")
    return [path for path in folder.iterdir() if left.fullmatch(path.name)]


def _remove(folder: Path, stem: str, suffix: str) -> None:
    for path in _left(folder, stem, suffix):
        with contextlib.suppress(OSError):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _ours(filename, path: Path) -> bool:
    """Whether an error is about the output: the file, its temporary twin or a folder above it."""
    failed, path = (Path(os.path.abspath(os.fsdecode(name))) for name in (filename, path))
    return failed in path.parents or (failed.parent == path.parent and path.stem in failed.name)
