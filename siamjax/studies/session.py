"""What `siamjax study` does: settings from its flags, runs, tables, the page of all studies."""

import argparse
import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import ml_collections

from siamjax.config import load_config
from siamjax.errors import UserError
from siamjax.evaluation.runner import WHOLE, Shard
from siamjax.locks import Busy
from siamjax.studies import STUDIES, cost, driver, report, scores
from siamjax.studies.runs import Setting
from siamjax.training import resume

Render = Callable[[Path], None]
WAIT = 2.0  # s between two looks at shards that another process renders


def own_flags(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """A study's own flags, by name."""
    return {flag[2:]: getattr(args, flag[2:]) for flag in STUDIES[name][2]}


def trained() -> dict[str, ModuleType]:
    """The studies that train, by name."""
    modules = {name: import_module(module) for name, (module, _, _) in STUDIES.items()}
    return {name: module for name, module in modules.items() if hasattr(module, "variants")}


def run(
    names: Sequence[str], args: argparse.Namespace, rendered: Mapping[str, Any], render: Render
) -> bool:
    """Makes the runs of studies, or says what they cost, and writes what came out.

    Args:
        names: of studies that train.
        args: the command's flags.
        rendered: what decides the rendered training videos.
        render: writes them into a folder; leaves a finished one alone.

    Returns:
        False when SIGTERM ended a training.

    Raises:
        UserError: bad flags, before anything is written; runs that failed, at the end.
    """
    workdir, modules = Path(args.workdir), trained()
    shard = Shard.parse(args.shard) if args.shard else WHOLE
    until = time.monotonic() + (60 * args.minutes or math.inf)
    benchmarks = scores.benchmarks(args.dataset, args.data_root, args.clips)
    settings = {name: _setting(name, modules[name], args, rendered, benchmarks) for name in names}
    # bad flags come before the rendering
    variants = {name: modules[name].variants(settings[name]) for name in names}
    training = [name for name in names if not all(each.weights for each in variants[name])]
    renders = any(_renders(args, settings[name].base) for name in training)
    if renders and not args.dry_run:
        _render(render, workdir / "shards")
    jobs = [
        job
        for name in names
        for job in driver.jobs_of(name, modules[name], _known(settings[name], args), args.seeds)
    ]
    print("\n".join(cost.lines([job.run for job in jobs], workdir)), flush=True)
    if args.dry_run:
        print("\n".join(f"  {job}: {'done' if job.measured() else 'to do'}" for job in jobs))
        return True
    try:
        return driver.execute(jobs, shard, until)
    finally:
        for name in names:
            own = [job for job in jobs if job.name == name]
            found = driver.write(name, modules[name], own[0].run.setting, own)
            print(f"{workdir / name}: {found.question}\n{found.table()}", flush=True)
        if len(names) > 1:
            print(report.write(workdir))


def _setting(name, module, args, rendered, benchmarks) -> Setting:
    config = load_config(args.config or module.CONFIG, args.overrides)
    if args.data:
        config = _with_data(config, args.data)
    elif _renders(args, config):
        config.data.sources.synthetic.path = str(Path(args.workdir) / "shards")
    return Setting(
        workdir=Path(args.workdir),
        base=config,
        data=rendered if _renders(args, config) else {},
        benchmarks=benchmarks,
        flags=own_flags(name, args),
        full=args.full,
    )


def _renders(args, config) -> bool:
    return not args.data and "synthetic" in config.data.sources


def _with_data(config, folders: str) -> ml_collections.ConfigDict:
    """The experiment with other training sets, each drawn as its first source is."""
    first = next(iter(config.data.sources.values()))
    sources = {}
    for folder in folders.split(","):
        source = {"path": folder, "frame_range": first.frame_range, "videos": 0}
        if Path(folder).name in sources:
            raise UserError(f"--data={folders}: two folders are called {Path(folder).name}")
        sources[Path(folder).name] = source
    with config.unlocked():
        config.data.sources = ml_collections.ConfigDict(sources)
    config.lock()
    return config


def _known(setting: Setting, args) -> Setting:
    """With the identity of training sets that are not rendered here."""
    if setting.data:
        return setting
    try:
        data = resume.identity(setting.base)
    except UserError:
        if not args.dry_run:  # which says what it costs before the data are there
            raise
        data = {}
    return dataclasses.replace(setting, data=data)


def _render(render: Render, folder: Path) -> None:
    """Renders the training videos, or waits for the process that does."""
    while True:
        try:
            return render(folder)
        except Busy as busy:
            print(f"{busy}; waiting for it", flush=True)
            time.sleep(WAIT)
