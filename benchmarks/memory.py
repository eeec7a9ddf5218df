"""Host memory of training and tracking, beside the formulas of docs/training.md and tracking.md.

    python benchmarks/memory.py --out benchmarks/results/memory-cpu.json

On a CPU, whose memory is the device's too. Each case is a process of its own; measured is the most
that it and the processes it starts hold together, what they share counted once (proportional set
size), read several times a second.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

MB = 1e6
# MB of a process of either kind with its libraries and compiling, and of a worker of the loader
TRACK_BASE, TRAIN_BASE, WORKER = 370.0, 1500.0, 100.0
# copies of the weights, as read, folded, compiled into; of the state, as it was, as it becomes, and
# on its way into a checkpoint
TRACK_COPIES, TRAIN_COPIES = 4.6, 3.7
TRACKING = (("bundled", 720), ("mobilenetv2", 1080), ("resnet50", 720))
SMALL = {"backbone": "resnet18", "width": 0.25, "levels": (2, 3, 4), "adjust_channels": (64,)}
MOBILE = {"backbone": "mobilenetv2", "levels": (3, 5), "adjust_channels": (96,)}
TRAINING = (
    ("ResNet-18, width 0.25", SMALL, {"batch_size": 8, "workers": 0}),
    ("MobileNetV2", MOBILE, {"batch_size": 8, "workers": 2}),
    ("ResNet-50", {}, {"batch_size": 2, "workers": 1}),
)


def held(pid: int) -> float:
    """MB of a process and all that it started."""
    total = 0.0
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024 / MB
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += sum(map(held, map(int, (task / "children").read_text().split())))
    except OSError:  # ended meanwhile
        pass
    return total


def measure(case: dict) -> dict:
    """Most memory of a case's process, MB, what it says, and the formula's value."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--case", json.dumps(case | {"folder": folder})]
        environment = os.environ | {"SIAMJAX_CACHE": folder, "JAX_PLATFORMS": "cpu"}
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment
        )
        most = [0.0]

        def watch():
            while process.poll() is None:
                most[0] = max(most[0], held(process.pid))
                time.sleep(0.2)

        watcher = threading.Thread(target=watch)
        watcher.start()
        said = process.communicate()[0]
        watcher.join()
    if process.returncode:
        sys.exit(f"{case['name']}: failed")
    figures = json.loads(said.splitlines()[-1])
    expected = FORMULAS[case["kind"]](case, figures)
    return figures | {
        "measured_mb": round(most[0]),
        "formula_mb": round(expected),
        "formula_over_measured": round(expected / most[0], 3),
    }


def tracking(case, figures):
    """docs/tracking.md"""
    own = TRACK_COPIES * figures["weights_mb"] + figures["temporary_mb"]
    return TRACK_BASE + own + figures["frames_mb"]


def training(case, figures):
    """docs/training.md"""
    batch = case["fields"]["batch_size"] * 246_627 / MB
    workers = case["fields"]["workers"]
    loader = workers * (WORKER + 4 * batch) + 3 * batch
    return TRAIN_BASE + TRAIN_COPIES * figures["state_mb"] + figures["temporary_mb"] + loader


FORMULAS = {"tracking": tracking, "training": training}


def bytes_of(tree) -> float:
    """MB of a tree's arrays."""
    import jax

    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree)) / MB


def run_tracking(case) -> dict:
    """Tracks twenty frames."""
    import numpy as np
    from multi import tracker_of
    from track import BOX, make_frames

    from siamjax.tracking import steps

    height = case["height"]
    frames = make_frames(4, height, height * 16 // 9)
    tracker = tracker_of(case["network"])
    tracker.init(frames[0], BOX)
    for i in range(20):
        tracker.update(frames[i % len(frames)])
    search = tracker.blank_search(False)
    program = steps.respond.program(tracker._model, tracker._variables, search.kernels, search.crop)
    temporary = program.memory_analysis().temp_size_in_bytes
    return {
        "weights_mb": round(bytes_of(tracker._variables), 1),
        "temporary_mb": round(temporary / MB, 1),
        "frames_mb": round(np.asarray(frames).nbytes / MB, 1),
    }


def run_training(case) -> dict:
    """Twelve steps, six with the backbone frozen, and two checkpoints."""
    import ml_collections
    import numpy as np

    from configs import base
    from siamjax.data.shards import ShardWriter
    from siamjax.training import loop, parallel

    folder, fields = Path(case["folder"]), case["fields"]
    writer = ShardWriter(folder / "shards", "memory")
    noise = np.random.default_rng(0)
    for video in range(8):
        for frame in range(4):
            crop = np.kron(noise.integers(0, 256, (73, 73, 3), np.uint8), np.ones((7, 7, 1)))
            writer.add(str(video), "0", frame, crop.astype(np.uint8), size=(60.0, 70.0))
    writer.close()
    c = base.get_config()
    c.model.update({k: tuple(v) if isinstance(v, list) else v for k, v in case["model"].items()})
    source = base.source(str(folder / "shards"), 3)
    c.data.sources = ml_collections.ConfigDict({"memory": source})
    c.data.pairs_per_epoch, c.data.workers = 6 * fields["batch_size"], fields["workers"]
    c.train.batch_size, c.train.epochs, c.train.warmup_epochs = fields["batch_size"], 2, 0
    c.train.unfreeze_epoch = 1
    if case["model"].get("backbone") == "mobilenetv2":
        c.train.unfreeze_layers = ("layer3", "layer4", "layer5")
    c.lock()
    found, compiled = {}, parallel.compile_step

    def compile_step(step):
        program = compiled(step)

        def run(state, batch):
            if found.get("program") is not program:
                analysis = program.lower(state, batch).compile().memory_analysis()
                temporary = analysis.temp_size_in_bytes
                found["temporary_mb"] = max(found.get("temporary_mb", 0.0), temporary / MB)
                found["state_mb"], found["program"] = bytes_of(state), program
            return program(state, batch)

        return run

    parallel.compile_step = compile_step
    loop.train(c, folder / "run")
    return {name: round(found[name], 1) for name in ("state_mb", "temporary_mb")}


def main() -> None:
    """Prints and keeps the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=FORMULAS, help="one kind of case")
    parser.add_argument("--out", help="JSON file to write")
    parser.add_argument("--case", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.case:
        run = {"tracking": run_tracking, "training": run_training}[args.case["kind"]]
        print(json.dumps(run(args.case)))
        return
    cases = [
        {"kind": "tracking", "name": f"{network}, {height}p", "network": network, "height": height}
        for network, height in TRACKING
    ] + [
        {"kind": "training", "name": name, "model": model, "fields": fields}
        for name, model, fields in TRAINING
    ]
    from machine import keep, machine

    results: dict = {"machine": machine(), "tracking": {}, "training": {}}
    for case in cases:
        if args.only in (None, case["kind"]):
            results[case["kind"]][case["name"]] = measure(case)
            print(case["name"], results[case["kind"]][case["name"]], flush=True)
            keep(results, args.out)


if __name__ == "__main__":
    main()
