"""How long scoring takes: VOT (EAO, accuracy, robustness) and OTB, vectorised and as plain loops,
and the whole command `eval --results`.

    python benchmarks/measures.py --vot_root=DIR --vot_results=DIR --otb_root=DIR --otb_results=DIR
    python benchmarks/measures.py --commands --before=DIR --vot_root=DIR --vot_results=DIR

The results folders hold one folder per tracker; the first one is scored. Without folders a
benchmark of VOT2018's and OTB2015's size is made up in a temporary folder. The plain loops run on
every `--every`-th sequence, the vectorised form on all and on those; both must give the same
figures. Times are wall-clock seconds on one core, the best of three.

`--commands` times whole processes, user plus system seconds: one VOT2018 tracker, with `--before`
the same by the source of another checkout in turn with this one, and eight made-up trackers on 280
sequences of 2,500 frames, LaSOT's size. Every number is the least of `--repeats`.
"""

import argparse
import functools
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from machine import child_seconds, machine

from siamjax.datasets import annotations, lasot, registry, result_folders
from siamjax.datasets.results import REGION, Store
from siamjax.geometry import polygons
from siamjax.measures import conventions, ope, vot

# --- plain loops: the same rules, one number at a time


def loop_overlap(a, b, width, height):
    """Raster overlap of two regions inside 0..width, 0..height."""
    a, b = loop_corners(a), loop_corners(b)
    boxes = []
    for points in (a, b):
        xs, ys = [p[0] for p in points], [p[1] for p in points]
        left, top = max(math.floor(min(xs)), 0), max(math.floor(min(ys)), 0)
        right, bottom = min(math.ceil(max(xs)), width), min(math.ceil(max(ys)), height)
        boxes.append((left, top, right, bottom))
    (l1, t1, r1, b1), (l2, t2, r2, b2) = boxes
    if max(l1, l2) >= min(r1, r2) or max(t1, t2) >= min(b1, b2):
        return 0.0
    left, top = min(l1, l2), min(t1, t2)
    columns, rows = max(r1, r2) - left + 1, max(b1, b2) - top + 1
    first = loop_fill(a, left, top, columns, rows)
    second = loop_fill(b, left, top, columns, rows)
    both = one = two = 0
    for row_a, row_b in zip(first, second, strict=True):
        for in_a, in_b in zip(row_a, row_b, strict=True):
            one += in_a
            two += in_b
            both += in_a and in_b
    union = one + two - both
    return float(np.float32(both / union)) if union else 0.0


def loop_corners(region):
    values = [float(np.float32(value)) for value in region]
    if len(values) == 8:
        return list(zip(values[0::2], values[1::2], strict=True))
    x, y, w, h = values
    right, bottom = float(np.float32(x + w)), float(np.float32(y + h))
    return [(x, y), (right, y), (right, bottom), (x, bottom)]


def loop_fill(points, left, top, columns, rows):
    moved = []
    for x, y in points:
        x, y = float(np.float32(x - left)), float(np.float32(y - top))
        moved.append((math.trunc(x + math.copysign(0.5, x)), math.trunc(y + math.copysign(0.5, y))))
    mask = [[False] * columns for _ in range(rows)]
    for y in range(rows):
        crossings = []
        for i in range(len(moved)):
            (xi, yi), (xj, yj) = moved[i], moved[i - 1]
            if yi != yj and min(yi, yj) <= y <= max(yi, yj):
                crossings.append(math.trunc(xi + (y - yi) / (yj - yi) * (xj - xi)))
        crossings.sort()
        i = 0
        while i < len(crossings) - 1:
            if crossings[i] == crossings[i + 1]:
                i += 1
                continue
            for x in range(max(crossings[i], 0), min(crossings[i + 1], columns - 1) + 1):
                mask[y][x] = True
            i += 2
    return mask


def loop_vot(sequences, all_runs, interval):
    """Accuracy, robustness, EAO."""
    whole, inner, failures = [], [], []
    for sequence, (run,) in zip(sequences, all_runs, strict=True):
        width, height = sequence.size
        for kept, bounds in ((whole, (width, height)), (inner, (width - 1, height - 1))):
            row = []
            for truth, region, code in zip(
                sequence.groundtruth, run.regions, run.codes, strict=True
            ):
                row.append(loop_overlap(truth, region, *bounds) if code == REGION else math.nan)
            kept.append(row)
        failures.append([i for i, code in enumerate(run.codes) if code == 2])
        for i, code in enumerate(run.codes):
            if code == 1:
                for j in range(i, min(i + vot.BURN_IN, len(run.codes))):
                    whole[-1][j] = math.nan
    total = count = 0
    for row in whole:
        for value in row:
            if not math.isnan(value):
                total += value
                count += 1
    robustness = sum(map(len, failures)) / sum(map(len, sequences)) * 100
    return total / count, robustness, loop_eao(inner, failures, interval)


