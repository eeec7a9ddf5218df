"""`siamjax export`: the whole tracker as one file that runs without siamjax."""

import argparse

from siamjax import api
from siamjax.commands.flags import add_checkpoint, add_device
from siamjax.files import check_writable

DESCRIPTION = """\
Writes a trained tracker as one archive (jax.export, for CPU, CUDA and TPU, any
frame size) and a small runner beside it that needs no siamjax.
"""
EXAMPLES = (
    "siamjax export --out=tracker.zip",
    "siamjax export --checkpoint=runs/demo --out=demo.zip",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    add_checkpoint(parser)
    parser.add_argument("--out", default="tracker.zip", help="archive; default %(default)s")
    add_device(parser)


def run(args: argparse.Namespace) -> None:
    """Writes archive and runner.

    Raises:
        UserError: no such checkpoint, or an output that cannot be written.
    """
    from siamjax.tracking.export import export  # JAX

    check_writable(args.out)
    config, variables = api.load_variables(args.checkpoint)
    runner = export(args.out, config, variables)
    print(f"{args.out}: the tracker; {runner}: its runner")
