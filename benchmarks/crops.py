"""What a crop costs for boxes from one pixel to ten frames wide, beside an ordinary window.

    python benchmarks/crops.py [--out=FILE]

A frame of 1280 x 720. For each width the box has the frame's proportions and lies about the middle,
a quarter point and a corner of the frame; of the windows that the tracker cuts for it (template,
search, search after a loss) each is timed at all three places, and the worst place counts. The
ordinary window is one whose side is the frame's longer side. `cpu` and `memory` are multiples of
its CPU time and peak memory: on the host as tracemalloc sees it (OpenCV allocates through NumPy),
on the device the temporaries and results of the compiled program, which is one for all windows. All
cases of a round are timed one after the other; the least time of the rounds counts.
"""

import argparse
import functools
import json
import time
import tracemalloc

import cv2
import jax
import numpy as np
from machine import keep, machine

from siamjax.geometry import crops
from siamjax.geometry.device_crops import device_subwindow

WIDTH, HEIGHT = 1280, 720
WIDTHS = (1, 4, 16, 64, 200, 400, 640, 900, 1280, 2560, 5120, 12800)
EXEMPLAR = 127
CROPS = {"template": EXEMPLAR, "search": 255, "lost": 831}
PLACES = ((0.5, 0.5), (0.25, 0.25), (0.0, 0.0))


def windows(width: float) -> dict[str, int]:
    """Sides of the windows that the tracker cuts for a box."""
    side = crops.context_size(float(width), width * HEIGHT / WIDTH)
    return {name: max(1, round(side * size / EXEMPLAR)) for name, size in CROPS.items()}


def least_times(cases: dict, rounds: int, repeats: int) -> dict:
    """CPU seconds of each case, a function without arguments."""
    for case in cases.values():
        case()
    best = dict.fromkeys(cases, float("inf"))
    for _ in range(rounds):
        for name, case in cases.items():
            start = time.process_time()
            for _ in range(repeats):
                case()
            best[name] = min(best[name], (time.process_time() - start) / repeats)
    return best


def traced_peak(case) -> int:
    """Bytes that a case holds at most."""
    tracemalloc.start()
    try:
        kept = case()  # counted, too
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        del kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", help="JSON file for the results")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    frame = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    average = crops.colour_mean(frame)
    on_device = jax.device_put(frame)
    programs = {
        size: jax.jit(device_subwindow, static_argnums=2)
        .lower(on_device, np.float32([0, 0]), size, np.int32(1), average)
        .compile()
        for size in CROPS.values()
    }

    def on_host(size, side, centre):
        return crops.subwindow(frame, centre, size, side, average)

    def by_device(size, side, centre):
        found = programs[size](on_device, np.float32(centre), np.int32(side), average)
        return found.block_until_ready()

    tables: dict[str, dict] = {}
    for where, cut in (("host", on_host), ("device", by_device)):
        cases = {
            (name, width, place): functools.partial(
                cut, size, sides[name], (place[0] * WIDTH, place[1] * HEIGHT)
            )
            for name, size in CROPS.items()
            for width, sides in [("ordinary", dict.fromkeys(CROPS, WIDTH))]
            + [(width, windows(width)) for width in WIDTHS]
            for place in (PLACES if width != "ordinary" else PLACES[:1])
        }
        seconds = least_times(cases, args.rounds, args.repeats)
        table = tables[where] = {}
        for name, size in CROPS.items():
            ordinary = seconds[name, "ordinary", PLACES[0]]
            row = table[name] = {"ordinary_ms": round(ordinary * 1e3, 3)}
            cpu = {w: max(seconds[name, w, p] for p in PLACES) / ordinary for w in WIDTHS}
            row["cpu"] = {str(w): round(ratio, 2) for w, ratio in cpu.items()}
            if where == "host":
                least = traced_peak(cases[name, "ordinary", PLACES[0]])
                peaks = {w: max(traced_peak(cases[name, w, p]) for p in PLACES) for w in WIDTHS}
                row["ordinary_mib"] = round(least / 2**20, 2)
                row["memory"] = {str(w): round(peak / least, 2) for w, peak in peaks.items()}
            else:
                used = programs[size].memory_analysis()
                total = used.temp_size_in_bytes + used.output_size_in_bytes
                row["mib"] = round(total / 2**20, 2)
    rows = [row for table in tables.values() for row in table.values()]
    largest = {k: max(max(row[k].values()) for row in rows if k in row) for k in ("cpu", "memory")}
    results = {"command": "python benchmarks/crops.py", **machine(), "frame": [WIDTH, HEIGHT]}
    results |= {"largest": largest, "crops": tables}
    print(json.dumps(results, indent=1))
    keep(results, args.out)


if __name__ == "__main__":
    main()
