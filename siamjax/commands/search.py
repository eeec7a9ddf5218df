"""`siamjax search`: the best penalty_k, window influence and lr on a validation set."""

import argparse
from pathlib import Path

from siamjax import api
from siamjax.commands.benchmark_flags import add_benchmark, load_benchmark
from siamjax.commands.flags import add_checkpoint, add_device
from siamjax.datasets import registry
from siamjax.evaluation.specs import checkpoint_identity

DESCRIPTION = "Tries many settings of the tracker on a validation set in one pass."
EXAMPLES = (
    "siamjax search --dataset=synthetic --limit=4",
    "siamjax search --dataset=GOT-10k-val --penalty_k=0.04,0.1 --lr=0.3,0.4",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    add = parser.add_argument
    add_benchmark(parser, "GOT-10k-val, synthetic or folder")
    add_checkpoint(parser)
    for constant in ("penalty_k", "window_influence", "lr"):
        add(f"--{constant}", help="values to try, comma-separated")
    add("--out", help="folder for scores, best setting and heat map; default runs/search/<dataset>")
    add("--exact", action="store_true", help="score all settings exactly, not the best few alone")
    add("--allow_test", action="store_true", help="search on a test benchmark all the same")
    add_device(parser)


def run(args: argparse.Namespace) -> None:
    """Searches as the flags say and prints the best setting.

    Raises:
        UserError: what the user has to change.
    """
    from siamjax.evaluation import search  # JAX

    search.check_dataset(registry.get(args.dataset), args.allow_test)
    given = {name: text for name in search.NAMES if (text := getattr(args, name))}
    grid = search.Grid(**{name: search.parse_values(name, text) for name, text in given.items()})
    benchmark = load_benchmark(args)
    checkpoint = args.checkpoint or api.default_checkpoint()
    identity = checkpoint_identity(checkpoint)
    config, variables = api.load_variables(checkpoint)
    out = Path(args.out or f"runs/search/{benchmark.name}")
    found = search.search(
        benchmark, config, variables, out, grid, identity, args.allow_test, args.exact
    )
    best = found["best"]
    setting = ", ".join(f"{name} {best[name]:g}" for name in search.NAMES)
    print(f"{benchmark.title}: {benchmark.count}; {len(grid.settings())} settings")
    print(f"best success AUC {best['score']:.3f}: {setting}")
    print((out / "best.txt").read_text(), end="")
    print(f"heat map: {out / 'heatmap.png'}")