def loop_eao(overlaps, failures, interval):
    longest = max(map(len, overlaps))
    fragments = []
    for row, failed in zip(overlaps, failures, strict=True):
        if not failed:
            fragments.append(row + [math.nan] * (longest - len(row)))
            continue
        cuts = [0] + [f + vot.SKIPPING for f in failed if f + vot.SKIPPING <= len(row)]
        for place, start in enumerate(cuts):
            last = place == len(cuts) - 1
            part = row[start:] if last else row[start : cuts[place + 1] + 1]
            part = [0.0 if math.isnan(value) else value for value in part]
            part += [math.nan if last else 0.0] * (longest - len(part))
            fragments.append(part)
    low, high = interval
    curve = []
    for length in range(low - 1, min(high, longest)):
        total = count = 0
        for part in fragments:
            if not math.isnan(part[length]):
                mean = 0.0
                for i in range(1, length + 1):
                    mean += part[i]
                total += mean / length
                count += 1
        curve.append(total / count if count else 0.0)
    return sum(curve) / len(curve)


def loop_ope(sequences, all_runs):
    """Success AUC, precision at 20, normalised precision at 0.2 from their whole curves."""
    sums = [0.0, 0.0, 0.0]
    for sequence, (run,) in zip(sequences, all_runs, strict=True):
        success = [0] * len(conventions.OVERLAPS)
        precision, normalised = [0] * len(conventions.DISTANCES), [0] * len(conventions.NORMALISED)
        count = len(sequence)
        base = sequence.base
        for truth, result in zip(sequence.boxes, run.regions, strict=True):
            tx, ty, tw, th = (float(v) for v in truth)
            rx, ry, rw, rh = (float(v) for v in result)
            w = max(0.0, min(tx + tw, rx + rw) - max(tx, rx))
            h = max(0.0, min(ty + th, ry + rh) - max(ty, ry))
            union = tw * th + rw * rh - w * h
            overlap = w * h / union if tw > 0 and th > 0 and union > 0 else -1.0
            cx, cy = tx + base + (tw - 1) / 2, ty + base + (th - 1) / 2
            dx, dy = cx - rx - base - (rw - 1) / 2, cy - ry - base - (rh - 1) / 2
            known = cx > 0 and cy > 0
            distance = math.sqrt(dx * dx + dy * dy) if known else -1.0
            ratio = -1.0
            if known:
                ratio = math.sqrt((dx / (tw + 1e-16)) ** 2 + (dy / (th + 1e-16)) ** 2)
            for i, threshold in enumerate(conventions.OVERLAPS):
                success[i] += overlap > threshold
            for i, threshold in enumerate(conventions.DISTANCES):
                precision[i] += distance <= threshold
            for i, threshold in enumerate(conventions.NORMALISED):
                normalised[i] += ratio <= threshold
        sums[0] += sum(success) / len(success) / count
        sums[1] += precision[20] / count
        sums[2] += normalised[20] / count
    return tuple(value / len(sequences) for value in sums)


# --- the library's form


def fast_vot(sequences, all_runs, interval):
    scored = [vot.measure(s, runs) for s, runs in zip(sequences, all_runs, strict=True)]
    accuracy = vot.accuracy([vot.mean_over_repetitions(vot.burned_in(one)) for one in scored])
    failures = [np.array([len(f) for f in one.failures]) for one in scored]
    robustness, _ = vot.robustness(failures, [len(s) for s in sequences])
    cut = vot.fragments(scored)
    return accuracy, robustness, vot.eao(vot.expected_overlap(cut, vot.weights(cut)), interval)


def fast_ope(sequences, all_runs):
    all_curves = []
    for sequence, (run,) in zip(sequences, all_runs, strict=True):
        shift = np.array([sequence.base, sequence.base, 0, 0], np.float64)
        all_curves.append(ope.curves(sequence.boxes + shift, run.regions + shift))
    row = ope.summary(ope.mean_curves(all_curves))
    return row["success_auc"], row["precision_20"], row["normalised_precision_20"]


