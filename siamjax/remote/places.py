"""What lies at an address: one class around fsspec, whose errors are one line without secrets."""

import contextlib
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar
from urllib.parse import urlsplit, urlunsplit

from siamjax import installation
from siamjax.errors import UserError, importing

_ADDRESS = re.compile(r"[A-Za-z][\w+.-]*(::[\w+.-]+)*://")
_DIGEST = re.compile(r"(.*)#sha256=([0-9a-f]{64})", re.IGNORECASE | re.DOTALL)
_READ_ONLY = ("http", "https")
# Where a folder is the beginning of names: none is made, a bucket least of all.
_OBJECTS = ("s3", "s3a", "gs", "gcs", "hf", "az", "abfs", "adl", "oss", *_READ_ONLY)
# What tells one content of a file from another, as far as the kinds of stores have it.
_MARKS = (
    *("ETag", "etag", "Last-Modified", "LastModified", "mtime", "md5Hash", "generation"),
    *("blob_id", "created"),
)
_NOT_THERE = (FileNotFoundError, NotADirectoryError)
_LOUD = ("gcsfs", "s3fs", "fsspec", "aiobotocore", "botocore", "huggingface_hub")
_PAUSES = (0.5, 2.0)  # s before a piece is asked for again
_CREDENTIALS = {
    "s3": "AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, or gcloud auth application-default login",
    "hf": "HF_TOKEN, or hf auth login",
    "http": "user and password in ~/.netrc",
}
_SAME_CREDENTIALS = {"s3a": "s3", "gcs": "gs", "https": "http"}
Result = TypeVar("Result")


class Missing(UserError):
    """Nothing lies at an address."""


class Info(NamedTuple):
    """About a file.

    Attributes:
        size: bytes; None: the server does not say.
        mark: another one where the content is another; the same for all where the store has none.
        is_folder: it is a folder.
    """

    size: int | None
    mark: str
    is_folder: bool = False


def is_address(path: str | os.PathLike) -> bool:
    """Whether a path names something by a scheme, `s3://...`; other paths are local."""
    return isinstance(path, str) and _ADDRESS.match(path) is not None


def without_secrets(text: str) -> str:
    """A text without users, passwords and queries of the addresses in it."""
    text = re.sub(r"(\w://)[^\s/@'\"]*@", r"\1", text)
    return re.sub(r"\?[^\s'\"<>)]*", "", text) if "://" in text else text


