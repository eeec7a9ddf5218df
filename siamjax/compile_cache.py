"""Compiled programs kept on disk, so that the next start takes seconds less.

JAX's own cache saves the compilation. `Kept` functions save the tracing before it, too: their
programs are found by what they are made from. The folder is trusted: what lies there is run.
"""

import contextlib
import functools
import hashlib
import importlib.metadata
import itertools
import json
import logging
import os
import pickle
import platform
import sys
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
from jax.experimental import serialize_executable
from jax.experimental.compilation_cache import compilation_cache

from siamjax.errors import UserError
from siamjax.files import write_whole

_log = logging.getLogger(__name__)
_spent: dict[str, float] = {}  # s so far, by what is compiled
_said: set[str] = set()  # what was announced: once in a process
_LONG = 2.0  # s; what takes longer to compile, all its programs together, is announced
_SUFFIX = ".kept"
_MOST = 128  # files of ours in the folder; the ones that were not used for longest go
_PACKAGES = ("jax", "jaxlib", "flax", "numpy")  # whose versions a program depends on


def enable() -> Path | None:
    """Turns on JAX's persistent compilation cache, unless it was set up already.

    The folder is $SIAMJAX_CACHE, else `siamjax/<host name>` under the user's cache folder: programs
    for the CPU are made for one kind of CPU, so machines that share a home do not share them.
    SIAMJAX_CACHE=off leaves the cache off.

    Returns:
        The folder in use; None where there is none.
    """
    present = jax.config.values["jax_compilation_cache_dir"]
    wanted = os.environ.get("SIAMJAX_CACHE")
    if present or wanted == "off":
        return Path(present) if present else None
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(wanted) if wanted else home / "siamjax" / platform.node()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:  # a read-only home: track without
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    compilation_cache.reset_cache()  # it may have been found off by an earlier compilation
    return folder


class Kept:
    """A pure function, compiled once for each kind of arguments as by `jax.jit`, and kept on disk.

    In the folder of `enable` a program is found by all that it is made from: the static arguments,
    shapes and types of the others, the source, versions, JAX's settings, the device, and the
    processor's abilities. A file that is damaged is made again. Without a folder nothing is kept.

    Args:
        function: of static arguments first, whose `repr` says all that they are, then of pytrees of
            arrays.
        static: how many arguments are static.
        rooms: folders of the package, whose source the program depends on.
        shown: what it is called in the line that announces a long compilation.
    """

    def __init__(self, function: Callable, static: int, rooms: Sequence[str], shown: str):
        self._function, self._static = function, static
        self._rooms, self._shown = tuple(rooms), shown
        self._lock = threading.Lock()
        self.programs: dict[Hashable, jax.stages.Compiled] = {}

    def __call__(self, *arguments) -> Any:
        """The function's value."""
        return self.program(*arguments)(*arguments[self._static :])

    def program(self, *arguments) -> jax.stages.Compiled:
        """The compiled program for arguments like these; it takes those that are not static."""
        static, arrays = arguments[: self._static], arguments[self._static :]
        leaves, tree = jax.tree.flatten(arrays)
        kinds = tuple((leaf.shape, leaf.dtype.str) for leaf in leaves)
        device = _device(leaves)
        place = _place(device)
        key = (static, tree, kinds, place)
        with self._lock:
            if key not in self.programs:
                name = self._function.__name__.strip("_")
                parts = [repr(part) for part in (static, tree, kinds, place)]
                path = _path(name, self._rooms, parts)
                self.programs[key] = _loaded(path, device) or self._compiled(
                    arguments, path, device
                )
            return self.programs[key]

    def _compiled(self, arguments, path: Path | None, device: jax.Device) -> jax.stages.Compiled:
        static = tuple(range(self._static))
        with announced(self._shown):
            lowered = jax.jit(self._function, static_argnums=static).lower(*arguments)
            with _anew():
                program = lowered.compile()
        if path is None:
            return program
        # What cannot be kept, or does not run when it is loaded, is compiled at every start.
        with contextlib.suppress(Exception):
            content = pickle.dumps(serialize_executable.serialize(program))
            jax.block_until_ready(_program(content, device)(*arguments[self._static :]))
            _write(path, content)
        return program


def _program(content: bytes, device: jax.Device) -> jax.stages.Compiled:
    """The program that was kept."""
    return serialize_executable.deserialize_and_load(
        *pickle.loads(content), backend=device.client, execution_devices=[device]
    )


def kept_json(name: str, rooms: Sequence[str], parts: Sequence[str], make: Callable[[], Any]):
    """What `make` gives, a value as JSON has them, kept as `Kept` keeps programs.

    Args:
        name: of the kind of value.
        rooms: as there.
        parts: what the value depends on besides the source and the versions.
    """
    path = _path(name, rooms, parts)
    content = _read(path)
    if content is not None:
        with contextlib.suppress(ValueError):
            return json.loads(content)
    value = make()
    if path is not None:
        _write(path, json.dumps(value).encode())
    return value


@contextlib.contextmanager
def _anew() -> Iterator[None]:
    """A block that compiles without JAX's own cache: of a program that comes from there, what is
    kept lacks functions, which only a call of it says."""
    name, before = "jax_enable_compilation_cache", jax.config.values["jax_enable_compilation_cache"]
    jax.config.update(name, False)
    compilation_cache.reset_cache()  # JAX asks its setting once
    try:
        yield
    finally:
        jax.config.update(name, before)
        compilation_cache.reset_cache()


