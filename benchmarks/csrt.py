"""Processor time per frame of the bundled tracker beside OpenCV's CSRT, one core, real clips.

    taskset -c 0 python benchmarks/csrt.py --data_root=/data/OTB100 [--json OUT]

Both follow the same target through the same decoded frames, frame by frame one after the other, so
that a busy machine slows both; who begins changes from frame to frame. The mean counts: what a
whole video costs.
"""

import argparse

import cv2
import numpy as np
from machine import keep, machine, seconds

import siamjax
from siamjax.datasets import registry
from siamjax.evaluation import baselines


def measure(sequence, ours, theirs, most):
    """Processor seconds of each frame, (N, 2)."""
    count = min(len(sequence), most)
    box = sequence.boxes[0]
    first = sequence.frames[0]
    for tracker in (ours, theirs):
        tracker.init(first, box)
    times = []
    for i in range(1, count):
        frame = sequence.frames[i]
        both = [ours, theirs][:: 1 if i % 2 else -1]
        found = [seconds(tracker.update, frame)[1] for tracker in both]
        times.append(found[:: 1 if i % 2 else -1])
    return np.array(times)


def main():
    """Measures and prints; writes the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data_root", required=True)
    parser.add_argument("--frames", type=int, default=10**6, help="of each clip at most")
    parser.add_argument("--json", help="file for the figures")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    ours, theirs = siamjax.load(), baselines.make("CSRT")
    ours.doubts = False
    report, everything = {"machine": machine(), "clips": {}}, []
    for sequence in registry.load("OTB100", args.data_root).sequences:
        times = measure(sequence, ours, theirs, args.frames)
        everything.append(times)
        report["clips"][sequence.name] = summary(times)
        print(sequence.name, report["clips"][sequence.name], flush=True)
    report["all"] = summary(np.concatenate(everything))
    print("all", report["all"])
    keep(report, args.json)


def summary(times):
    """Milliseconds per frame, and the ratio of the means."""
    means, least = times.mean(0) * 1e3, times.min(0) * 1e3
    names = ("siamjax", "csrt")
    figures = {f"{name} mean ms": round(float(m), 2) for name, m in zip(names, means)}
    figures |= {f"{name} min ms": round(float(m), 2) for name, m in zip(names, least)}
    return figures | {"frames": len(times), "ratio": round(float(means[0] / means[1]), 3)}


if __name__ == "__main__":
    main()
