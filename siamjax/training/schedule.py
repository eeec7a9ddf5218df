"""The learning rate: warm-up, then a log-spaced decay, one value per epoch (SiamRPN++, section
4.1)."""

import numpy as np
from jaxtyping import Float64


def learning_rates(
    epochs: int,
    warmup_epochs: int,
    warmup_start: float | int,
    warmup_end: float | int,
    lr_start: float | int,
    lr_end: float | int,
) -> Float64[np.ndarray, " {epochs}"]:
    """The learning rate of each epoch.

    Args:
        epochs: number of epochs, >= 1.
        warmup_epochs: epochs of the warm-up, 0 <= warmup_epochs <= epochs.
        warmup_start: rate of the first epoch; the warm-up grows geometrically towards `warmup_end`,
            which it would reach in the epoch after its last.
        warmup_end: see `warmup_start`.
        lr_start: rate of the first epoch after the warm-up.
        lr_end: rate of the last epoch; the values between are log-spaced.
    """
    warmup_epochs = min(warmup_epochs, epochs)
    warmup = np.geomspace(warmup_start, warmup_end, warmup_epochs + 1)[:-1]
    return np.concatenate([warmup, np.geomspace(lr_start, lr_end, epochs - warmup_epochs)])


def from_config(config) -> Float64[np.ndarray, " epochs"]:
    """The table of an experiment's `train` section."""
    names = ("epochs", "warmup_epochs", "warmup_start", "warmup_end", "lr_start", "lr_end")
    return learning_rates(**{name: config.train[name] for name in names})
