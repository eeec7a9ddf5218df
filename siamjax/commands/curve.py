"""`siamjax curve`: how good a run was after so many training pairs."""

import argparse
import sys
from pathlib import Path

from siamjax import constants
from siamjax.commands.benchmark_flags import add_benchmark, load_benchmark
from siamjax.commands.flags import add_device, add_set, words
from siamjax.commands.tracker_flags import add_trackers
from siamjax.evaluation import trackers

DESCRIPTION = """\
Tracks with every kept checkpoint of a run, and untrained, and draws the curve.
What is done is skipped when the command is given again.
"""
EXAMPLES = (
    "siamjax curve --workdir=runs/demo/train --dataset=synthetic",
    "siamjax curve --workdir=runs/x --dataset=OTB100 --data_root=data --baselines=static",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    add = parser.add_argument
    add("--workdir", required=True, help="the run's folder; train with --config.train.keep=100")
    add_benchmark(parser)
    add_set(parser)
    add_trackers(parser)
    add("--baselines", help="other trackers to run, comma-separated: static,mil")
    add("--lines", default="", help="known values to draw as levels: CSRT=0.704,other=0.7")
    add("--out", help="folder; default <workdir>/curve")
    add_device(parser)


def run(args: argparse.Namespace) -> int | None:
    """Evaluates, writes curve.json, curve.md and curve.png, prints the table.

    Returns:
        1 when a checkpoint or another tracker failed and is left out; it is named.

    Raises:
        UserError: what the user has to change.
    """
    from siamjax.evaluation import curve  # JAX, orbax, matplotlib

    lines = curve.parse_lines(args.lines)
    chosen = constants.parse(args.set)
    others = [*args.tracker, *words(args.baselines)]
    if others:
        trackers.select(None, others)  # what is wrong with them is said before anything runs
    steps = curve.checkpoints(args.workdir)
    out = Path(args.out or Path(args.workdir) / "curve")
    found = curve.evaluate(steps, load_benchmark(args), out, others, chosen)
    curve.write(out, found, lines)
    print(curve.markdown(found), end="")
    print(f"picture: {out / 'curve.png'}")
    for label, reason in found["left_out"].items():
        print(f"{label} is left out: {reason}", file=sys.stderr)
    return 1 if found["left_out"].keys() - {curve.UNTRAINED} else None
