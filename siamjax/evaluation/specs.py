"""Trackers named on the command line: `--tracker=[NAME=]SPEC`.

A SPEC is a built-in name, the path of a checkpoint, or `module:factory`, with options in brackets:
`csrt`, `runs/mine`, `runs/mine[penalty_k=0.1]`, `mytracker:Mine[model=x.onnx]`,
`nano[backbone=a.onnx;neckhead=b.onnx]`.
"""

import contextlib
import dataclasses
import functools
import hashlib
import importlib
import inspect
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from siamjax import api
from siamjax import constants as settable
from siamjax.errors import UserError, near
from siamjax.evaluation import baselines, protocols
from siamjax.remote import weights as remote
from siamjax.remote.places import Place, is_address

# name -> what it is, one line each
BUILT_IN = {
    "bundled": "the bundled checkpoint",
    "static": "the first box for ever",
    "template_matching": "normalised cross-correlation with the first patch",
    "mil": "OpenCV's MIL (random numbers, seeded for each run)",
    "csrt": "OpenCV's CSRT",
    "kcf": "OpenCV's KCF",
    "mosse": "OpenCV's MOSSE",
    "nano": "OpenCV's NanoTrack: nano[backbone=FILE;neckhead=FILE]",
    "vit": "OpenCV's ViTTrack: vit[net=FILE]",
    "dasiamrpn": "OpenCV's DaSiamRPN: dasiamrpn[model=FILE;kernel_cls1=FILE;kernel_r1=FILE]",
}


@dataclasses.dataclass(frozen=True)
class Spec:
    """A tracker of an evaluation.

    Attributes:
        name: in tables and folders.
        make: makes the tracker; picklable.
        identity: what its results depend on; those of two identities are never mixed.
        checkpoint: of siamjax's own network; None: another tracker.
        constants: of siamjax's tracker.
        code: digest of the source of an own tracker; "" for others.
    """

    name: str
    make: Callable[[], protocols.Tracker]
    identity: str
    checkpoint: str | None = None
    constants: Mapping[str, float] = dataclasses.field(default_factory=dict)
    code: str = ""


def listing() -> str:
    """The trackers that can be named, a line each."""
    lacking = {name for name in baselines.OPENCV if name not in baselines.opencv_trackers()}
    rows = {
        name: text + (" (not in this OpenCV)" if baselines.opencv_name(name) in lacking else "")
        for name, text in BUILT_IN.items()
    }
    rows["PATH"] = "a training folder, a checkpoint or a .npz weights file"
    rows["module:factory"] = "a class or function of yours, in a file of the current folder too"
    lines = [f"  {name:18} {text}" for name, text in rows.items()]
    return "\n".join(["--tracker=[NAME=]SPEC, again for more; SPEC is one of", *lines])


def parse(text: str, constants: Mapping[str, float] | None = None, flag: str = "--tracker") -> Spec:
    """A tracker from the command line.

    Args:
        text: [NAME=]SPEC.
        constants: of siamjax's own trackers; options in brackets go before them.
        flag: that gave it, for messages.

    Raises:
        UserError: no such tracker, file, module or option; a constant of the tracker.
    """
    given = f"{flag}={text}"
    name, base, options = _split(text, given)
    opencv = baselines.opencv_name(base)
    if base.lower() == "bundled":
        path: str | Path = api.default_checkpoint()
        return of_checkpoint(path, name or "bundled", _constants(given, constants, options))
    if base.lower() in baselines.OWN or opencv is not None:
        return _built_in(base, name or base, options)
    if is_address(base):
        own = Place(base).name.removesuffix(".npz")
        return of_checkpoint(base, name or own, _constants(given, constants, options))
    _check_no_file(base, given)
    if not Path(base).exists() and re.fullmatch(r"[\w.]+:[\w.]+", base):
        return _own(base, name, options, given)
    if not Path(base).exists():
        hint = near(base, BUILT_IN) or ";"
        raise UserError(
            f"{given}: unknown tracker '{base}', and no such file or folder{hint}"
            f" available: {', '.join(BUILT_IN)}; see --tracker=help"
        )
    path = Path(base)
    own = path.name if path.is_dir() else path.stem
    return of_checkpoint(base, name or own, _constants(given, constants, options))


def of_checkpoint(
    path: str | os.PathLike, name: str, constants: Mapping[str, float] | None = None
) -> Spec:
    """siamjax's tracker with the weights of what `siamjax.load` takes.

    Raises:
        UserError: no such file or folder.
    """
    chosen = dict(sorted((constants or {}).items()))
    path = remote.local(path)  # once, before worker processes ask for it
    make = functools.partial(_from_checkpoint, str(path), chosen)
    identity = f"{checkpoint_identity(path)} {tuple(chosen.items())}"
    return Spec(name, make, identity, str(path), chosen)


def checkpoint_identity(path: str | os.PathLike) -> str:
    """What tells one checkpoint from another: the digest of a file, or of a folder's file names and
    sizes.

    Raises:
        UserError: no such file or folder, or no checkpoint in it.
    """
    path = api.training_folder(path)
    if not path.exists():
        raise UserError(f"--checkpoint={path}: no such file or folder")
    digest = hashlib.sha256()
    for file in (path, path / "config.json"):
        if file.is_file():
            digest.update(file.read_bytes())
    folder = path / "checkpoints" if (path / "checkpoints").is_dir() else path
    if path.is_dir() and not any(each.name.isdecimal() for each in (path, *folder.iterdir())):
        raise UserError(f"{path}: no checkpoint here; give the folder of a training")
    for file in filter(Path.is_file, sorted(folder.rglob("*"))):
        digest.update(f"{file.relative_to(folder)} {file.stat().st_size}\n".encode())
    return digest.hexdigest()


