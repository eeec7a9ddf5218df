"""The flags that name a benchmark, which several commands share."""

import argparse

from siamjax.commands.flags import check_least
from siamjax.datasets import registry


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
        UserError: as `siamjax.datasets.registry.load`; a limit below 1; a folder for the synthetic
            set.
    """
    check_least(args, limit=1)
    registry.check_root([args.dataset], args.data_root)
    wanted = None if args.sequences is None else args.sequences.split(",")
    try:
        return registry.load(args.dataset, args.data_root, wanted, args.limit, images)
    except registry.NotFound as error:
        if args.data_root is not None:
            raise
        hint = "to try siamjax without it: --dataset=synthetic works at once"
        raise registry.NotFound(f"{error}\n  {hint}", error.places) from None
