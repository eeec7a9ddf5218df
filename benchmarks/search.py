"""How long a search over the tracker's constants takes beside single runs of each setting.

    python benchmarks/search.py [--checkpoint=PATH] [--sequences=2] [--frames=N] [--exact]

Synthetic clips. `--singles` settings are run one by one through the session's tracker, reading
each frame again; their mean time, times the settings of the default grid, is what a search by
single runs would take. All is compiled beforehand, by a search into another folder.

What limits the search is how many windows are left after sharing, as each is an answer of the
network: with `--exact` as many as there are different tracks.
"""

import argparse
import dataclasses
import json
import tempfile
import time
from pathlib import Path
from typing import ClassVar

import numpy as np
from machine import keep, machine

from siamjax import api
from siamjax.datasets import registry
from siamjax.evaluation import protocols, search
from siamjax.evaluation.lockstep import Lockstep
from siamjax.tracking.session import Tracker


class Counted(Lockstep):
    """Remembers what all searches asked for."""

    made: ClassVar[list[Lockstep]] = []

    def __init__(self, *args):
        super().__init__(*args)
        self.made.append(self)


def shortened(benchmark, frames):
    """The first frames of each sequence, held in memory."""
    parts = tuple(
        dataclasses.replace(
            s,
            frames=[s.frames[i] for i in range(min(frames, len(s)))],
            groundtruth=s.groundtruth[:frames],
            absent=None if s.absent is None else s.absent[:frames],
        )
        for s in benchmark.sequences
    )
    return dataclasses.replace(benchmark, sequences=parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", help="default: the bundled one")
    parser.add_argument("--sequences", type=int, default=2)
    parser.add_argument("--frames", type=int, default=10**6, help="of each sequence at most")
    parser.add_argument("--singles", type=int, default=3)
    parser.add_argument("--exact", action="store_true", help="no snapped windows")
    parser.add_argument("--out", help="JSON file for the results")
    args = parser.parse_args()
    config, variables = api.load_variables(args.checkpoint)
    benchmark = shortened(registry.load("synthetic", limit=args.sequences), args.frames)
    clips = benchmark.sequences
    settings = search.Grid().settings()
    search.Lockstep = Counted

    def run():
        Counted.made.clear()
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter(), time.process_time()
            search.search(benchmark, config, variables, Path(folder), exact=args.exact)
            return time.perf_counter() - start[0], time.process_time() - start[1]

    run()
    together = run()
    asked = sum(one.windows_asked for one in Counted.made)
    answered = sum(one.windows_answered for one in Counted.made)

    chosen = np.linspace(0, len(settings) - 1, args.singles).round().astype(int)
    seconds = []
    for k in chosen:
        with config.unlocked():
            config.tracker.update(dict(zip(search.NAMES, settings[k].tolist(), strict=True)))
        tracker = Tracker(config, variables)
        start = time.perf_counter(), time.process_time()
        for clip in clips:
            protocols.one_pass(tracker, clip)
        seconds.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    single = np.mean(seconds, 0)
    ratios = np.array(together) / (single * len(settings))
    results = {
        **machine(),
        "settings": len(settings),
        "frames": [len(clip) for clip in clips],
        "exact": args.exact,
        "search_s": round(together[0], 2),
        "single_run_s": round(float(single[0]), 3),
        "ratio": {"wall": round(float(ratios[0]), 3), "cpu": round(float(ratios[1]), 3)},
        "windows_asked": asked,
        "windows_answered": answered,
        "answered_share": round(
            answered / (len(settings) * (sum(map(len, clips)) - len(clips))), 3
        ),
    }
    print(json.dumps(results, indent=1))
    keep(results, args.out)


if __name__ == "__main__":
    main()
