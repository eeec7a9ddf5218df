"""Whether a run may continue with a config: nothing that changes the training may differ."""

import hashlib
import json
from pathlib import Path
from typing import Any

import ml_collections

from siamjax.config import difference, from_json
from siamjax.data import index, staging
from siamjax.errors import UserError
from siamjax.training import checkpoint

# Fields that leave the training as it is, or only say how it is watched.
_MAY_CHANGE = """
name data.workers data.prefetch data.max_bad_fraction
train.max_skipped train.checkpoint_every train.keep train.keep_best train.evaluate train.log_every
train.images_every train.mirror
"""
# Of the tracker's constants one is used in training: the size of the score map.
_OF_TRACKER, _TRAINED = "tracker.", "tracker.base_size"
# Fields that newer versions added: how runs without them were trained.
_BEFORE = {
    "data.negatives": "published",
    "model.stride": "8",
    "model.dilated": "True",
    "model.template_cells": "7",
    "model.early_dtype": "float32",
    "model.formulation": "platform",
    "data.alike": "0.0",
    "data.mined": "0.0",
    "data.mined_kept": "512",
    "targets.loc_iou": "1.0",
    "train.init_parts": "['backbone', 'neck', 'head']",
}
_SAME_DATA = ("name", "crop", "jpeg_quality", "videos", "tracks", "crops")


def identity(config: ml_collections.ConfigDict) -> dict[str, str]:
    """The data of each source, wherever they lie: a digest of the shards' names, sizes and counts.

    Raises:
        UserError: no such data set.
    """
    return {name: _digest(source.path) for name, source in config.data.sources.items()}


def check(workdir: Path, config: ml_collections.ConfigDict, data: dict[str, str]) -> None:
    """Refuses a config, or data, that would change a run under way.

    Args:
        workdir: the run's folder; one without a checkpoint that says anything is no run yet.
        config: of the continuation.
        data: `identity` of it.

    Raises:
        UserError: names what differs.
    """
    meta = _newest_meta(workdir / "checkpoints")
    if meta is not None:
        check_meta(meta, config, data, f"--workdir={workdir}")


def check_meta(
    meta: dict[str, Any], config: ml_collections.ConfigDict, data: dict[str, str], place: str
) -> None:
    """`check` for what a checkpoint says about itself.

    Args:
        meta: of `siamjax.training.checkpoint.read_meta`.
        config, data: as of `check`.
        place: the flag and the value where the run lies, for the message.

    Raises:
        UserError: names what differs.
    """
    old = from_json(json.dumps(meta["config"]), place)
    known = meta.get("data") or {}  # absent before 0.3
    free = _MAY_CHANGE.split()
    changed = []
    for line in difference(old, config):
        name, _, values = line.partition(": ")
        before, _, now = values.partition(" -> ")
        if before == "(absent)":
            before = _BEFORE.get(name, before)
        moved = name.startswith("data.sources.") and name.endswith(".path")
        same = moved and _is_same(name.split(".")[2], before, known, data)
        watched = name in free or (name.startswith(_OF_TRACKER) and name != _TRAINED)
        if not (same or watched or before == now):
            changed.append(f"{name}: {before} -> {now}" + (" (other data)" if moved else ""))
    changed += [
        f"data.sources.{name}: other data than the run began with"
        for name, digest in known.items()
        if data.get(name, digest) != digest and not any(f".{name}.path:" in x for x in changed)
    ]
    if changed:
        raise UserError(
            f"{place}: the run there has another config ({'; '.join(changed)}); give the config it"
            f" began with, or another {place.partition('=')[0]}"
        )


def _is_same(source, before, known, data):
    """Whether moved shards are those of before; runs of 0.1 and 0.2 did not note them."""
    old = known.get(source)
    try:
        old = old or _digest(before)
    except UserError:
        return False
    return old == data.get(source)


def _newest_meta(folder: Path) -> dict[str, Any] | None:
    for step in reversed(checkpoint.saved_steps(folder)):
        try:
            return checkpoint.read_meta(folder / str(step))
        except Exception:  # said and set aside when the checkpoints are read
            continue
    return None


def _digest(path) -> str:
    manifest = index.read_manifest(staging.local(path))
    known = {name: manifest.get(name) for name in _SAME_DATA}
    known["shards"] = [(shard["file"], shard["bytes"]) for shard in manifest["shards"]]
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:32]
