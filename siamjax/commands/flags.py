"""What the flags of several commands share."""

import argparse

from siamjax import devices
from siamjax.errors import UserError


def add_checkpoint(parser: argparse.ArgumentParser, default: str = "the bundled one") -> None:
    """`--checkpoint`, as `siamjax.load` takes it."""
    what = "training folder, checkpoint, .npz weights file, the address of one, or bundled"
    text = f"{what}; default: {default}"
    parser.add_argument("--checkpoint", help=text)


def add_device(parser: argparse.ArgumentParser) -> None:
    """`--device`, which `siamjax.cli.dispatch` reads."""
    text = "where JAX computes; default: a TPU or GPU that it finds, else the CPU"
    parser.add_argument("--device", choices=devices.DEVICES, help=text)


def add_set(parser: argparse.ArgumentParser) -> None:
    """`--set`, repeatable: constants of the tracker, read by `siamjax.constants.parse`."""
    text = "another constant of the tracker: penalty_k=0.1; again for more, or comma-separated"
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help=text)


def check_least(args: argparse.Namespace, **least: int) -> None:
    """Refuses numbers below the least that a flag takes.

    Raises:
        UserError: names the flag.
    """
    for flag, lowest in least.items():
        value = getattr(args, flag)
        if value is not None and value < lowest:
            raise UserError(f"--{flag}={value}: must be at least {lowest}")


def words(text: str | None) -> list[str]:
    """The parts of a comma-separated flag, without empty ones; [] where it is not given."""
    return [word for word in (text or "").split(",") if word]
