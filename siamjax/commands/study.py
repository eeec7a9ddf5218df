"""`siamjax study`: findings of the paper, repeated at small scale."""

import argparse
import importlib.util
from pathlib import Path

from siamjax.errors import UserError

_DESCRIPTION = (
    "siamjax study shift: trains the same padded network with several shifts of the search crop on "
    "rendered videos, and shows how far each one expects its target in the middle. The same "
    "command goes on with a study that was stopped."
)
LENGTH, EVERY = 120, 8  # frames of a training video, and each n-th of them taken


def add_parser(subparsers) -> argparse.ArgumentParser:
    """Adds the subcommand."""
    parser = subparsers.add_parser(
        "study", help="the paper's shift study at small scale", description=_DESCRIPTION
    )
    add = parser.add_argument
    add("what", choices=("shift",), help="the study")
    add("--workdir", required=True, help="folder of shards, runs, table and pictures")
    add("--config", help="experiment with a source 'synthetic' (default: configs/shift_study.py)")
    add("--shifts", default="0,16,32,64", help="px, by comma (default: %(default)s)")
    add("--videos", type=int, default=200, help="training videos (default: %(default)s)")
    add("--workers", type=int, default=2, help="rendering processes (default: %(default)s)")
    add("--clips", type=int, default=16, help="held-out clips, 1..16 (default: %(default)s)")
    return parser


def run(args: argparse.Namespace) -> int | None:
    """Runs or goes on with the study and prints its table.

    Returns:
        143 when SIGTERM ended a training, which has saved its checkpoint.

    Raises:
        UserError: what the user has to change.
    """
    from siamjax.config import load_config

    if args.clips < 1:
        raise UserError(f"--clips={args.clips}: must be at least 1")
    try:
        shifts = [int(word) for word in args.shifts.split(",")]
    except ValueError:
        raise UserError(f"--shifts={args.shifts}: give whole px by comma, as 0,32,64") from None
    experiment = args.config or importlib.util.find_spec("configs.shift_study").origin
    config = load_config(experiment, args.overrides)
    if "synthetic" not in config.data.sources:
        raise UserError(
            f"--config={experiment}: data.sources has no 'synthetic', which the study renders; "
            "add it as configs/demo.py does"
        )
    workdir = Path(args.workdir)
    config.data.sources.synthetic.path = str(workdir / "shards")

    from data_prep import synthetic
    from siamjax.datasets import registry
    from siamjax.studies import shift

    shift.check(config, shifts)
    benchmark = registry.load("synthetic", limit=args.clips)
    placements = shift.Placements(clips=len(benchmark.sequences))
    synthetic.build(
        workdir / "shards", args.videos, length=LENGTH, every=EVERY, workers=args.workers
    )
    found = shift.run(config, workdir, shifts, benchmark, placements)
    if not found["finished"]:
        return 143
    print((workdir / "table.md").read_text(), end="")
    print(f"heat maps: {workdir / 'heatmaps.png'}")
    return None
