"""`siamjax study`: findings of the paper, repeated at small scale."""

import argparse
import importlib
from pathlib import Path

from data_prep import synthetic
from siamjax.commands.flags import check_least
from siamjax.commands.rendered import rendered_experiment
from siamjax.datasets import registry
from siamjax.errors import UserError
from siamjax.locks import Lock
from siamjax.studies import STUDIES

DESCRIPTION = """\
Trains small networks on rendered videos and shows in what they differ, or puts trackers to a test.
The same command resumes a study that was stopped.
"""
LENGTH, EVERY = 120, 8  # frames of a training video, and each n-th of them taken


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags, and those of the studies."""
    add = parser.add_argument
    studies = "; ".join(f"{name}: {text}" for name, (_, text, _) in STUDIES.items())
    add("what", choices=STUDIES, help=studies)
    add("--workdir", required=True, help="folder of shards, runs, table and pictures")
    add("--config", help="experiment with a source 'synthetic' (default: the study's own)")
    add("--videos", type=int, default=200, help="training videos (default: %(default)s)")
    add("--workers", type=int, default=2, help="processes (default: %(default)s)")
    add("--clips", type=int, default=16, help="held-out clips, 1..16 (default: %(default)s)")
    own: dict[str, tuple[str | int | bool, list[str]]] = {}
    for name, (_, _, flags) in STUDIES.items():
        for flag, (default, text) in flags.items():
            own.setdefault(flag, (default, []))[1].append(f"{name}: {text}")
    for flag, (default, texts) in own.items():
        if default is False:
            add(flag, action="store_true", help="; ".join(texts))
            continue
        shown = "; ".join(texts) + " (default: %(default)s)"
        add(flag, type=type(default), default=default, help=shown)


def run(args: argparse.Namespace) -> int | None:
    """Runs or resumes the study and prints its table.

    Returns:
        143 when SIGTERM ended a training, which has saved its checkpoint.

    Raises:
        UserError: what the user has to change.
    """
    check_least(args, clips=1)
    study = importlib.import_module(STUDIES[args.what][0])
    workdir = Path(args.workdir)
    config, benchmark = None, None
    trains = getattr(study, "TRAINS", True)
    if trains:
        config = rendered_experiment(
            args.config or study.CONFIG, args.overrides, workdir / "shards"
        )
        benchmark = registry.load("synthetic", limit=args.clips)
    elif args.config or args.overrides:
        given = (args.config and f"--config={args.config}") or args.overrides[0]
        raise UserError(f"{given}: the study {args.what} trains nothing; leave it out")
    plan = study.plan(config, args)
    with Lock(workdir, fix="wait for it to end, or give another --workdir"):
        if trains:
            size = {"length": LENGTH, "every": EVERY, "workers": args.workers}
            synthetic.build(workdir / "shards", args.videos, **size)
        if not study.run(config, workdir, plan, benchmark)["finished"]:
            return 143
    print((workdir / "table.md").read_text(), end="")
    print(f"pictures: {', '.join(map(str, sorted(workdir.glob('*.png'))))}")
    return None