# --- timing


def timed(function, repeats=3):
    """The best wall-clock time of some calls, and what the last one gave."""
    best = math.inf
    for _ in range(repeats):
        start = time.perf_counter()
        result = function()
        best = min(best, time.perf_counter() - start)
    return best, result


def read(dataset, root, results):
    """A benchmark's ground truth and the first tracker's runs, from disk."""
    annotations._parse.cache_clear()
    benchmark = registry.load(dataset, root, images=False)
    store = Store(results, benchmark.dataset)
    tracker = next(
        iter(result_folders.find(results, benchmark.dataset, benchmark.sequences).folders)
    )
    return benchmark.sequences, [store.read(tracker, s) for s in benchmark.sequences]


def report(title, dataset, root, results, fast, slow, every, limit):
    reading, (sequences, all_runs) = timed(functools.partial(read, dataset, root, results))
    measuring, figures = timed(functools.partial(fast, sequences, all_runs))
    part, part_runs = sequences[::every], all_runs[::every]
    fast_part, fast_figures = timed(functools.partial(fast, part, part_runs))
    slow_part, slow_figures = timed(functools.partial(slow, part, part_runs), repeats=1)
    np.testing.assert_allclose(fast_figures, slow_figures, atol=1e-6)
    frames = sum(map(len, sequences))
    print(f"{title}: {len(sequences)} sequences, {frames} frames")
    print(f"  figures {', '.join(f'{value:.4f}' for value in figures)}")
    print(
        f"  reading {reading:.3f} s + measures {measuring:.3f} s = {reading + measuring:.3f} s"
        f" (limit {limit} s)"
    )
    print(
        f"  on {len(part)} sequences: vectorised {fast_part:.3f} s, plain loops {slow_part:.2f} s,"
        f" {slow_part / fast_part:.0f} times slower; same figures"
    )


# --- made-up benchmarks of the real sizes


def make_up(folder: Path) -> None:
    """Writes VOT2018.json, OTB2015.json and the results of one wandering tracker."""
    rng = np.random.default_rng(0)
    videos, otb = {}, {}
    for number, length in enumerate(rng.integers(41, 700, 60)):
        name = f"sequence{number:02d}"
        centre = np.clip(np.cumsum(rng.normal(0, 3, (length, 2)), 0) + (320, 240), 80, 400)
        half = rng.uniform(15, 70, 2)
        angle = np.cumsum(rng.normal(0, 0.02, length))
        signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        truth = (centre[:, None] + np.einsum("ijn,kj->nki", turn, signs)).reshape(length, 8)
        videos[name] = {"gt_rect": truth.round(2).tolist(), "width": 640, "height": 480}
        result = polygons.box_of_region(truth)
        result[:, :2] += np.cumsum(rng.normal(0, 1.5, (length, 2)), 0)
        lines = [",".join(f"{v:.4f}" for v in row) for row in result]
        lines[0] = "1"
        if length > 200:
            lines[100:106] = ["2", "0", "0", "0", "0", "1"]
        path = folder / f"vot/tracker/baseline/{name}/{name}_001.txt"
        path.parent.mkdir(parents=True)
        path.write_text("\n".join(lines) + "\n")
    (folder / "otb/tracker").mkdir(parents=True)
    for name in registry.get("OTB100").names(folder / "none"):
        length = int(rng.integers(71, 1100))
        centre = np.clip(np.cumsum(rng.normal(0, 3, (length, 2)), 0) + (160, 120), 40, 200)
        truth = np.concatenate([centre, np.tile(rng.uniform(20, 60, 2), (length, 1))], 1).round()
        otb[name] = {"name": name, "gt_rect": truth.tolist()}
        result = truth + rng.normal(0, 4, truth.shape)
        rows = "".join(",".join(f"{v:.4f}" for v in row) + "\n" for row in result)
        (folder / f"otb/tracker/{name}.txt").write_text(rows)
    (folder / "VOT2018.json").write_text(json.dumps(videos))
    (folder / "OTB2015.json").write_text(json.dumps(otb))


# --- whole commands

ROOT = Path(__file__).resolve().parents[1]
LASOT_TRACKERS, LASOT_FRAMES = 8, 2500


