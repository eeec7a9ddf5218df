"""The learning rate: warm-up, then a log-spaced decay, one value per epoch (SiamRPN++, section
4.1)."""

import numpy as np
from jaxtyping import Float64

from siamjax.errors import UserError


def learning_rates(train) -> Float64[np.ndarray, " epochs"]:
    """The learning rate of each epoch.

    Args:
        train: the config's train section: `epochs` >= 1; `warmup_epochs` of the warm-up, 0 or more;
            `warmup_start`, the rate of the first epoch, from which the warm-up grows geometrically
            towards `warmup_end`, which it would reach in the epoch after its last; `lr_start`, the
            rate of the first epoch after the warm-up, and `lr_end`, that of the last epoch; the
            values between are log-spaced.

    Raises:
        UserError: a rate that is not above 0.
    """
    for name in ("warmup_start", "warmup_end", "lr_start", "lr_end"):
        if not 0 < (rate := getattr(train, name)) < np.inf:
            raise UserError(f"--config.train.{name}={rate:g}: must be above 0")
    warmup_epochs = min(train.warmup_epochs, train.epochs)
    warmup = np.geomspace(train.warmup_start, train.warmup_end, warmup_epochs + 1)[:-1]
    decay = np.geomspace(train.lr_start, train.lr_end, train.epochs - warmup_epochs)
    return np.concatenate([warmup, decay])
