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


def parse(text: str, constants: Mapping[str, float] | None = None) -> Spec:
    """A tracker from the command line.

    Args:
        text: [NAME=]SPEC.
        constants: of siamjax's own trackers; options in brackets go before them.

    Raises:
        UserError: no such tracker, file, module or option; a constant of the tracker.
    """
    name, base, options = _split(text)
    opencv = baselines.opencv_name(base)
    if base.lower() == "bundled":
        path: str | Path = api.default_checkpoint()
        return of_checkpoint(path, name or "bundled", _constants(text, constants, options))
    if base.lower() in baselines.OWN or opencv is not None:
        return _built_in(base, name or base, options)
    if is_address(base):
        own = Place(base).name.removesuffix(".npz")
        return of_checkpoint(base, name or own, _constants(text, constants, options))
    if not Path(base).exists() and re.fullmatch(r"[\w.]+:[\w.]+", base):
        return _own(base, name, options)
    if not Path(base).exists():
        hint = near(base, BUILT_IN) or ";"
        raise UserError(
            f"--tracker={text}: unknown tracker '{base}', and no such file or folder{hint}"
            f" available: {', '.join(BUILT_IN)}; see --tracker=help"
        )
    path = Path(base)
    own = path.name if path.is_dir() else path.stem
    return of_checkpoint(base, name or own, _constants(text, constants, options))


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
        UserError: no such file or folder.
    """
    path = api.training_folder(path)
    if not path.exists():
        raise UserError(f"--checkpoint={path}: no such file or folder")
    digest = hashlib.sha256()
    for file in (path, path / "config.json"):
        if file.is_file():
            digest.update(file.read_bytes())
    folder = path / "checkpoints" if (path / "checkpoints").is_dir() else path
    for file in filter(Path.is_file, sorted(folder.rglob("*"))):
        digest.update(f"{file.relative_to(folder)} {file.stat().st_size}\n".encode())
    return digest.hexdigest()


def _split(text: str) -> tuple[str, str, dict[str, str]]:
    """Name ("" if none is given), base and options of a SPEC."""
    name, base, options = "", text, {}
    if not Path(text).exists():
        if named := re.fullmatch(r"([^=\[\]/]+)=(.+)", text):
            name, base = named.groups()
        if name in settable.RANGES:
            raise UserError(f"--tracker={text}: constants are given by --set {text}")
    if not Path(base).exists() and (bracket := re.fullmatch(r"([^\[\]]+)\[(.*)\]", base)):
        base = bracket[1]
        for pair in filter(None, bracket[2].split(";")):
            key, equals, value = pair.partition("=")
            if not key.isidentifier() or not equals:
                raise UserError(f"--tracker={text}: give options as [NAME=VALUE;NAME=VALUE]")
            options[key] = value
    return name, base, options


def _constants(
    text: str, constants: Mapping[str, float] | None, options: dict[str, str]
) -> dict[str, float]:
    pairs = [f"{name}={value}" for name, value in options.items()]
    own = settable.parse(pairs, given=f"--tracker={text}")
    return {**(constants or {}), **own}


def _from_checkpoint(path: str, constants: Mapping[str, float]) -> protocols.Tracker:
    tracker = api.load(path, constants=constants)
    tracker.doubts = False  # the protocol warns, with the sequence's name
    return tracker


def _built_in(base: str, name: str, files: dict[str, str]) -> Spec:
    baselines.make(base, **files)  # what is wrong is said before anything runs
    identity = " ".join([base.lower(), *map(_digest, files.items())])
    return Spec(name, functools.partial(baselines.make, base, **files), identity)


def _own(base: str, name: str, options: dict[str, str]) -> Spec:
    factory = _imported(base)
    if isinstance(factory, type):
        _check_methods(base, factory)
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
    tracker = _imported(base)(**options)
    _check_methods(base, tracker)
    return tracker


def _imported(base: str) -> Callable[..., Any]:
    module_name, _, path = base.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name not in (module_name, module_name.split(".")[0]):
            raise UserError(f"--tracker={base}: {module_name} needs {error.name}") from error
        raise UserError(
            f"--tracker={base}: no module {module_name} in the current folder or Python's path"
        ) from error
    except Exception as error:
        text = " ".join(str(error).split())
        raise UserError(f"--tracker={base}: {type(error).__name__}: {text}") from error
    factory: Any = module
    for part in path.split("."):
        if not hasattr(factory, part):
            hint = near(part, dir(factory))
            raise UserError(f"--tracker={base}: no '{part}' in {module.__file__}{hint}")
        factory = getattr(factory, part)
    if not callable(factory):
        raise UserError(f"--tracker={base}: name a class, or a function that makes a tracker")
    return factory


def _check_methods(base: str, tracker: Any) -> None:
    lacking = [name for name in ("init", "update") if not callable(getattr(tracker, name, None))]
    if lacking:
        raise UserError(
            f"--tracker={base}: a tracker has init(frame, box) and update(frame);"
            f" this one lacks {' and '.join(lacking)}"
        )


def _digest(option: tuple[str, str]) -> str:
    """An option, with what is in its file if it names one."""
    name, value = option
    with contextlib.suppress(OSError, ValueError):
        value = hashlib.sha256(Path(value).read_bytes()).hexdigest()
    return f"{name}={value}"
