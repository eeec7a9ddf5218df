"""`siamjax prepare`: training sets from data sets in their own layouts; `python -m data_prep`."""

import argparse

from data_prep.__main__ import listing, main

DESCRIPTION = f"""\
Writes a training set: context crops of a data set in its own layout, or of your
own videos. The same as python -m data_prep.

{listing("siamjax prepare")}
"""
EXAMPLES = (
    "siamjax prepare folder --source=my_videos --out=data/mine",
    "siamjax prepare got10k --source=GOT-10k --check",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="NAME ...", help="data set and its flags"
    )


def run(args: argparse.Namespace) -> None:
    """Runs the preparation, or lists the names.

    Raises:
        UserError: what the user has to change.
    """
    main(args.arguments, "siamjax prepare")
