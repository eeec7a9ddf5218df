"""The portable weights file: one `.npz` with the arrays and the config that they belong to.

Members are named by their path ("params/backbone/conv1/kernel"); `config` and `metadata` are JSON.
Readers need NumPy alone.
"""

import json
from pathlib import Path

import flax.traverse_util
import numpy as np

from siamjax import files, npz
from siamjax.config import from_json, to_json
from siamjax.errors import UserError
from siamjax.models.initialise import shapes
from siamjax.models.siamrpn import SiamRPN, build

FORMAT = "siamjax weights 1"
_FAULT = "not a siamjax weights file; make one with `siamjax convert`"
_AGAIN = "train or convert them again"
_DEEPEST = 16  # parts of a path


def save(path, config, variables, metadata: dict | None = None, half: bool = False) -> None:
    """Writes the file, whole or not at all.

    Args:
        path: of the file, by custom `.npz`.
        config: the experiment's config.
        variables: {"params", "batch_stats"}, arrays of any library.
        metadata: anything JSON can hold, kept beside the arrays.
        half: float32 arrays are stored as float16, half the size; `load` gives float32 again, with
            11 bits of precision.

    Raises:
        UserError: the file cannot be written, a number is not finite, or one is too large for half
            precision.
    """
    path = Path(path)
    arrays = flax.traverse_util.flatten_dict(dict(variables), sep="/")
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise UserError(
                f"{path}: not written: {name} has numbers that are not finite; {_AGAIN}"
            )
        if half and array.dtype == np.float32:
            if np.abs(array).max(initial=0) > np.finfo(np.float16).max:
                raise UserError(
                    f"{path}: {name} has numbers too large for half precision; leave out --half"
                )
            arrays[name] = array.astype(np.float16)
    text = {"format": FORMAT, "config": to_json(config), "metadata": json.dumps(metadata or {})}
    arrays |= {name: np.array(value) for name, value in text.items()}
    files.write_whole(path, lambda file: np.savez(file, **arrays))


def load(path) -> tuple:
    """Reads a file of `save`: (config, variables); arrays are NumPy, float32 where halves are
    stored.

    Raises:
        UserError: no such file, not a weights file, a config that no network can be built from,
            arrays that are no finite floats; all before anything is built.
    """
    return load_with_metadata(path)[:2]


def load_with_metadata(path) -> tuple:
    """`load`, with the metadata as third value.

    Raises:
        UserError: as `load`.
    """
    if not Path(path).is_file():
        raise UserError(f"{path}: no such weights file")
    members = npz.read(path, _FAULT)
    texts = {name: str(members.pop(name, "")) for name in ("format", "config", "metadata")}
    if texts["format"] != FORMAT or not members:
        raise UserError(f"{path}: {_FAULT}")
    config = from_json(texts["config"], path)
    try:
        metadata = json.loads(texts["metadata"])
    except (ValueError, RecursionError):
        metadata = None
    if not isinstance(metadata, dict):
        raise UserError(f"{path}: {_FAULT} (its metadata are no JSON object)")
    parts = [tuple(name.split("/")) for name in members]
    deepest = max(map(len, parts))
    inner = {part[:i] for part in parts for i in range(1, len(part)) if deepest <= _DEEPEST}
    if deepest > _DEEPEST or not inner.isdisjoint(parts):
        raise UserError(f"{path}: {_FAULT} (its arrays have no names of a network's)")
    return config, as_numbers(flax.traverse_util.unflatten_dict(members, sep="/"), path), metadata


def as_numbers(variables: dict, path) -> dict:
    """Variables as the network takes them, float32.

    Args:
        path: where they came from, for the message.

    Raises:
        UserError: an array holds no floats, or one that is not finite.
    """
    flat = flax.traverse_util.flatten_dict(variables)
    return flax.traverse_util.unflatten_dict(
        {name: _numbers(path, "/".join(name), array) for name, array in flat.items()}
    )


def _numbers(path, name, array):
    if array.dtype.kind != "f" or array.dtype.itemsize > 8:
        raise UserError(f"{path}: {name} is {array.dtype}, weights are float32; {_AGAIN}")
    with np.errstate(over="ignore"):
        array = array.astype(np.float32, copy=False)
    if not np.isfinite(array).all():
        raise UserError(f"{path}: {name} has numbers that are not finite; {_AGAIN}")
    return array


def check_matches(model, variables, path) -> None:
    """Raises unless the variables are those of the network, tensor by tensor.

    Args:
        model: a `SiamRPN`, or the experiment's config.
        variables: {"params", "batch_stats"}.
        path: where they came from, for the message.

    Raises:
        UserError: names the first tensors that are missing, left over or of another shape; a config
            that makes no network.
    """
    try:
        wanted = _shapes(shapes(model if isinstance(model, SiamRPN) else build(model)))
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except (ArithmeticError, TypeError, ValueError) as error:  # a stride of 0, and the like
        raise UserError(f"{path}: its config makes no network ({type(error).__name__})") from error
    given = _shapes(variables)
    faults = [
        f"{name} is {given.get(name, 'missing')}, the network has {wanted.get(name, 'none')}"
        for name in sorted(wanted.keys() | given.keys())
        if wanted.get(name) != given.get(name)
    ]
    if faults:
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise UserError(
            f"{path}: weights of another architecture: {'; '.join(faults[:3])}{more}; "
            "use the config they were made with"
        )


def _shapes(tree):
    flat = flax.traverse_util.flatten_dict(dict(tree), sep="/")
    return {name: tuple(leaf.shape) for name, leaf in flat.items()}
