"""Whether runs, weights files and archives are whole, for `siamjax inspect`."""

import json
from pathlib import Path
from typing import Any

import jax

from siamjax.config import from_json, to_json
from siamjax.errors import UserError
from siamjax.models import weights
from siamjax.tracking import exported
from siamjax.training import checkpoint, metrics


def weights_file(path: Path) -> list[str]:
    """What is in a weights file; all of it is read.

    Raises:
        UserError: it is none, or not whole, or does not fit its config.
    """
    config, variables, metadata = weights.load_with_metadata(path)
    weights.check_matches(config, variables, path)
    source = f", from {metadata['source']}" if "source" in metadata else ""
    return [f"{path}: {_described(config, variables)}{source}"]


def run(workdir: Path) -> tuple[list[str], int]:
    """A line per checkpoint of a run, and about its config and metrics; and how many are damaged.

    Raises:
        UserError: it is no run.
    """
    workdir = Path(workdir)
    folder = workdir / "checkpoints"
    steps = checkpoint.saved_steps(folder)
    if not steps:
        raise UserError(f"{workdir}: no checkpoint here; give a folder that run_train.py wrote to")
    lines, damaged, newest = [], 0, None
    for step in steps:
        place = folder / str(step)
        try:
            newest, described = _checkpoint(place)
            lines.append(f"{place}: {described}")
        except Exception as error:
            lines.append(f"{place}: damaged: {checkpoint.reason(error)}")
            damaged += 1
    for name, check in {"config.json": _config, "metrics.jsonl": _metrics}.items():
        said, good = check(workdir / name, newest)
        lines.append(f"{workdir / name}: {said}")
        damaged += not good
    return lines, damaged


def archive(path: Path) -> list[str]:
    """What is in an archive of `siamjax export`; its programs are read, not run.

    Raises:
        UserError: it is none, not whole, or has expired.
    """
    try:
        head, members = exported.read(path)
        until = exported.check_age(path, head)
        arrays, settings = exported.arrays(path, head, members)
        exported.programs(path, members, arrays, settings)
        config = from_json(members["config.json"].decode(errors="replace"), path)
    except exported.ArchiveError as error:
        raise UserError(str(error)) from error
    numbers = sum(array.size for array in arrays)
    return [
        f"{path}: {config.model.backbone}, {len(arrays)} arrays, {numbers:,} numbers, exported on"
        f" {head['exported']} with jax {head['jax']}; other versions of jax read it until {until}"
    ]


def _checkpoint(place: Path) -> tuple[Any, str]:
    """Config and content of a checkpoint that is whole."""
    variables, _, meta = checkpoint.read(place, with_training=True)
    config = from_json(json.dumps(meta["config"]), place)
    variables = weights.as_numbers(variables, place)
    weights.check_matches(config, variables, place)
    return config, _described(config, variables)


def _described(config, variables) -> str:
    sizes = [leaf.size for leaf in jax.tree.leaves(variables)]
    return f"{config.model.backbone}, {len(sizes)} arrays, {sum(sizes):,} numbers, all finite"


def _config(path: Path, newest) -> tuple[str, bool]:
    """About config.json, which the next start writes anew."""
    if newest is None:
        return "no checkpoint to compare it with", True
    try:
        same = to_json(from_json(path.read_text(), path)) == to_json(newest)
    except (OSError, ValueError, UserError) as error:
        return f"damaged ({type(error).__name__}); the next start of the training writes it", False
    return ("that of the newest checkpoint" if same else "not that of the newest checkpoint"), same


def _metrics(path: Path, newest) -> tuple[str, bool]:
    """About metrics.jsonl, in which the next start leaves out what is no line."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError as error:
        return f"cannot be read ({error.strerror})", False
    bad = sum(not metrics.is_line(line) for line in lines)
    return f"{len(lines)} lines, {bad} damaged", not bad
