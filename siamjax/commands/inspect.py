"""`siamjax inspect`: the network of a config, its training pairs; whether a data set, a run, a
weights file or an archive is whole."""

import argparse
import json

from siamjax import files
from siamjax.commands.flags import add_device, check_least
from siamjax.config import load_config
from siamjax.data import shards
from siamjax.data.index import Index, fix
from siamjax.data.reindex import reindex
from siamjax.errors import UserError

DESCRIPTION = """\
siamjax inspect CONFIG [--json]
  the modules of a config's network: output shape and stride on the search crop,
  parameters, multiply-adds on template (once per target) and search crop (per frame)
siamjax inspect pairs --config=CONFIG [--out=pairs.html] [--count=24] [--start=0]
  a page of training pairs with their labels, and maps of the targets' positions
siamjax inspect shards FOLDER [--reindex]
  verifies a data set: the index, every record, what TensorFlow Datasets reads; exit code 1
  when something is damaged. --reindex writes the index anew from the records first: for an
  index that is damaged, lost, or of a version without checksums
siamjax inspect run FOLDER
  reads and verifies every checkpoint of a training; exit code 1 when some are damaged
siamjax inspect weights FILE.npz
  reads and verifies a weights file
siamjax inspect archive FILE.zip
  reads and verifies what siamjax export wrote, and says until when jax reads it
"""
# what else is verified, and what is to be named then
_FILES = {"run": "the run's folder", "weights": "the .npz file", "archive": "the .zip file"}
EXAMPLES = (
    "siamjax inspect resnet50",
    "siamjax inspect pairs --config=demo --out=pairs.html",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    add = parser.add_argument
    what = "CONFIG | pairs | shards | run | weights | archive"
    add("what", metavar=what, help="experiment: a file or a name; or what")
    add("folder", nargs="?", help="with shards, run: the folder; with weights, archive: the file")
    add("--reindex", action="store_true", help="with shards: write the index anew first")
    add("--json", action="store_true", help="totals alone, as one JSON object")
    add("--config", help="with pairs: experiment, a file or a name")
    add("--out", default="pairs.html", help="with pairs: page")
    add("--count", type=int, default=24, help="with pairs: how many")
    add("--start", type=int, default=0, help="with pairs: first position")
    add_device(parser)


def run(args: argparse.Namespace) -> int | None:
    """Prints the network's table, writes the page of pairs, or verifies what is named.

    Returns:
        1 when records of the data set, or checkpoints of the run, are damaged.

    Raises:
        UserError: bad arguments or input.
    """
    kinds = {"pairs": _pairs, "shards": _shards, **dict.fromkeys(_FILES, _files)}
    return kinds.get(args.what, _network)(args)


def _pairs(args: argparse.Namespace) -> None:
    from siamjax.training import pairs_page  # JAX

    if not args.config:
        raise UserError("inspect pairs: give the experiment as --config=configs/NAME.py")
    check_least(args, count=1, start=0)
    config = load_config(args.config, args.overrides)
    files.check_writable(args.out)
    positions = range(args.start, args.start + args.count)
    files.write_whole(args.out, pairs_page.page(config, positions))
    print(args.out)
    first = range(args.start, args.start + pairs_page.POSITIONS)
    kinds = pairs_page.negatives(config, first)
    print(f"{sum(kinds.values())} of {len(first)} pairs are negative and show")
    for kind, count in kinds.items():
        print(f"  {kind}: {count}")


def _shards(args: argparse.Namespace) -> int | None:
    if not args.folder:
        raise UserError("inspect shards: name the folder of the data set")
    left_out = reindex(args.folder) if args.reindex else []
    index = Index(args.folder)
    bad = left_out + shards.verify(args.folder)
    for line in bad:
        print(line)
    counts = f"{index.videos} videos, {index.tracks} tracks, {index.crops} crops"
    print(f"{args.folder}: {counts}, {len(bad)} damaged")
    if "columns" not in index.manifest:
        print(f"its index has no checksums; {fix(args.folder)}")
    return 1 if bad else None


def _files(args: argparse.Namespace) -> int | None:
    from siamjax.integrations import verify  # JAX

    if not args.folder:
        raise UserError(f"inspect {args.what}: name {_FILES[args.what]}")
    damaged = 0
    if args.what == "run":
        lines, damaged = verify.run(args.folder)
    else:
        kinds = {"weights": verify.weights_file, "archive": verify.archive}
        lines = kinds[args.what](args.folder)
    print("\n".join(lines))
    return 1 if damaged else None


def _network(args: argparse.Namespace) -> None:
    from siamjax.models import build, summary  # JAX

    config = load_config(args.what, args.overrides)
    model = build(config)
    totals = summary.totals(model)
    if args.json:
        print(json.dumps(totals))
        return
    exemplar, instance = config.crops.exemplar, config.tracker.instance
    rows = summary.rows(model, exemplar, instance)
    print(f"{config.name}: multiply-adds on template {exemplar} px and search {instance} px")
    line = "{:<24}{:>16}{:>8}{:>14}{:>12}{:>12}".format
    print(line("module", "output", "stride", "parameters", "template", "search"))
    for row in rows:
        output = "x".join(map(str, row.output)) if row.output else "-"
        print(line(row.name, output, row.stride or "-", f"{row.parameters:,}", *_work([row])))
    for key, part in summary.PARTS.items():
        own = [row for row in rows if row.name.split("/")[0] == part]
        print(line(key, "", "", f"{totals[key]:,}", *_work(own)))
    print(line("total", "", "", f"{totals['total']:,}", *_work(rows)))
    if "tensors" in totals:
        print(f"{totals['tensors']} tensors in a checkpoint of PySOT")


def _work(rows) -> tuple[str, str]:
    """Multiply-adds on template and search crop."""
    return tuple(f"{sum(getattr(r, k) for r in rows) / 1e9:.3f} G" for k in ("template", "search"))
