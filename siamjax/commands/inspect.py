"""`siamjax inspect`: what the network of a config consists of."""

import argparse
import json


def add_parser(subparsers) -> argparse.ArgumentParser:
    """Adds the subcommand."""
    parser = subparsers.add_parser(
        "inspect",
        help="modules, parameters and multiply-adds of a network",
        description="Prints the modules of a config's network: output shape and stride on the "
        "search crop, parameters, multiply-adds on template (once per target) and search crop "
        "(per frame).",
    )
    parser.add_argument("config", metavar="CONFIG", help="experiment file, configs/NAME.py")
    parser.add_argument("--json", action="store_true", help="totals alone, as one JSON object")
    return parser


def run(args: argparse.Namespace) -> None:
    """Prints the table, or the totals as JSON.

    Raises:
        UserError: the config makes no network.
    """
    from siamjax.config import load_config
    from siamjax.models import build, summary

    config = load_config(args.config, args.overrides)
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