class Place:
    """A file, or a folder of files, at an address.

    Attributes:
        shown: the address for messages.
        digest: the SHA-256 that the address demands, in hexadecimal; None: none.
    """

    def __init__(self, text: str):
        """Nothing is asked for yet.

        Args:
            text: an address, with or without `#sha256=DIGEST` at its end.

        Raises:
            UserError: no such scheme, a package that is missing, a digest of another form.
        """
        pinned = _DIGEST.fullmatch(text)
        self.address, self.digest = (pinned[1], pinned[2].lower()) if pinned else (text, None)
        self.shown = without_secrets(self.address.partition("#sha256")[0])
        if "#sha256" in self.address:
            raise UserError(f"{self.shown}: give #sha256= with 64 hexadecimal digits")
        self.scheme = self.address.partition(":")[0].lower()
        options = {"client_kwargs": {"trust_env": True}} if self.read_only else {}
        with importing(f"addresses need it: {installation.extra('remote')}"):
            import fsspec
        _quiet(*_LOUD)
        with self._explained(self.shown):
            self._fs, self._path = fsspec.core.url_to_fs(self.address, **options)

    @property
    def name(self) -> str:
        """The last part of the address."""
        return urlsplit(self.shown).path.rstrip("/").rpartition("/")[2] or "files"

    @property
    def read_only(self) -> bool:
        """Whether nothing can be written there."""
        return self.scheme in _READ_ONLY

    def info(self, name: str = "") -> Info:
        """About a file of the folder, or what lies at the address itself.

        Raises:
            UserError: `Missing`, or it cannot be asked for.
        """
        found = self._call(name, lambda path: self._fresh().info(path))
        return _info(found)

    def files(self) -> dict[str, Info]:
        """All files of the folder, by their names in it.

        Raises:
            UserError: it cannot be listed.
        """
        found = self._call("", lambda path: self._fresh().find(path, detail=True))
        base = self._path.rstrip("/") + "/"
        return {name.removeprefix(base): _info(info) for name, info in found.items()}

    def read(self, name: str = "") -> bytes:
        """A small file.

        Raises:
            UserError: `Missing`, or it cannot be read.
        """
        return self._call(name, lambda path: self._fresh().cat_file(path))

    def piece(self, name: str, begin: int, end: int) -> bytes:
        """Bytes of a file; asked for again when that fails. All of it where a server ignores what
        it was asked for.

        Raises:
            UserError: it cannot be read.
        """
        for pause in (*_PAUSES, None):
            try:
                return self._call(name, lambda path: self._fs.cat_file(path, start=begin, end=end))
            except UserError as error:
                if pause is None or isinstance(error, Missing):
                    raise
            time.sleep(pause)
        raise AssertionError

    def stream(self, name: str, size: int) -> Iterator[bytes]:
        """A file of unknown length, in pieces of at most `size` bytes.

        Raises:
            UserError: it cannot be read.
        """
        file: IO[bytes] = self._call(name, lambda path: self._fs.open(path, "rb", block_size=0))
        with file:
            while data := self._call(name, lambda _: file.read(size)):
                yield data

    def write(self, name: str, content: bytes) -> None:
        """Puts a small file there.

        Raises:
            UserError: it cannot be written.
        """
        self._put(name, lambda path: self._fs.pipe_file(path, content))

    def put(self, local: Path, name: str) -> None:
        """Copies a file there.

        Raises:
            UserError: it cannot be read or written.
        """
        self._put(name, lambda path: self._fs.put_file(str(local), path))

    def remove(self, names: Sequence[str]) -> None:
        """Removes files of the folder.

        Raises:
            UserError: they cannot be removed.
        """
        for name in names:
            with contextlib.suppress(Missing):
                self._call(name, self._fs.rm_file)

    def shown_file(self, name: str) -> str:
        """A file of the folder, for messages."""
        return without_secrets(self._at(name, self.address)) if name else self.shown

    def _put(self, name: str, write: Callable[[str], Any]) -> None:
        def with_folder(path):
            try:
                write(path)
            except FileNotFoundError:
                if self.scheme in _OBJECTS:
                    raise
                self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
                write(path)

        self._call(name, with_folder)

    def _call(self, name: str, act: Callable[[str], Result]) -> Result:
        with self._explained(self.shown_file(name)):
            return act(self._at(name, self._path))

    def _at(self, name: str, base: str) -> str:
        if not name:
            return base
        if self.read_only:  # the name goes before the query
            parts = urlsplit(base)
            return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{name}"))
        return f"{base.rstrip('/')}/{name}"

    def _fresh(self):
        """The file system, which forgets what it was told about files."""
        self._fs.invalidate_cache()
        return self._fs

    @contextlib.contextmanager
    def _explained(self, shown: str) -> Iterator[None]:
        """Each kind of store raises errors of its own: they become a line."""
        try:
            yield
        except UserError:
            raise
        except ImportError as error:
            fix = installation.extra("remote")
            raise UserError(f"{shown}: {_line(error)}; {fix}") from error
        except Exception as error:
            # over HTTP any failure is "not found" first, because of another
            hidden = self.read_only and isinstance(error, FileNotFoundError) and error.__cause__
            cause = hidden if isinstance(hidden, Exception) else error
            if isinstance(cause, _NOT_THERE) or _status(cause) in (404, 410):
                raise Missing(f"{shown}: nothing there; look after the address") from error
            raise UserError(f"{shown}: {self._reason(cause)}") from error

    def _reason(self, error: Exception) -> str:
        if isinstance(error, ValueError) and "rotocol not known" in str(error):
            return f"no addresses with {self.scheme}:// are known; look after the address"
        needs = _CREDENTIALS.get(_SAME_CREDENTIALS.get(self.scheme, self.scheme))
        fix = "look after the network" + (f" and the credentials ({needs})" if needs else "")
        refused = isinstance(error, PermissionError) or _status(error) in (401, 403)
        return f"{'access refused' if refused else 'failed'} ({_line(error)}); {fix}"


def _quiet(*packages: str) -> None:
    """The line says it all: what packages log of their failures is left out, unless their loggers
    were set."""
    for name in packages:
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.CRITICAL)


def _info(found: dict[str, Any]) -> Info:
    marks = [f"{key}={found[key]}" for key in _MARKS if found.get(key) is not None]
    size = found.get("size")
    return Info(size, f"{size} {' '.join(marks)}", found.get("type") == "directory")


def _status(error: Exception) -> int:
    """The status that a server answered; 0: none."""
    answer = getattr(error, "response", error)
    if isinstance(answer, dict):  # of S3
        answer = answer.get("ResponseMetadata", {})
        return int(answer.get("HTTPStatusCode", 0))
    status = getattr(error, "status", None) or getattr(answer, "status_code", None)
    return status if isinstance(status, int) else 0


def _line(error: Exception) -> str:
    """What an exception says, as one line without secrets."""
    text = without_secrets(" ".join(str(error).split()))[:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