@contextlib.contextmanager
def announced(what: str, maybe_kept: bool = False) -> Iterator[None]:
    """Logs that something is compiled, when that takes seconds: this block and those before it.

    Args:
        what: is compiled.
        maybe_kept: whether it may come from the folder: JAX looks there after the tracing.
    """
    folder = jax.config.values["jax_compilation_cache_dir"]
    doing = "loading or compiling" if folder and maybe_kept else "compiling"
    kept = f"kept in {folder} for the next start" if folder else "SIAMJAX_CACHE=off: not kept"
    began, done = time.monotonic() - _spent.get(what, 0.0), threading.Event()

    def watch():
        while not done.wait(0.1):
            if time.monotonic() - began >= _LONG and what not in _said:
                _said.add(what)
                _log.warning("%s %s ... (%s)", doing, what, kept)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        done.set()
        _spent[what] = time.monotonic() - began


class Announcing:
    """A jitted function whose first call, which compiles it, is `announced`.

    Args:
        program: of `jax.jit` or `jax.pmap`.
        what: is compiled.
    """

    def __init__(self, program: Callable, what: str):
        self._program, self._what, self._called = program, what, False

    def __call__(self, *arguments) -> Any:
        """The program's value."""
        if self._called:
            return self._program(*arguments)
        with announced(self._what, maybe_kept=True):
            value = self._program(*arguments)
        self._called = True
        return value

    def lower(self, *arguments) -> Any:
        """As of the program."""
        return self._program.lower(*arguments)


def _path(name: str, rooms: tuple[str, ...], parts: Sequence[str]) -> Path | None:
    """Where something is kept that depends on these parts; None: nothing is kept."""
    folder = Path(jax.config.values["jax_compilation_cache_dir"] or "")
    if folder == Path() or not folder.is_dir():
        return None
    digest = hashlib.sha256(repr([_versions(), _source(tuple(rooms)), *parts]).encode())
    return folder / f"siamjax_{name}-{digest.hexdigest()}{_SUFFIX}"


def _place(device: jax.Device) -> tuple:
    """What a program depends on besides its function: device, processor, settings.

    Settings are read as they hold here, as `with jax.numpy_dtype_promotion("strict")` sets them.
    """
    values = jax.config.values
    # where something is kept changes no program
    names = [name for name in sorted(values) if "cache" not in name]
    settings = tuple(repr(getattr(jax.config, name, values[name])) for name in names)
    flags = tuple(sorted(v for v in os.environ.items() if v[0].startswith(("XLA_", "LIBTPU_"))))
    client = device.client
    about = (device.platform, device.device_kind, client.platform_version, device.id)
    return about, client.device_count(), _processor(), _cores(), flags, settings


def _device(leaves: Sequence[Any]) -> jax.Device:
    """Where a program for these arguments runs: where they were put, else on the default device."""
    for leaf in leaves:
        if isinstance(leaf, jax.Array) and leaf.committed:
            return next(iter(leaf.devices()))
    device = jax.config.jax_default_device or jax.local_devices()[0]
    return jax.local_devices(backend=device)[0] if isinstance(device, str) else device


def _cores() -> int:
    """How many may be used: programs for the CPU are cut into as many parts."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.cache
def _processor() -> str:
    """What the processor is and can do."""
    lines = []
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        first = itertools.takewhile(str.strip, file)  # of the processors
        lines = [line for line in first if line.startswith(("model name", "flags", "Features"))]
    return " ".join([platform.machine(), platform.processor(), *map(str.strip, lines)])


@functools.cache
def _versions() -> tuple:
    return sys.version_info[:2], *((name, importlib.metadata.version(name)) for name in _PACKAGES)


@functools.cache
def _source(rooms: tuple[str, ...]) -> str:
    """A digest of the source that programs are made from."""
    root, digest = Path(__file__).parent, hashlib.sha256(Path(__file__).read_bytes())
    for path in sorted(path for room in rooms for path in (root / room).rglob("*.py")):
        digest.update(f"{path.relative_to(root)}".encode() + path.read_bytes())
    return digest.hexdigest()


def _loaded(path: Path | None, device: jax.Device) -> jax.stages.Compiled | None:
    """The program that is kept there; None where there is none that can be used."""
    content = _read(path)
    if content is None:
        return None
    try:
        return _program(content, device)
    except Exception:  # whatever another program than ours left there: it is made again
        return None


def _read(path: Path | None) -> bytes | None:
    """What `_write` wrote; None where that is not there, or damaged."""
    if path is None:
        return None
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, content = content[:32], content[32:]
    if hashlib.sha256(content).digest() != digest:
        return None
    with contextlib.suppress(OSError):
        os.utime(path)
    return content


def _write(path: Path, content: bytes) -> None:
    """Keeps a content under its checksum, and leaves the newest files of this kind."""
    with contextlib.suppress(UserError, OSError):  # a full disk: the next start takes longer
        write_whole(path, hashlib.sha256(content).digest() + content)
        ages = {}
        for other in path.parent.glob(f"siamjax_*{_SUFFIX}"):
            with contextlib.suppress(OSError):  # another process removed it
                ages[other] = time.time() - other.stat().st_mtime
        for other in sorted(ages, key=lambda path: ages[path])[_MOST:]:
            other.unlink(missing_ok=True)
