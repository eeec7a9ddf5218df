"""Weights of other programs into siamjax's portable file, and back to PySOT."""

from pathlib import Path

import jax
from ml_collections import ConfigDict

from siamjax import api, npz
from siamjax.errors import UserError
from siamjax.models import build, init_variables, torch_files, weights
from siamjax.models import import_imagenet as imagenet
from siamjax.models import import_nanotrack as nanotrack
from siamjax.models import import_torch as pysot

BACKBONES = {
    "pysot-backbone": pysot.backbone_from_pysot,
    "torchvision": imagenet.backbone_from_torchvision,
    "mobilenetv2": imagenet.backbone_from_mobilenetv2,
    "nanotrack": nanotrack.backbone_from_nanotrack,
}


def to_siamjax(
    source: str, path: str, out: str, config: ConfigDict | None = None, half: bool = False
) -> str:
    """Writes a weights file.

    Args:
        source: "siamjax": `path` is what `siamjax.load` takes; "pysot": a PySOT checkpoint; or one
            of `BACKBONES`, which leave the rest of the network random.
        config: the network that the weights belong to; with "siamjax" it replaces the stored one,
            which None keeps.
        half: store half precision.

    Returns:
        What was done, for the user.

    Raises:
        UserError: an unreadable file, tensors that do not fit the network.
    """
    if source == "siamjax":
        path = str(api.training_folder(path))
        stored, variables = api.load_variables(path)
        is_file, config, origin = Path(path).is_file(), config or stored, path
        metadata = weights.load_with_metadata(path)[2] if is_file else {"source": source}
    else:
        model = build(config)
        arrays = source == "mobilenetv2" or Path(path).suffix == ".npz"
        tensors = npz.read(path) if arrays else torch_files.read(path)
        if source == "pysot":
            variables, metadata = pysot.from_pysot(model, tensors, path)
        else:
            variables, metadata = init_variables(model, config.seed), {}
            for collection, parts in BACKBONES[source](model, tensors, path).items():
                variables[collection]["backbone"] = parts["backbone"]
        metadata |= {"source": source, "file": Path(path).name}
        origin = f"{path} ({len(tensors)} tensors there)"
    weights.check_matches(config, variables, path)
    weights.save(out, config, variables, metadata, half)
    sizes = [leaf.size for leaf in jax.tree.leaves(variables)]
    return f"{out}: {len(sizes)} arrays, {sum(sizes):,} numbers from {origin}"


def to_pysot(path: str, out: str) -> str:
    """Writes a checkpoint for PySOT's loader from a weights file.

    Returns:
        What was done, for the user.

    Raises:
        UserError: not a weights file, a network that PySOT does not have, no torch.
    """
    config, variables, metadata = weights.load_with_metadata(path)
    model = build(config)
    if model.backbone == "mobilenetv3":
        raise UserError(f"{path}: PySOT has no MobileNetV3; its loader takes the other backbones")
    weights.check_matches(model, variables, path)
    tensors = pysot.to_pysot(model, variables, metadata)
    torch_files.write(out, tensors)
    return f"{out}: {len(tensors)} tensors under PySOT's names"
