"""Experiment files (`configs/*.py`) and their overrides on the command line."""

import difflib
import importlib.machinery
import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path

import ml_collections
from absl import flags
from ml_collections import config_flags

from siamjax import bundled
from siamjax.errors import UserError


def load_config(experiment: str, overrides: Sequence[str] = ()) -> ml_collections.ConfigDict:
    """Runs an experiment file and applies overrides.

    Args:
        experiment: a Python file with `get_config()`, or the name of a bundled one ("resnet50").
        overrides: arguments `--config.section.field=value`, parsed by the field's type.

    Returns:
        The locked config.

    Raises:
        UserError: no such experiment, no such field (the nearest one is named), a value of
            another type.
    """
    config = _run(_find(experiment))
    known = _field_names(config)
    for argument in overrides:
        name = argument.split("=", 1)[0].removeprefix("--config.")
        if not argument.startswith("--config."):
            raise UserError(
                f"{argument}: unknown argument; fields are set by --config.section.field=value"
            )
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
            raise UserError(f"--config.{name}: no such field; did you mean --config.{near[0]}?")
        if "=" not in argument:
            raise UserError(f"{argument}: give the value as {argument}=VALUE")
    _override(config, overrides)
    config.lock()
    return config


def to_json(config: ml_collections.ConfigDict) -> str:
    """The config as indented JSON text (tuples become lists)."""
    return json.dumps(config.to_dict(), indent=2, default=list)


def from_json(text: str) -> ml_collections.ConfigDict:
    """The inverse of `to_json`: lists come back as tuples, the config is locked."""
    config = ml_collections.ConfigDict(_tuples(json.loads(text)))
    config.lock()
    return config


def difference(old: ml_collections.ConfigDict, new: ml_collections.ConfigDict) -> list[str]:
    """One line per field that differs: `section.field: old -> new`."""
    before, after = _flatten(old), _flatten(new)
    names = sorted(before.keys() | after.keys())
    missing = "(absent)"
    return [
        f"{name}: {before.get(name, missing)} -> {after.get(name, missing)}"
        for name in names
        if before.get(name, missing) != after.get(name, missing)
    ]


def _find(experiment: str) -> Path:
    known = bundled.experiments()
    path = Path(experiment)
    if not path.is_file() and experiment not in known:
        raise UserError(
            f"--config={experiment}: no such file; bundled experiments are {', '.join(known)}"
        )
    return path if path.is_file() else known[experiment]


def _run(path: Path) -> ml_collections.ConfigDict:
    """What `get_config()` of an experiment file returns."""
    loader = importlib.machinery.SourceFileLoader("experiment", str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("experiment", loader))
    loader.exec_module(module)
    return module.get_config()


def _override(config: ml_collections.ConfigDict, overrides: Sequence[str]) -> None:
    values = flags.FlagValues()
    argv = ["siamjax", *overrides]
    try:
        config_flags.DEFINE_config_dict("config", config, flag_values=values, sys_argv=argv)
        values(argv)
    except flags.Error as error:
        raise UserError(" ".join(str(error).split())) from error


def _field_names(config: ml_collections.ConfigDict, prefix: str = "") -> list[str]:
    names = []
    for key, value in config.items():
        names.append(prefix + key)
        if isinstance(value, ml_collections.ConfigDict):
            names += _field_names(value, f"{prefix}{key}.")
    return names


def _flatten(config: ml_collections.ConfigDict) -> dict:
    tree = json.loads(to_json(config))
    flat = {}

    def walk(node, prefix):
        for key, value in node.items():
            if isinstance(value, dict):
                walk(value, f"{prefix}{key}.")
            else:
                flat[prefix + key] = value

    walk(tree, "")
    return flat


def _tuples(node):
    if isinstance(node, dict):
        return {key: _tuples(value) for key, value in node.items()}
    if isinstance(node, list):
        return tuple(_tuples(value) for value in node)
    return node
