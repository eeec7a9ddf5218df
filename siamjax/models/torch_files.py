"""PyTorch checkpoint files as {name: NumPy array}; the only part of siamjax that needs torch."""

import pickle
import zipfile
from pathlib import Path

import numpy as np

from siamjax import files, installation
from siamjax.errors import UserError, importing

_BROKEN = (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, zipfile.BadZipFile)


def read(path) -> dict:
    """The tensors of a state dict, bare or under "state_dict", in either pickle format of torch.

    Raises:
        UserError: torch is not installed, no such file, or not a checkpoint.
    """
    torch = _torch()
    path = Path(path)
    if not path.is_file():
        wrong = "a folder; give a file of weights" if path.is_dir() else "no such file"
        raise UserError(f"{path}: {wrong}")
    try:
        # Weights only: a checkpoint from the net runs no code.
        content = torch.load(path, map_location="cpu", weights_only=True)
    except _BROKEN as error:
        raise UserError(f"{path}: not a PyTorch checkpoint of tensors alone") from error
    if isinstance(content, dict):
        content = content.get("state_dict", content)
    if not isinstance(content, dict) or not content:
        raise UserError(f"{path}: holds no state dict")
    strange = [str(name) for name, value in content.items() if not torch.is_tensor(value)]
    if strange:
        raise UserError(f"{path}: not a state dict: {', '.join(strange[:3])} are no tensors")
    return {name: tensor.numpy() for name, tensor in content.items()}


def write(path, tensors: dict) -> None:
    """Writes a bare state dict, whole or not at all.

    Raises:
        UserError: torch is not installed, or the file cannot be written.
    """
    torch = _torch()
    content = {name: torch.from_numpy(np.array(array)) for name, array in tensors.items()}
    try:
        with files.replacing(path) as temporary:
            torch.save(content, temporary)
    except RuntimeError as error:  # of torch's own writer
        raise UserError(f"{path}: cannot be written ({error})") from error


def _torch():
    with importing(f"reading and writing .pth files needs it: {installation.extra('convert')}"):
        import torch
    return torch
