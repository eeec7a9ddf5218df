"""Weights of other programs into siamjax's portable file, and back to PySOT."""

import zipfile
from pathlib import Path

import jax
import ml_collections
import numpy as np

from siamjax import api
from siamjax.errors import UserError
from siamjax.models import build, init_variables, torch_files, weights
from siamjax.models import import_imagenet as imagenet
from siamjax.models import import_torch as pysot

BACKBONES = {
    "pysot-backbone": pysot.backbone_from_pysot,
    "torchvision": imagenet.backbone_from_torchvision,
    "mobilenetv2": imagenet.backbone_from_mobilenetv2,
}


def from_other(
    source: str, path: str, out: str, config: ml_collections.ConfigDict, half: bool = False
) -> str:
    """Writes a weights file from a PySOT checkpoint or a pretrained backbone.

    Args:
        source: "pysot" or one of `BACKBONES`, which leave the rest of the network random.
        config: the network that the weights belong to.
        half: store half precision.

    Returns:
        What was done, for the user.

    Raises:
        UserError: an unreadable file, tensors that do not fit the network.
    """
    model = build(config)
    tensors = _read_npz(path) if source == "mobilenetv2" else torch_files.read(path)
    if source == "pysot":
        variables, metadata = pysot.from_pysot(model, tensors, path)
    else:
        variables, metadata = init_variables(model, config.seed), {}
        for collection, parts in BACKBONES[source](model, tensors, path).items():
            variables[collection]["backbone"] = parts["backbone"]
    weights.check_matches(model, variables, path)
    metadata |= {"source": source, "file": Path(path).name}
    weights.save(out, config, variables, metadata, half)
    return f"{out}: {_count(variables)} from {path} ({len(tensors)} tensors there)"


def from_siamjax(
    path: str, out: str, config: ml_collections.ConfigDict | None = None, half: bool = False
) -> str:
    """Writes a weights file from what `siamjax.load` takes; `config` replaces the stored one.

    Returns:
        What was done, for the user.

    Raises:
        UserError: as `siamjax.load`; weights that do not fit `config`.
    """
    stored, variables = api.load_variables(path)
    metadata = {"source": "siamjax"}
    if Path(path).is_file():
        metadata = weights.load_with_metadata(path)[2]
    if config is not None:
        weights.check_matches(config, variables, path)
    weights.save(out, stored if config is None else config, variables, metadata, half)
    return f"{out}: {_count(variables)} from {path}"


def to_pysot(path: str, out: str) -> str:
    """Writes a checkpoint for PySOT's loader from a weights file.

    Returns:
        What was done, for the user.

    Raises:
        UserError: not a weights file, a network that PySOT does not have, no torch.
    """
    config, variables, metadata = weights.load_with_metadata(path)
    model = build(config)
    weights.check_matches(model, variables, path)
    tensors = pysot.to_pysot(model, variables, metadata)
    torch_files.write(out, tensors)
    return f"{out}: {len(tensors)} tensors under PySOT's names"


def _read_npz(path: str) -> dict[str, np.ndarray]:
    if not Path(path).is_file():
        raise UserError(f"{path}: no such file")
    try:
        with np.load(path) as file:
            return dict(file)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise UserError(f"{path}: not an .npz file of arrays") from error


def _count(variables) -> str:
    leaves = jax.tree.leaves(variables)
    return f"{len(leaves)} arrays, {sum(leaf.size for leaf in leaves):,} numbers"