def command_seconds(source: Path, dataset: str, root: Path, results: Path) -> float:
    """User and system time of one `eval --results` by the source in a folder."""
    with tempfile.TemporaryDirectory() as out:
        flags = [f"--dataset={dataset}", f"--data_root={root}", f"--results={results}"]
        command = [sys.executable, str(source / "run_eval.py"), *flags, f"--out={out}"]
        environment = os.environ | {"PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
        _, cpu = child_seconds(command, env=environment, stdout=subprocess.DEVNULL)
    return cpu


def make_lasot(folder: Path) -> None:
    """Writes LaSOT's 280 sequences and the results of trackers of growing noise, four decimals."""
    rng = np.random.default_rng(0)
    for name in lasot.TEST_NAMES:
        centre = np.cumsum(rng.normal(0, 3, (LASOT_FRAMES, 2)), 0) + 300
        sides = np.tile(rng.uniform(30, 90, 2), (LASOT_FRAMES, 1))
        truth = np.concatenate([centre, sides], 1).round()
        place = folder / "data" / name
        place.mkdir(parents=True)
        (place / "groundtruth.txt").write_text(table_text("%d", truth))
        for label in ("full_occlusion", "out_of_view"):
            flags = ["0"] * (LASOT_FRAMES - 50) + ["1"] * 50
            (place / f"{label}.txt").write_text(",".join(flags) + "\n")
        for number in range(LASOT_TRACKERS):
            path = folder / "results" / f"tracker{number}" / f"{name}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(table_text("%.4f", truth + rng.normal(0, 1 + number, truth.shape)))


def table_text(form: str, rows: np.ndarray) -> str:
    return (",".join([form] * 4) + "\n") * len(rows) % tuple(rows.ravel())


def time_commands(args: argparse.Namespace) -> dict:
    """The times, and what they were measured on."""
    times: dict[str, list[float]] = {}
    sources = {"now": ROOT} | ({"before": args.before} if args.before else {})
    for _ in range(args.repeats):
        for label, source in sources.items():
            seconds = command_seconds(source, "VOT2018", args.vot_root, args.vot_results)
            times.setdefault(f"vot2018_one_tracker_{label}_s", []).append(seconds)
    with tempfile.TemporaryDirectory() as temporary:
        make_lasot(Path(temporary))
        for _ in range(args.repeats):
            folders = Path(temporary) / "data", Path(temporary) / "results"
            seconds = command_seconds(ROOT, "LaSOT", *folders)
            times.setdefault("lasot_size_eight_trackers_s", []).append(seconds)
    about = "python benchmarks/measures.py --commands" + " --before=DIR" * bool(args.before)
    found = {"command": about, **machine()}
    found |= {name: round(min(values), 2) for name, values in times.items()}
    if args.before:
        now, before = (found[f"vot2018_one_tracker_{label}_s"] for label in ("now", "before"))
        found["vot2018_ratio"] = round(now / before, 3)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for flag in ("vot_root", "vot_results", "otb_root", "otb_results"):
        parser.add_argument(f"--{flag}", type=Path)
    parser.add_argument("--every", type=int, default=6, help="sequences per one for plain loops")
    parser.add_argument("--commands", action="store_true", help="whole commands")
    parser.add_argument("--before", type=Path, help="a checkout to compare with")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", help="JSON file for the times of commands")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        given = (args.vot_root, args.vot_results)
        if None in (given if args.commands else (*given, args.otb_root, args.otb_results)):
            make_up(folder)
            args.vot_root = args.otb_root = folder
            args.vot_results, args.otb_results = folder / "vot", folder / "otb"
        if args.commands:
            text = json.dumps(time_commands(args), indent=1)
            print(text)
            if args.out:
                Path(args.out).write_text(text + "\n")
            return
        interval = registry.get("VOT2018").interval
        report(
            "VOT2018 (accuracy, robustness, EAO)",
            "VOT2018",
            args.vot_root,
            args.vot_results,
            functools.partial(fast_vot, interval=interval),
            functools.partial(loop_vot, interval=interval),
            args.every,
            3.0,
        )
        report(
            "OTB100 (success AUC, precision, normalised precision)",
            "OTB100",
            args.otb_root,
            args.otb_results,
            fast_ope,
            loop_ope,
            args.every,
            1.5,
        )


if __name__ == "__main__":
    main()
