"""`siamjax curve`: how good a run was after so many training pairs."""

import argparse
import json
from pathlib import Path

_DESCRIPTION = "Tracks with every kept checkpoint of a run, and untrained, and draws the curve."


def add_parser(subparsers) -> argparse.ArgumentParser:
    """Adds the subcommand."""
    parser = subparsers.add_parser(
        "curve",
        help="track with every kept checkpoint of a run",
        description=_DESCRIPTION + " What is done is skipped when the command is given again.",
    )
    add = parser.add_argument
    add("--workdir", required=True, help="the run's folder; train with --config.train.keep=100")
    add("--dataset", required=True, help="benchmark, for example OTB100 or synthetic")
    add("--data_root", help="folder of the benchmark; default $SIAMJAX_DATA, then ./data")
    add("--sequences", help="only these, by comma")
    add("--limit", type=int, help="only the first so many sequences")
    add("--tracker", help="other constants of the tracker: penalty_k=0.1,lr=0.3")
    add("--baselines", default="", help="other trackers to run, by comma: static,mil")
    add("--lines", default="", help="known values to draw as levels: CSRT=0.704,other=0.7")
    add("--out", help="folder; default <workdir>/curve")
    return parser


def run(args: argparse.Namespace) -> None:
    """Evaluates, writes curve.json, curve.md and curve.png, prints the table.

    Raises:
        UserError: what the user has to change.
    """
    from siamjax import api
    from siamjax.datasets import registry
    from siamjax.evaluation import curve, scoring, trackers
    from siamjax.files import write_whole
    from siamjax.models import weights

    lines = curve.parse_lines(args.lines)
    constants = trackers.parse_constants(args.tracker)
    steps = curve.checkpoints(args.workdir)
    wanted = None if args.sequences is None else args.sequences.split(",")
    benchmark = registry.load(args.dataset, args.data_root, wanted, args.limit)
    out = Path(args.out or Path(args.workdir) / "curve")
    config, _ = api.load_variables(next(iter(steps.values())))
    start = out / "untrained.npz"
    if not start.is_file():
        weights.save(start, *curve.untrained(config))
    names, results = {}, {}
    for step, path in {0: start, **steps}.items():
        names[step] = f"step{step:07d}"
        _, folders = trackers.run_trackers(
            benchmark, out, path, name=names[step], constants=constants
        )
        results |= folders
    baselines = [name for name in args.baselines.split(",") if name]
    if baselines:
        results |= trackers.run_trackers(benchmark, out, None, baselines)[1]
    scores = scoring.score(benchmark, results)
    found = curve.table(scores, names, config.train.batch_size)
    write_whole(out / "curve.json", json.dumps(found, indent=1) + "\n")
    write_whole(out / "curve.md", curve.markdown(found))
    curve.plot(out / "curve.png", found, lines)
    print(curve.markdown(found), end="")
    print(f"picture: {out / 'curve.png'}")
