"""Trained networks that studies share: a run is addressed by the hash of its resolved config.

Runs whose settings are equal are one run, whichever study asks for it, on whichever machine: the
hash is over the config and the training data, not over paths. One process at a time owns a run;
what was measured of it lies beside its checkpoints and is read again.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import ml_collections

from siamjax import api
from siamjax.config import to_json
from siamjax.datasets.registry import Benchmark
from siamjax.evaluation.specs import checkpoint_identity
from siamjax.files import read_json, write_whole
from siamjax.locks import Lock
from siamjax.training import loop

# what leaves the numbers of a training as they are
_FREE = ("name", "data.workers", "data.prefetch", "data.max_bad_fraction", "train.keep")
LOCK = ".study.lock"


@dataclasses.dataclass(frozen=True)
class Variant:
    """One way of training.

    Attributes:
        name: as tables call it.
        fields: of the config, by their dotted names, and what replaces them.
        main: whether it is a side of the study's main contrast, which is run first.
        weights: a checkpoint to measure instead of training; "": it is trained.
    """

    name: str
    fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    main: bool = False
    weights: str = ""


@dataclasses.dataclass(frozen=True)
class Setting:
    """What the runs of a study have in common.

    Attributes:
        workdir: folder of runs and results; may be shared by studies and machines.
        base: the experiment that variants start from.
        data: identity of the training data, see `siamjax.training.resume.identity`.
        benchmarks: what trackers are scored on.
        flags: the study's own flags, by name.
        full: all variants, not the main ones.
    """

    workdir: Path
    base: ml_collections.ConfigDict
    data: Mapping[str, Any]
    benchmarks: tuple[Benchmark, ...]
    flags: Mapping[str, Any]
    full: bool = False

    def measured(self) -> dict[str, Any]:
        """What decides the numbers measured of a trained run."""
        scored = [
            [b.name, b.protocol, *(f"{s.name} {len(s)}" for s in b.sequences)]
            for b in self.benchmarks
        ]
        return {"benchmarks": scored, "flags": dict(self.flags)}


def lone(setting: Setting) -> list[Variant]:
    """The experiment's network as it is, or the one of `--checkpoint`."""
    given = setting.flags["checkpoint"]
    return [Variant("given" if given else "trained", {}, main=True, weights=given)]


def resolve(setting: Setting, variant: Variant, seed: int) -> ml_collections.ConfigDict:
    """The config of a run.

    Raises:
        KeyError: a field that the experiment does not have.
    """
    config = setting.base.copy_and_resolve_references()
    with config.unlocked():
        config.name = f"{config.name}: {variant.name}"
        config.seed = seed
        for name, value in variant.fields.items():
            *sections, field = name.split(".")
            node = config
            for section in sections:
                node = node[section]
            if field not in node:
                raise KeyError(name)
            node[field] = value
    config.lock()
    return config


def key_of(config: ml_collections.ConfigDict, data: Mapping[str, Any], weights: str = "") -> str:
    """Name of a run: the same for the same training, wherever its data lie."""
    content = json.loads(to_json(config))
    for name in _FREE:
        *sections, field = name.split(".")
        node = content
        for section in sections:
            node = node[section]
        node.pop(field, None)
    for source in content["data"]["sources"].values():
        source.pop("path", None)
    text = json.dumps([content, dict(data), weights], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclasses.dataclass(frozen=True)
class Run:
    """One training of a study, or a given checkpoint.

    Attributes:
        variant, seed: what is trained.
        config: resolved.
        key: its name in `<workdir>/runs`.
    """

    setting: Setting
    variant: Variant
    seed: int
    config: ml_collections.ConfigDict
    key: str

    @classmethod
    def of(cls, setting: Setting, variant: Variant, seed: int) -> "Run":
        """The run of a variant.

        Raises:
            UserError: no such checkpoint.
        """
        config = resolve(setting, variant, seed)
        given = variant.weights
        weights = checkpoint_identity(api.training_folder(given)) if given else ""
        return cls(setting, variant, seed, config, key_of(config, setting.data, weights))

    @property
    def folder(self) -> Path:
        """Of checkpoints, metrics and what was measured."""
        return self.setting.workdir / "runs" / self.key

    @property
    def trained(self) -> bool:
        """Whether the training is finished."""
        return bool(self.variant.weights) or (self.folder / "trained.json").is_file()

    def load(self) -> tuple[ml_collections.ConfigDict, dict]:
        """Config and variables of the trained network."""
        return api.load_variables(self.variant.weights or self.folder)

    def lock(self) -> Lock:
        """Held by the process that trains or measures the run.

        Raises:
            siamjax.locks.Busy: another process has it.
        """
        return Lock(self.folder, LOCK, "it takes this run; run the same command again later")

    def train(self, until: float) -> bool:
        """Trains, or resumes; False when SIGTERM or the end of the time stopped it.

        Args:
            until: `time.monotonic()` after which it stops.
        """
        if self.trained:
            return True
        last = loop.train(self.config, self.folder, until=until)
        jax.clear_caches()  # the programs of many networks would fill the memory
        if last["finished"]:
            write_whole(self.folder / "trained.json", json.dumps({"step": last.get("step")}) + "\n")
        return last["finished"] and not last["stopped"]

    def path_of(self, name: str, key: Any) -> Path:
        """Where something measured lies."""
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:8]
        return self.folder / "measured" / f"{name}-{digest}.json"

    def kept(self, name: str, key: Any, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """A JSON object that is computed once.

        Args:
            name: what it is.
            key: JSON value of all that it depends on besides the run.
            make: computes it.

        Raises:
            UserError: the file is damaged.
        """
        path = self.path_of(name, key)
        if not path.is_file():
            write_whole(path, json.dumps(make()) + "\n")
            jax.clear_caches()
        return read_json(path, "a value of a study")
