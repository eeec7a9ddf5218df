"""What the flags of several commands share."""

import argparse

from siamjax.datasets import registry
from siamjax.errors import UserError


def add_checkpoint(parser: argparse.ArgumentParser, default: str = "the bundled one") -> None:
    """`--checkpoint`, as `siamjax.load` takes it."""
    parser.add_argument(
        "--checkpoint",
        help=f"training folder, checkpoint or .npz weights file; default: {default}",
    )


def add_benchmark(parser: argparse.ArgumentParser, examples: str = "OTB100 or synthetic") -> None:
    """The flags that `load_benchmark` reads."""
    add = parser.add_argument
    add("--dataset", required=True, help=f"benchmark, for example {examples}")
    add("--data_root", help="folder of the benchmark; default $SIAMJAX_DATA, then ./data")
    add("--sequences", help="only these, comma-separated")
    add("--limit", type=int, help="only the first so many sequences")


def load_benchmark(args: argparse.Namespace, images: bool = True) -> registry.Benchmark:
    """The benchmark that the flags name.

    Raises:
        UserError: as `siamjax.datasets.registry.load`; a limit below 1.
    """
    check_least(args, limit=1)
    wanted = None if args.sequences is None else args.sequences.split(",")
    return registry.load(args.dataset, args.data_root, wanted, args.limit, images)


def check_least(args: argparse.Namespace, **least: int) -> None:
    """Refuses numbers below the least that a flag takes.

    Raises:
        UserError: names the flag.
    """
    for flag, lowest in least.items():
        value = getattr(args, flag)
        if value is not None and value < lowest:
            raise UserError(f"--{flag}={value}: must be at least {lowest}")


def words(text: str) -> list[str]:
    """The parts of a comma-separated flag, without empty ones."""
    return [word for word in text.split(",") if word]