def unnamed(text: str) -> str:
    """The SPEC of [NAME=]SPEC."""
    named = None if Path(text).exists() else re.fullmatch(r"([^=\[\]/]+)=(.+)", text)
    return named[2] if named else text


def _split(text: str, given: str) -> tuple[str, str, dict[str, str]]:
    """Name ("" if none is given), base and options of a SPEC."""
    base, options = unnamed(text), {}
    name = text.removesuffix(base).removesuffix("=")
    if name in settable.RANGES:
        raise UserError(f"{given}: constants are given by --set {text}")
    if not base:
        raise UserError(f"{given}: give a tracker; --tracker=help lists them")
    if "[" in base and not Path(base).exists():
        bracket = re.fullmatch(r"([^\[\]]+)\[(.*)\]", base)
        pairs = [pair.partition("=") for pair in bracket[2].split(";") if pair] if bracket else []
        if not bracket or not all(key.isidentifier() and equals for key, equals, _ in pairs):
            raise UserError(f"{given}: give options as [NAME=VALUE;NAME=VALUE]")
        base, options = bracket[1], {key: value for key, _, value in pairs}
    return name, base, options


def _check_no_file(base: str, given: str) -> None:
    """Refuses the name of a Python file in the place of `module:factory`."""
    path, _, factory = base.partition(":")
    bare = not factory and not Path(base).exists() and Path(f"{path}.py").is_file()
    if path.endswith(".py") or bare:
        module = path.removesuffix(".py").replace("/", ".")
        raise UserError(
            f"{given}: a Python file is named with its class:"
            f" --tracker={module}:{factory or 'CLASS'}"
        )


def _constants(
    given: str, constants: Mapping[str, float] | None, options: dict[str, str]
) -> dict[str, float]:
    pairs = [f"{name}={value}" for name, value in options.items()]
    return {**(constants or {}), **settable.parse(pairs, given=given)}


def _from_checkpoint(path: str, constants: Mapping[str, float]) -> protocols.Tracker:
    tracker = api.load(path, constants=constants)
    tracker.doubts = False  # the protocol warns, with the sequence's name
    return tracker


def _built_in(base: str, name: str, files: dict[str, str]) -> Spec:
    baselines.make(base, **files)  # what is wrong is said before anything runs
    identity = " ".join([base.lower(), *map(_digest, files.items())])
    return Spec(name, functools.partial(baselines.make, base, **files), identity)


def _own(base: str, name: str, options: dict[str, str], given: str) -> Spec:
    factory = _imported(base, given)
    if isinstance(factory, type):
        _check_methods(given, factory)
    _check_options(given, factory, options)
    source = getattr(sys.modules[base.split(":")[0]], "__file__", None)
    code = hashlib.sha256(Path(source).read_bytes()).hexdigest() if source else ""
    identity = " ".join([base, *map(_digest, options.items())])
    make = functools.partial(make_own, base, options)
    return Spec(name or base.split(":")[1].split(".")[-1], make, identity, code=code)


def make_own(base: str, options: Mapping[str, str]) -> protocols.Tracker:
    """A tracker of the user's: what `module:factory` gives for the options.

    Raises:
        UserError: no such module or factory, or what it gives has no `init` and `update`.
    """
    given = f"--tracker={base}"
    tracker = _imported(base, given)(**options)
    _check_methods(given, tracker)
    return tracker


def _imported(base: str, given: str) -> Callable[..., Any]:
    module_name, _, path = base.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name not in (module_name, module_name.split(".")[0]):
            raise UserError(f"{given}: {module_name} needs {error.name}") from error
        raise UserError(
            f"{given}: no module {module_name} in the current folder or Python's path"
        ) from error
    except Exception as error:
        text = " ".join(str(error).split())
        raise UserError(f"{given}: {type(error).__name__}: {text}") from error
    factory: Any = module
    for part in path.split("."):
        if not hasattr(factory, part):
            hint = near(part, dir(factory))
            raise UserError(f"{given}: no '{part}' in {module.__file__}{hint}")
        factory = getattr(factory, part)
    if not callable(factory):
        raise UserError(f"{given}: name a class, or a function that makes a tracker")
    return factory


def _check_methods(given: str, tracker: Any) -> None:
    lacking = [name for name in ("init", "update") if not callable(getattr(tracker, name, None))]
    if lacking:
        raise UserError(
            f"{given}: a tracker has init(frame, box) and update(frame);"
            f" this one lacks {' and '.join(lacking)}"
        )


def _check_options(given: str, factory: Callable[..., Any], options: dict[str, str]) -> None:
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):  # not written in Python
        return
    try:
        signature.bind(**options)
    except TypeError as error:
        raise UserError(f"{given}: {error}; it takes {signature}") from None


def _digest(option: tuple[str, str]) -> str:
    """An option, with what is in its file if it names one."""
    name, value = option
    with contextlib.suppress(OSError, ValueError):
        value = hashlib.sha256(Path(value).read_bytes()).hexdigest()
    return f"{name}={value}"
