"""`siamjax study`: the experiments of the paper, one command each, at small scale or at its own."""

import argparse
import functools
import importlib
from pathlib import Path

from data_prep import parts, synthetic
from siamjax.commands.flags import add_device, check_least
from siamjax.errors import UserError
from siamjax.locks import Lock
from siamjax.studies import STUDIES

DESCRIPTION = """\
Trains networks that differ in one thing, each from several seeds, and shows in what they differ;
or puts trackers to a test. The same command resumes a study that was stopped. Studies in one
--workdir share their runs; several processes and machines may work in it.
  siamjax study all     every study that trains, their main contrasts first
  siamjax study report  one page of what is there
"""
LENGTH, EVERY = 120, 8  # frames of a training video, and each n-th of them taken
ALL, REPORT = "all", "report"
EXAMPLES = (
    "siamjax study shift --workdir=runs/study --dry_run",
    "siamjax study all --workdir=runs/study --minutes=60",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags, and those of the studies."""
    add = parser.add_argument
    studies = "; ".join(f"{name}: {text}" for name, (_, text, _) in STUDIES.items())
    add("what", metavar="STUDY", choices=(*STUDIES, ALL, REPORT), help=studies)
    add("--workdir", required=True, help="folder of shards, runs, tables and pictures")
    add("--config", help="experiment (default: the study's own, a narrow network)")
    add("--seeds", type=int, default=3, help="trainings of each variant (default: %(default)s)")
    add("--full", action="store_true", help="all variants, or views, not the main ones")
    add(
        "--data",
        default="",
        help="shards to train on instead of rendered videos, comma-separated; robustness, presence,"
        " returns: folders of labelled clips, [BENCHMARK=]FOLDER",
    )
    add("--dataset", default="synthetic", help="scored on; comma-separated (default: %(default)s)")
    add("--data_root", help="folder of the data sets")
    add("--videos", type=int, default=200, help="rendered to train on (default: %(default)s)")
    add("--clips", type=int, default=8, help="rendered to score on, 1..16 (default: %(default)s)")
    add("--workers", type=int, default=2, help="processes that render (default: %(default)s)")
    add("--minutes", type=float, default=0, help="begin nothing after so many (default: no limit)")
    add("--shard", metavar="I/N", help="make part I of N (from 0) of the runs")
    add("--dry_run", action="store_true", help="say what would be run and what it costs")
    own: dict[str, tuple[str | int, list[str]]] = {}
    for name, (_, _, flags) in STUDIES.items():
        for flag, (default, text) in flags.items():
            own.setdefault(flag, (default, []))[1].append(f"{name}: {text}")
    for flag, (default, texts) in own.items():
        shown = "; ".join(texts) + " (default: %(default)s)"
        add(flag, type=type(default), default=default, help=shown)
    add_device(parser)


def run(args: argparse.Namespace) -> int | None:
    """Runs or resumes studies and prints their tables.

    Returns:
        143 when SIGTERM ended a training, which has saved its checkpoint.

    Raises:
        UserError: what the user has to change.
    """
    check_least(args, clips=1, seeds=1, videos=1, minutes=0)
    if args.what not in (ALL, REPORT):
        study = importlib.import_module(STUDIES[args.what][0])
        if not hasattr(study, "variants"):
            return _alone(study, args)
    from siamjax.studies import report, session  # JAX

    if args.what == REPORT:
        print(report.write(Path(args.workdir)))
        return None
    names = list(session.trained()) if args.what == ALL else [args.what]
    size = {"videos": args.videos, "length": LENGTH, "every": EVERY}
    rendered = {**size, "code": parts.code_hash(synthetic.CODE)}
    render = functools.partial(synthetic.build, **size, workers=args.workers)
    return None if session.run(names, args, rendered, render) else 143


def _alone(study, args: argparse.Namespace) -> None:
    """A study that trains nothing."""
    if args.config or args.overrides:
        given = (args.config and f"--config={args.config}") or args.overrides[0]
        raise UserError(f"{given}: the study {args.what} trains nothing; leave it out")
    workdir, plan = Path(args.workdir), study.plan(args)
    with Lock(workdir, fix="wait for it to end, or give another --workdir"):
        study.run(workdir, plan)
    print((workdir / "table.md").read_text(), end="")
    if pictures := sorted(map(str, workdir.glob("*.png"))):
        print(f"pictures: {', '.join(pictures)}")
