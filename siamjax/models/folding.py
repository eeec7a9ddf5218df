"""Batch normalisations folded into the convolutions before them, for inference."""

import numpy as np

from siamjax.models.norm import EPSILON
from siamjax.models.siamrpn import SiamRPN


def fold(model: SiamRPN, variables: dict) -> tuple[SiamRPN, dict]:
    """The same function without batch normalisations.

    With f = scale / sqrt(var + eps), kernel' = kernel * f and bias' = (bias - mean) * f + shift.

    Args:
        model: an unfolded network.
        variables: its {"params", "batch_stats"}.

    Returns:
        The folded network (`folded=True`; it cannot train) and its {"params"}, NumPy float32.
    """
    params = _fold(variables["params"], variables["batch_stats"])
    return model.clone(folded=True), {"params": params}


def _fold(params, stats):
    folded = {}
    for name, node in params.items():
        normalisation = name.replace("conv", "bn")
        if "conv" in name and normalisation in params:
            folded[name] = _fold_pair(node, params[normalisation], stats[normalisation])
        elif isinstance(node, dict) and "scale" not in node:
            folded[name] = _fold(node, stats.get(name, {}))
        elif not isinstance(node, dict):
            folded[name] = np.asarray(node)
    return folded


def _fold_pair(conv, bn, stats):
    double = {name: np.asarray(array, np.float64) for name, array in {**bn, **stats}.items()}
    factor = double["scale"] / np.sqrt(double["var"] + EPSILON)
    bias = (np.asarray(conv.get("bias", 0.0)) - double["mean"]) * factor + double["bias"]
    kernel = np.asarray(conv["kernel"], np.float64) * factor
    return {"kernel": kernel.astype(np.float32), "bias": bias.astype(np.float32)}
