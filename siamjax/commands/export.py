"""`siamjax export`: the whole tracker as one file that runs without siamjax."""

import argparse

from siamjax.files import check_writable

_DESCRIPTION = (
    "Writes a trained tracker as one archive (jax.export, for CPU, CUDA and TPU, any frame size) "
    "and a small runner beside it that needs no siamjax."
)


def add_parser(subparsers) -> argparse.ArgumentParser:
    """Adds the subcommand."""
    parser = subparsers.add_parser(
        "export", help="one file that tracks without siamjax", description=_DESCRIPTION
    )
    parser.add_argument(
        "--checkpoint",
        help="training folder, checkpoint or .npz weights file; default: the one that comes along",
    )
    parser.add_argument("--out", default="tracker.zip", help="archive; default %(default)s")
    return parser


def run(args: argparse.Namespace) -> None:
    """Writes archive and runner.

    Raises:
        UserError: no such checkpoint, or an output that cannot be written.
    """
    from siamjax import api
    from siamjax.tracking.export import export

    check_writable(args.out)
    config, variables = api.load_variables(args.checkpoint)
    runner = export(args.out, config, variables)
    print(f"{args.out}: the tracker; {runner}: its runner")
