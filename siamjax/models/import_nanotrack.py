"""The backbone of NanoTrackV3 (github.com/HonglinChu/SiamTrackers): a MobileNetV3-small that was
trained for tracking on full data sets."""

import re

import numpy as np

from siamjax.errors import UserError
from siamjax.models.import_torch import backbone_from_pysot, pysot_names
from siamjax.models.siamrpn import SiamRPN


def backbone_from_nanotrack(model: SiamRPN, tensors: dict, path) -> dict:
    """NanoTrackV3's backbone, which sees raw 0..255 BGR as siamjax's do.

    Args:
        model: a `SiamRPN` on MobileNetV3 of width 1.0.
        tensors: {PyTorch's name: array} of the whole tracker ("backbone.features.0.0.weight") or of
            the backbone alone; its neck and head are left out.
        path: of the file, for messages.

    Returns:
        The backbone's part of the variables.

    Raises:
        UserError: tensors that are missing or wrongly shaped; the backbone is another.
    """
    if model.backbone != "mobilenetv3":
        raise UserError(f"{path}: fits --config.model.backbone=mobilenetv3 alone")
    names = {re.sub(r"^(module\.)?(backbone\.)?", "", name): name for name in tensors}
    wanted = {name.removeprefix("backbone.") for name in pysot_names(model)}
    arrays = {name: np.asarray(tensors[names[name]]) for name in names.keys() & wanted}
    # layers on channel means are matrices there, 1x1 convolutions here
    arrays = {name: a[:, :, None, None] if a.ndim == 2 else a for name, a in arrays.items()}
    return backbone_from_pysot(model, arrays, path)
