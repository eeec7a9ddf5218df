"""What each type of the computation does to the network's maps and to a track.

    python benchmarks/precision.py --data=DATA --out=benchmarks/results/precision-cpu.json

DATA holds OTB100, a few of its sequences at least. Maps: three real pairs, a sequence's first frame
and its eleventh each; root mean square of the difference of cls and loc to those of float32, over
that of float32's own. ResNet-50 has weights drawn at random and normalisations by the pairs'
statistics, as in training; the bundled tracker its own weights and statistics. Tracks are the
bundled tracker's: mean and least overlap with float32's boxes, frame by frame.

A CPU computes float16 and bfloat16 products in float32 and rounds them, as accelerators do; the
order of the sums differs.
"""

import argparse
import sys
from pathlib import Path

import jax
import numpy as np
from machine import keep, machine

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from configs import base
from siamjax import api, models
from siamjax.datasets import registry
from siamjax.geometry import crops
from siamjax.measures.robustness import overlaps
from siamjax.models import weights
from siamjax.tracking import Tracker, TrackerConfig
from siamjax.tracking import tracker as rules

EXACT = "float32"
TYPES = {
    EXACT: ("float32", "float32"),
    "float32, early layers float16": ("float32", "float16"),
    "bfloat16, early layers float32": ("bfloat16", "float32"),
    "bfloat16, early layers float16": ("bfloat16", "float16"),
    "float16": ("float16", "float16"),
    "bfloat16": ("bfloat16", "bfloat16"),
}


def pair_of(config, sequence):
    """Template crop of a sequence's first frame, search crop of its eleventh."""
    constants = TrackerConfig.of(config)
    first, later = sequence.frames[0], sequence.frames[10]
    motion = rules.begin(np.float64(sequence.boxes[0]))
    centre, side = rules.template_window(constants, motion)
    average = crops.colour_mean(first)
    template = crops.subwindow(first, centre, constants.exemplar, side, average)
    place = rules.window(constants, constants.settings(), motion, False)
    search = crops.subwindow(later, place.centre, place.instance, place.side, average)
    return template, search


def maps(config, variables, types, pairs, batch_norms):
    """cls and loc of the pairs in some types."""
    model = models.build(config).clone(dtype=types[0], early_dtype=types[1])
    z, x = (np.stack(side) for side in zip(*pairs))
    if not batch_norms:
        return jax.jit(model.apply)(variables, z, x)
    layers = tuple(variables["params"]["backbone"])

    def apply(variables, z, x):
        return model.apply(variables, z, x, True, layers, mutable=["batch_stats"])[0]

    return jax.jit(apply)(variables, z, x)


def errors(config, variables, sequences, batch_norms) -> dict:
    """Root mean squares of the differences to float32."""
    pairs = [pair_of(config, sequence) for sequence in sequences]
    found, wanted = {}, None
    for name, types in TYPES.items():
        both = [np.asarray(x) for x in maps(config, variables, types, pairs, batch_norms)]
        wanted = both if wanted is None else wanted
        found[name] = {
            branch: float(f"{np.sqrt(np.mean((a - b) ** 2) / np.mean(b**2)):.3g}")
            for branch, a, b in zip(("cls", "loc"), both, wanted)
        }
        print(name, found[name], flush=True)
    del found[EXACT]
    return found


def tracks(config, variables, sequence, frames) -> dict:
    """Overlaps of the boxes with float32's."""
    found, wanted = {}, None
    for name, (dtype, early) in TYPES.items():
        config = config.copy_and_resolve_references()
        with config.unlocked():
            config.model.dtype, config.model.early_dtype = dtype, early
        tracker = Tracker(config, variables)
        tracker.init(sequence.frames[0], sequence.boxes[0])
        boxes = np.array([tracker.update(sequence.frames[i]).box for i in range(1, frames)])
        wanted = boxes if wanted is None else wanted
        same = overlaps(wanted, boxes)[1:]  # the first one is never counted
        found[name] = {"mean": round(float(same.mean()), 4), "least": round(float(same.min()), 4)}
        print(sequence.name, name, found[name], flush=True)
    del found[EXACT]
    return found


def main() -> None:
    """Prints and keeps the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="folder that holds OTB100")
    parser.add_argument("--networks", default="bundled,resnet50", help="default: %(default)s")
    parser.add_argument("--frames", type=int, default=100, help="of the tracks")
    parser.add_argument("--out", help="JSON file to write")
    args = parser.parse_args()
    sequences = registry.load("OTB100", args.data).sequences[:3]
    results: dict = {"machine": machine(), "pairs": [s.name for s in sequences]}
    for network in args.networks.split(","):
        if network == "bundled":
            config, variables = weights.load(api.default_checkpoint())
            results[network] = {"maps": errors(config, variables, sequences, False)}
            keep(results, args.out)
            for sequence in sequences[:2]:
                frames = min(args.frames, len(sequence.frames))
                found = tracks(config, variables, sequence, frames)
                results[network][f"track of {sequence.name}, {frames} frames"] = found
        else:
            config = base.get_config()
            config.model.backbone = network
            variables = models.init_variables(models.build(config), 0)
            results[network] = {"maps": errors(config, variables, sequences, True)}
        keep(results, args.out)


if __name__ == "__main__":
    main()
