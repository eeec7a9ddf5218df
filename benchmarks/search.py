"""How long a search over the tracker's constants takes beside single runs of each setting.

    python benchmarks/search.py --checkpoint=PATH [--sequences=2] [--singles=3]

Synthetic clips. `--singles` settings are run one by one through the session's tracker, reading
each frame again; their mean time, times the settings of the default grid, is what a search by
single runs would take. Both are compiled beforehand.
"""

import argparse
import time

import numpy as np

from siamjax import api
from siamjax.benchmarks import registry
from siamjax.evaluation import protocols, search
from siamjax.tracking.session import Tracker


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--sequences", type=int, default=2)
    parser.add_argument("--singles", type=int, default=3)
    args = parser.parse_args()
    config, variables = api.load_variables(args.checkpoint)
    clips = registry.load("synthetic", limit=args.sequences).sequences
    settings = search.Grid().settings()
    lockstep = search.Lockstep(config, variables)
    lockstep.track(clips[0], settings)
    lockstep.looked = lockstep.answered = 0

    start = time.perf_counter()
    tracks = [lockstep.track(clip, settings) for clip in clips]
    together = time.perf_counter() - start

    chosen = np.linspace(0, len(settings) - 1, args.singles).round().astype(int)
    seconds, apart = [], []
    for k in chosen:
        with config.unlocked():
            config.tracker.update(dict(zip(search.NAMES, settings[k].tolist(), strict=True)))
        tracker = protocols.FromHalfPixel(Tracker(config, variables))
        start = time.perf_counter()
        runs = [protocols.one_pass(tracker, clip) for clip in clips]
        seconds.append(time.perf_counter() - start)
        apart += [
            np.abs(run.regions - track[k]).max() for run, track in zip(runs, tracks, strict=True)
        ]
    single = float(np.mean(seconds))
    frames = sum(map(len, clips))
    print(f"{len(settings)} settings, {len(clips)} clips, {frames} frames")
    print(f"search {together:.1f} s; one single run {single:.2f} s, {len(settings)} of them")
    print(f"{single * len(settings):.1f} s; ratio {together / (single * len(settings)):.3f}")
    print(
        f"windows shared: {lockstep.answered} crops through the network for {lockstep.looked} asked"
        f" ({lockstep.answered / lockstep.looked:.2f})"
    )
    print(f"largest difference of a box to its single run: {max(apart):.4f} px")


if __name__ == "__main__":
    main()
