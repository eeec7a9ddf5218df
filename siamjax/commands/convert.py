"""`siamjax convert`: weights of other programs into siamjax's portable file, and back to PySOT."""

import argparse
from pathlib import Path

from siamjax.errors import UserError

_SOURCES = {
    "pysot": "a PySOT checkpoint (.pth), all of it",
    "pysot-backbone": "a pretrained backbone in PySOT's form (resnet50.model)",
    "torchvision": "an ImageNet ResNet-18, 34 or 50 of torchvision or timm (.pth)",
    "mobilenetv2": "an ImageNet MobileNetV2 of width 1.0 with folded normalisations (.npz)",
    "siamjax": "a training run's folder (its newest checkpoint), one checkpoint, or a weights file",
    "to-pysot": "back: a siamjax weights file (.npz) to a checkpoint for PySOT's loader",
}
_DESCRIPTION = """\
Weights of other programs into siamjax's own file, and back.
Every tensor is mapped, or the command says which were not and writes nothing.
A backbone's file leaves neck and head random (seed: --config.seed).

SOURCE is one of
"""


def add_parser(subparsers) -> argparse.ArgumentParser:
    """Adds the subcommand."""
    parser = subparsers.add_parser(
        "convert",
        help="weights of PySOT, torchvision and others in, and back out",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=_DESCRIPTION
        + "\n".join(f"  {name:<16}{what}" for name, what in _SOURCES.items()),
        epilog="Reading and writing .pth needs torch: pip install 'siamjax[convert]'.",
    )
    parser.add_argument("source", metavar="SOURCE", choices=_SOURCES, help="what MODEL is")
    parser.add_argument("model", metavar="MODEL", help="file to read")
    parser.add_argument("out", metavar="OUT", help="file to write")
    parser.add_argument(
        "--config",
        help="experiment file the weights belong to; --config.section.field=value changes a field "
        "(to-pysot and siamjax take the config from MODEL; given to siamjax, it is stored instead)",
    )
    parser.add_argument(
        "--half", action="store_true", help="store OUT in half precision (not with to-pysot)"
    )
    return parser


def run(args: argparse.Namespace) -> None:
    """Converts one file.

    Raises:
        UserError: what the user has to change.
    """
    if args.source == "to-pysot":
        _to_pysot(args)
    elif args.source == "siamjax":
        _from_siamjax(args)
    else:
        _from_others(args)


def _from_others(args):
    from siamjax.config import load_config
    from siamjax.models import build, init_variables, weights
    from siamjax.models import import_imagenet as imagenet
    from siamjax.models import import_torch as pysot

    if not args.config:
        raise UserError("give the network that the weights belong to, --config=configs/NAME.py")
    config = load_config(args.config, args.overrides)
    model = build(config)
    tensors = _read(args)
    if args.source == "pysot":
        variables, metadata = pysot.from_pysot(model, tensors, args.model)
    else:
        backbone = {
            "pysot-backbone": pysot.backbone_from_pysot,
            "torchvision": imagenet.backbone_from_torchvision,
            "mobilenetv2": imagenet.backbone_from_mobilenetv2,
        }[args.source](model, tensors, args.model)
        variables, metadata = init_variables(model, config.seed), {}
        for collection, parts in backbone.items():
            variables[collection]["backbone"] = parts["backbone"]
    weights.check_matches(model, variables, args.model)
    metadata |= {"source": args.source, "file": Path(args.model).name}
    weights.save(args.out, config, variables, metadata, args.half)
    print(f"{args.out}: {_count(variables)} from {args.model} ({len(tensors)} tensors there)")


def _from_siamjax(args):
    from siamjax import api
    from siamjax.config import load_config
    from siamjax.models import weights

    config, variables = api.load_variables(args.model)
    metadata = {"source": "siamjax"}
    if Path(args.model).is_file():
        metadata = weights.load_with_metadata(args.model)[2]
    if args.config:
        config = load_config(args.config, args.overrides)
        weights.check_matches(config, variables, args.model)
    weights.save(args.out, config, variables, metadata, args.half)
    print(f"{args.out}: {_count(variables)} from {args.model}")


def _to_pysot(args):
    from siamjax.models import build, torch_files, weights
    from siamjax.models.import_torch import to_pysot

    if args.half:
        raise UserError("--half: PySOT's checkpoints are float32; leave it out")
    if args.config:
        raise UserError("--config: to-pysot takes the config from the weights file; leave it out")
    config, variables, metadata = weights.load_with_metadata(args.model)
    model = build(config)
    weights.check_matches(model, variables, args.model)
    tensors = to_pysot(model, variables, metadata)
    torch_files.write(args.out, tensors)
    print(f"{args.out}: {len(tensors)} tensors under PySOT's names")


def _read(args):
    import zipfile

    import numpy as np

    from siamjax.models import torch_files

    if args.source != "mobilenetv2":
        return torch_files.read(args.model)
    if not Path(args.model).is_file():
        raise UserError(f"{args.model}: no such file")
    try:
        with np.load(args.model) as file:
            return dict(file)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise UserError(f"{args.model}: not an .npz file of arrays") from error


def _count(variables):
    import jax

    leaves = jax.tree.leaves(variables)
    return f"{len(leaves)} arrays, {sum(leaf.size for leaf in leaves):,} numbers"
