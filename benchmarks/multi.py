"""Time per frame for several targets: `MultiTracker` against a tracker per target.

    python benchmarks/multi.py --out=benchmarks/results/multi-cpu.json

Both follow the same targets through the same frames, in turn within one run, so that both see the
same machine; the ratios compare pairs of frames that followed each other. Weights are random: speed
does not depend on them. --most=8 lets the CPU take all windows in one batch, too.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

from machine import keep, machine, seconds
from track import BOX, load, make_frames

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def tracker_of(network):
    """The bundled tracker, or one of `track.NETWORKS` with random weights."""
    from siamjax.tracking import Tracker

    return Tracker(*load(network))


def measure(tracker, frames, count, rounds):
    """Milliseconds per frame for `count` targets, and the ratio of both ways."""
    import siamjax

    boxes = [(BOX[0] - 60 * (k % 4), BOX[1] - 90 * (k // 4), *BOX[2:]) for k in range(count)]
    singles = [tracker.sibling() for _ in boxes]
    together = siamjax.MultiTracker(tracker)
    for single, box in zip(singles, boxes):
        single.init(frames[0], box)
        together.add(frames[0], box)

    def one_by_one(frame):
        for single in singles:
            single.update(frame)

    pairs = []
    for i in range(rounds + 1):
        frame = frames[1 + i % (len(frames) - 1)]
        pairs.append((seconds(together.update, frame), seconds(one_by_one, frame)))
    pairs = pairs[1:]
    result = {}
    for kind, part in (("wall", 0), ("cpu", 1)):
        for name, way in (("together", 0), ("one_by_one", 1)):
            values = [pair[way][part] * 1000 for pair in pairs]
            result[f"{name}_{kind}_ms"] = round(statistics.median(values), 2)
        ratios = [pair[0][part] / pair[1][part] for pair in pairs]
        result[f"{kind}_ratio"] = round(statistics.median(ratios), 3)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--networks", default="bundled,resnet50", help="comma-separated")
    parser.add_argument("--rounds", type=int, default=12, help="frames each")
    parser.add_argument("--counts", default="1,2,4,8", help="of targets, comma-separated")
    parser.add_argument("--most", type=int, help="windows in one batch on a CPU")
    parser.add_argument("--out", help="JSON file for the results")
    args = parser.parse_args()
    from siamjax.tracking import multi

    if args.most:
        multi.MOST_ON_CPU = args.most
    results = {**machine(), "rounds": args.rounds, "most_on_cpu": multi.MOST_ON_CPU}
    frames = make_frames()
    for network in args.networks.split(","):
        tracker = tracker_of(network)
        counts = map(int, args.counts.split(","))
        results[network] = {n: measure(tracker, frames, n, args.rounds) for n in counts}
        print(network, json.dumps(results[network], indent=1), flush=True)
    keep(results, args.out)


if __name__ == "__main__":
    main()
