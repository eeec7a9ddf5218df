"""`siamjax convert`: weights of other programs into siamjax's portable file, and back to PySOT."""

import argparse
from pathlib import Path

from siamjax import api, installation
from siamjax.commands.flags import add_device
from siamjax.config import load_config, override
from siamjax.errors import UserError

_SOURCES = {
    "pysot": "a PySOT checkpoint (.pth), all of it",
    "pysot-backbone": "a pretrained backbone in PySOT's form (resnet50.model)",
    "torchvision": "an ImageNet ResNet-18, 34 or 50 of torchvision or timm (.pth)",
    "mobilenetv2": "an ImageNet MobileNetV2 of width 1.0 with folded normalisations (.npz)",
    "nanotrack": "the backbone of NanoTrackV3, a MobileNetV3-small (.pth, or its arrays as .npz)",
    "siamjax": "a training run's folder (its newest checkpoint), a checkpoint, a weights file, or "
    "bundled",
    "to-pysot": "back: a siamjax weights file (.npz) to a checkpoint for PySOT's loader",
}
DESCRIPTION = f"""\
Weights of other programs into siamjax's own file, and back.
Every tensor is mapped, or the command says which were not and writes nothing.
A backbone's file leaves neck and head random (seed: --config.seed).
Reading and writing .pth needs torch: {installation.extra("convert")}.

SOURCE is one of
""" + "\n".join(f"  {name:<16}{what}" for name, what in _SOURCES.items())
EXAMPLES = (
    "siamjax convert pysot model.pth weights.npz --config=resnet50",
    "siamjax convert siamjax bundled long.npz --config.tracker.long_term=True",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    add = parser.add_argument
    add("source", metavar="SOURCE", choices=_SOURCES, help="what MODEL is")
    add("model", metavar="MODEL", help="file to read")
    add("out", metavar="OUT", help="file to write")
    add(
        "--config",
        help="experiment the weights belong to, a file or a name; --config.section.field=value "
        "changes a field (to-pysot and siamjax take the config from MODEL; given to siamjax, it is "
        "stored instead; without --config a field of MODEL's is changed)",
    )
    add("--half", action="store_true", help="store OUT in half precision (not with to-pysot)")
    add_device(parser)


def run(args: argparse.Namespace) -> None:
    """Converts one file.

    Raises:
        UserError: what the user has to change.
    """
    if args.source != "siamjax" and not Path(args.model).is_file():
        raise UserError(f"{args.model}: no such file")
    from siamjax.integrations import convert  # JAX

    if args.source == "to-pysot":
        if args.half:
            raise UserError("--half: PySOT's checkpoints are float32; leave it out")
        if args.config:
            raise UserError("--config: to-pysot takes that of the weights file; leave it out")
        print(convert.to_pysot(args.model, args.out))
        return
    config = load_config(args.config, args.overrides) if args.config else None
    if config is None and args.source == "siamjax" and args.overrides:
        config = override(api.load_variables(args.model)[0].unlock(), args.overrides)
    if config is None and args.source != "siamjax":
        raise UserError("give the network that the weights belong to, --config=configs/NAME.py")
    print(convert.to_siamjax(args.source, args.model, args.out, config, args.half))
