"""`siamjax inspect`: the network of a config, its training pairs, or a data set."""

import argparse
import json
import os
from pathlib import Path

from siamjax.errors import UserError


def add_parser(subparsers) -> argparse.ArgumentParser:
    """Adds the subcommand."""
    parser = subparsers.add_parser(
        "inspect",
        help="look at a network, at training pairs, at shards",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="siamjax inspect CONFIG [--json]\n"
        "  the modules of a config's network: output shape and stride on the search crop,\n"
        "  parameters, multiply-adds on template (once per target) and search crop (per frame)\n"
        "siamjax inspect pairs --config=CONFIG [--out=pairs.html] [--count=24] [--start=0]\n"
        "  a page of training pairs with their labels, and maps of the targets' positions\n"
        "siamjax inspect shards FOLDER\n"
        "  reads and verifies every record of a data set; exit code 1 when some are damaged",
    )
    parser.add_argument("what", metavar="CONFIG | pairs | shards", help="experiment file, or what")
    parser.add_argument("folder", nargs="?", help="with shards: the data set's folder")
    parser.add_argument("--json", action="store_true", help="totals alone, as one JSON object")
    parser.add_argument("--config", help="with pairs: experiment file")
    parser.add_argument("--out", default="pairs.html", help="with pairs: page")
    parser.add_argument("--count", type=int, default=24, help="with pairs: how many")
    parser.add_argument("--start", type=int, default=0, help="with pairs: first position")
    return parser


def run(args: argparse.Namespace) -> int | None:
    """Prints the network's table, writes the page of pairs, or verifies a data set.

    Returns:
        1 when records of the data set are damaged.

    Raises:
        UserError: bad arguments or input.
    """
    if args.what == "pairs":
        return _pairs(args)
    if args.what == "shards":
        return _shards(args)
    return _network(args)


def _pairs(args):
    from siamjax.config import load_config
    from siamjax.files import check_writable
    from siamjax.training.pairs_page import page

    if not args.config:
        raise UserError("inspect pairs: give the experiment as --config=configs/NAME.py")
    if args.count < 1:
        raise UserError(f"--count={args.count}: must be at least 1")
    if args.start < 0:
        raise UserError(f"--start={args.start}: must be at least 0")
    config = load_config(args.config, args.overrides)
    out = Path(args.out)
    check_writable(out)
    text = page(config, range(args.start, args.start + args.count))
    temporary = out.with_name(f".{out.name}.tmp")
    temporary.write_text(text)
    os.replace(temporary, out)
    print(out)


def _shards(args):
    from siamjax.data import shards
    from siamjax.data.index import Index

    if not args.folder:
        raise UserError("inspect shards: name the folder of the data set")
    index = Index(args.folder)
    bad = shards.verify(args.folder)
    for line in bad:
        print(line)
    counts = f"{index.videos} videos, {index.tracks} tracks, {index.crops} crops"
    print(f"{args.folder}: {counts}, {len(bad)} damaged")
    return 1 if bad else None


def _network(args):
    from siamjax.config import load_config
    from siamjax.models import build, summary

    config = load_config(args.what, args.overrides)
    model = build(config)
    totals = summary.totals(model)
    if args.json:
        print(json.dumps(totals))
        return
    rows = summary.rows(model, config.crops.exemplar, config.tracker.instance)
    sides = f"template {config.crops.exemplar} px", f"search {config.tracker.instance} px"
    print(f"{config.name}: multiply-adds on {sides[0]} and {sides[1]}")
    print(
        f"{'module':<24}{'output':>16}{'stride':>8}{'parameters':>14}{'template':>12}{'search':>12}"
    )
    for row in rows:
        output = "x".join(map(str, row.output)) if row.output else "-"
        print(
            f"{row.name:<24}{output:>16}{row.stride or '-':>8}{row.parameters:>14,}"
            f"{_short(row.template):>12}{_short(row.search):>12}"
        )
    for key, part in summary.PARTS.items():
        mine = [row for row in rows if row.name.split("/")[0] == part]
        template, search = sum(row.template for row in mine), sum(row.search for row in mine)
        print(f"{key:<48}{totals[key]:>14,}{_short(template):>12}{_short(search):>12}")
    template, search = sum(row.template for row in rows), sum(row.search for row in rows)
    print(f"{'total':<48}{totals['total']:>14,}{_short(template):>12}{_short(search):>12}")
    print(f"{totals['tensors']} tensors in a checkpoint")


def _short(number):
    return f"{number / 1e9:.3f} G"
