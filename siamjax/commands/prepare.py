"""`siamjax prepare`: training sets from data sets in their own layouts; `python -m data_prep`."""

import argparse

from siamjax import bundled

_DESCRIPTION = (
    "Writes a training set: context crops of a data set in its own layout, or of your own videos. "
    "siamjax prepare lists the names, siamjax prepare NAME --help the flags of one. "
    "The same as python -m data_prep."
)


def add_parser(subparsers) -> argparse.ArgumentParser:
    """Adds the subcommand."""
    parser = subparsers.add_parser(
        "prepare",
        help="make a training set of a data set or your own videos",
        description=_DESCRIPTION,
    )
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="NAME ...", help="data set and its flags"
    )
    return parser


def run(args: argparse.Namespace) -> None:
    """Runs the preparation, or lists the names.

    Raises:
        UserError: what the user has to change.
    """
    bundled.call("data_prep.__main__", "main", args.arguments, "siamjax prepare")
