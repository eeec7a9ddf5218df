"""Experiments that train on rendered videos."""

from collections.abc import Sequence
from pathlib import Path

import ml_collections

from siamjax.config import load_config
from siamjax.errors import UserError


def rendered_experiment(
    name: str, overrides: Sequence[str], shards: Path
) -> ml_collections.ConfigDict:
    """An experiment whose source "synthetic" is read from the folder `shards`.

    Raises:
        UserError: as `siamjax.config.load_config`; the experiment has no such source.
    """
    config = load_config(name, overrides)
    if "synthetic" not in config.data.sources:
        raise UserError(
            f"--config={name}: data.sources has no 'synthetic', whose videos are rendered here; "
            "add it as configs/demo.py does"
        )
    config.data.sources.synthetic.path = str(shards)
    return config
