"""Wall time of `siamjax track` at 1080p with the annotated video written, beside without.

    taskset -c 0,1 python benchmarks/outputs.py [--frames=120] [--rounds=5] [--json OUT]

A clip of the synthetic world is written as H.264 once. Each round runs the command without --out
and with each suffix, a process each, one after the other; the first round compiles and does not
count. Starting takes as long in all; `per frame` has the least wall time of a run of one frame
taken off. The ratio that counts is the median over the rounds.
"""

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
from machine import child_seconds, keep, machine
from track import make_frames

from siamjax.media import VideoWriter

BOX = "900,500,120,90"


def write(path, count):
    """A 1080p clip of a drifting texture with grain."""
    rng = np.random.default_rng(0)
    ground = make_frames(1, 1080 + count, 1920 + 2 * count)[0].astype(np.int16)
    ground += rng.integers(-6, 7, ground.shape, dtype=np.int16)
    ground = ground.clip(0, 255).astype(np.uint8)
    with VideoWriter(path, 25) as writer:
        for i in range(count):
            writer.write(ground[i : i + 1080, 2 * i : 2 * i + 1920])


def run(clip, folder, out, frames):
    """Wall and processor seconds of one command."""
    command = [sys.executable, "-m", "siamjax", "track", clip, f"--box={BOX}"]
    command += [f"--frames={frames}", f"--csv={folder / 'a.csv'}"]
    command += [f"--out={folder / 'a'}{out}"] if out else []
    return child_seconds(command, capture_output=True)


def main():
    """Measures and prints; writes the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", help="file for the figures")
    args = parser.parse_args()
    ways = ["", ".mp4", ".webm"]
    times = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ.setdefault("SIAMJAX_CACHE", str(folder / "cache"))
        clip = folder / "clip.mp4"
        write(clip, args.frames)
        run(clip, folder, ".mp4", 1)
        start = [min(part) for part in zip(*(run(clip, folder, "", 1) for _ in range(3)))]
        for _ in range(args.rounds):
            for way in ways:
                times[way].append(run(clip, folder, way, args.frames))
    report = {"machine": machine(), "frames": args.frames, "rounds": args.rounds}
    report["start"] = dict(zip(("wall s", "cpu s"), start))
    for way, spent in times.items():
        figures = {}
        for part, kind in enumerate(("wall", "cpu")):
            each = [(one[part] - start[part]) / (args.frames - 1) for one in spent]
            figures[f"{kind} ms per frame"] = 1e3 * statistics.median(each)
            ratios = [one[part] / plain[part] for one, plain in zip(spent, times[""])]
            figures[f"{kind} ratio"] = statistics.median(ratios)
        report[way or "without --out"] = figures
        print(f"{way or 'without --out':14}", figures, flush=True)
    keep(report, args.json)


if __name__ == "__main__":
    main()
