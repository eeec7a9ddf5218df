"""The portable weights file: one `.npz` with the arrays and the config that they belong to.

Members are named by their path ("params/backbone/conv1/kernel"); `config` and `metadata` are JSON.
Readers need NumPy alone.
"""

import json
import zipfile
from pathlib import Path

import flax.traverse_util
import numpy as np
from jaxtyping import Shaped

from siamjax import files
from siamjax.config import from_json, to_json
from siamjax.errors import UserError
from siamjax.models.initialise import shapes
from siamjax.models.siamrpn import SiamRPN, build

FORMAT = "siamjax weights 1"


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
        UserError: the file cannot be written, or a number is too large for half precision.
    """
    path = Path(path)
    arrays = flax.traverse_util.flatten_dict(dict(variables), sep="/")
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    for name, array in arrays.items():
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
        UserError: no such file, or not a weights file.
    """
    return load_with_metadata(path)[:2]


def load_with_metadata(path) -> tuple:
    """`load`, with the metadata as third value.

    Raises:
        UserError: as `load`.
    """
    fault = "not a siamjax weights file; make one with `siamjax convert`"
    if not Path(path).is_file():
        raise UserError(f"{path}: no such weights file")
    members = read_arrays(path, fault)
    if str(members.pop("format", "")) != FORMAT:
        raise UserError(f"{path}: {fault}")
    config = from_json(str(members.pop("config")))
    metadata = json.loads(str(members.pop("metadata")))
    halves = [name for name, array in members.items() if array.dtype == np.float16]
    members |= {name: members[name].astype(np.float32) for name in halves}
    return config, flax.traverse_util.unflatten_dict(members, sep="/"), metadata


def read_arrays(
    path, fault: str = "not an .npz file of arrays"
) -> dict[str, Shaped[np.ndarray, "..."]]:
    """The arrays of an `.npz` file.

    Raises:
        UserError: no such file, or the fault.
    """
    if not Path(path).is_file():
        raise UserError(f"{path}: no such file")
    try:
        with np.load(path) as file:
            return dict(file)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise UserError(f"{path}: {fault}") from error


def check_matches(model, variables, path) -> None:
    """Raises unless the variables are those of the network, tensor by tensor.

    Args:
        model: a `SiamRPN`, or the experiment's config.
        variables: {"params", "batch_stats"}.
        path: where they came from, for the message.

    Raises:
        UserError: names the first tensors that are missing, left over or of another shape.
    """
    model = model if isinstance(model, SiamRPN) else build(model)
    wanted = _shapes(shapes(model))
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
