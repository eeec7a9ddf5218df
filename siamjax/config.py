"""Experiment files (`configs/*.py`) and their overrides on the command line."""

import json
import os
import runpy
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import ml_collections
from absl import flags
from ml_collections import config_flags

from siamjax import bundled, schema
from siamjax.errors import UserError, importing, near, nearest


def load_config(experiment: str, overrides: Sequence[str] = ()) -> ml_collections.ConfigDict:
    """Runs an experiment file and applies overrides.

    Args:
        experiment: a Python file with `get_config()`, or the name of a bundled one ("resnet50").
        overrides: arguments `--config.section.field=value`, parsed by the field's type.

    Returns:
        The locked config.

    Raises:
        UserError: no such experiment, a package that it needs, no such field (the nearest one is
            named), a value of another type, or one outside of its range.
    """
    experiments = bundled.experiments()
    path = experiment if Path(experiment).is_file() else experiments.get(experiment)
    if path is None:
        names = ", ".join(experiments)
        hint = near(experiment, experiments)
        raise UserError(
            f"--config={experiment}: no such file; bundled experiments are {names}{hint}"
        )
    with importing(f"--config={experiment} needs it", sys.executable):
        config = runpy.run_path(str(path))["get_config"]()
    return override(config, overrides)


def override(
    config: ml_collections.ConfigDict, overrides: Sequence[str]
) -> ml_collections.ConfigDict:
    """The same config, locked, with fields replaced.

    Args:
        config: is changed.
        overrides: as `load_config` takes them.

    Raises:
        UserError: as `load_config`, of the overrides.
    """
    known = dict(_fields(config.to_dict()))
    for argument in overrides:
        name = argument.split("=", 1)[0].removeprefix("--config.")
        if not argument.startswith("--config."):
            raise UserError(
                f"{argument}: unknown argument; fields are set by --config.section.field=value"
            )
        if name not in known:
            hint = f"did you mean --config.{nearest(name, known)}?"
            raise UserError(f"--config.{name}: no such field; {hint}")
        if "=" not in argument:
            raise UserError(f"{argument}: give the value as {argument}=VALUE")
    given = {argument.split("=", 1)[0]: argument for argument in overrides}
    values, argv = flags.FlagValues(), ["siamjax", *overrides]
    try:
        config_flags.DEFINE_config_dict("config", config, flag_values=values, sys_argv=argv)
        values(argv)
    except flags.Error as error:
        text = " ".join(str(error).split())
        for argument in overrides:
            if text.startswith(f"flag {' '.join(argument.split())}: "):
                text = _unfit(argument, known)
        raise UserError(text) from error
    for name, argument in given.items():  # what is no tuple is taken for a word
        text = argument.split("=", 1)[1]
        if text[:1] in ("(", "[") and config[name.removeprefix("--config.")] == (text,):
            raise UserError(_unfit(argument, known))
    if fault := schema.fault(config.to_dict(), whole=False):
        name = f"--config.{fault.partition('=')[0]}"
        shown = f"{given[name]}: {fault.rpartition(': ')[2]}" if name in given else ""
        raise UserError(shown or f"--config.{fault}")
    config.lock()
    return config


def _unfit(argument: str, known: dict[str, object]) -> str:
    name = argument.split("=", 1)[0].removeprefix("--config.")
    return f"{argument}: {schema.expected(name, known[name])} expected"


def to_json(config: ml_collections.ConfigDict) -> str:
    """The config as indented JSON text (tuples become lists)."""
    return json.dumps(config.to_dict(), indent=2, default=list)


def from_json(text: str, path: str | os.PathLike = "config") -> ml_collections.ConfigDict:
    """The inverse of `to_json`: lists come back as tuples, the config is locked.

    Args:
        path: where the text came from, for the message.

    Raises:
        UserError: not JSON, or a config that no tracker can be built from, see `siamjax.schema`.
    """
    try:
        tree = json.loads(text)
        fault = schema.fault(tree) if isinstance(tree, dict) else "no JSON object"
        config = None if fault else ml_collections.ConfigDict(_tuples(tree))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        fault = f"not readable ({type(error).__name__})" if text.strip() else "there is none"
    if fault:
        raise UserError(f"{path}: its config is none of siamjax's: {fault}; get the file anew")
    config.lock()
    return config


def difference(old: ml_collections.ConfigDict, new: ml_collections.ConfigDict) -> list[str]:
    """One line per field that differs: `section.field: old -> new`."""
    before, after = (
        {name: x for name, x in _fields(json.loads(to_json(c))) if not isinstance(x, dict)}
        for c in (old, new)
    )
    missing = "(absent)"
    names = sorted(before.keys() | after.keys())
    pairs = [(name, before.get(name, missing), after.get(name, missing)) for name in names]
    return [f"{name}: {a} -> {b}" for name, a, b in pairs if a != b]


def _fields(node: dict, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Name and value of every section and field."""
    for key, value in node.items():
        yield prefix + key, value
        if isinstance(value, dict):
            yield from _fields(value, f"{prefix}{key}.")


def _tuples(node):
    if isinstance(node, dict):
        return {key: _tuples(value) for key, value in node.items()}
    if isinstance(node, list):
        return tuple(_tuples(value) for value in node)
    return node
