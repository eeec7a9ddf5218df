"""Speed of tracking without compile time, the device waited for at every frame.

    python benchmarks/track.py --torch=/path/to/python   # single stream, interleaved with PyTorch
    python benchmarks/track.py --clips=64                # many clips at once, on a GPU

Per network: milliseconds per frame of `Tracker.update` with frames in memory and read from JPEG
files; what of it is crop, decoding and state; frames per second over many clips in lockstep. With
--torch, an interpreter that has torch and OpenCV runs the same network and rules on the same frames
interleaved with this process, so that both see the same machine. Weights are random: speed does not
depend on them.

On a machine that does other work too, pin both to one core (taskset -c 0 python ...) and compare
the CPU times, which waiting does not enter.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from machine import keep, machine

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

NETWORKS = {
    "resnet50": {"model": {}, "tracker": {}},
    "mobilenetv2": {
        "model": {
            "backbone": "mobilenetv2",
            "width": 1.4,
            "levels": ("layer3", "layer5", "layer7"),
            "weighted": False,
        },
        "tracker": {"penalty_k": 0.04, "window_influence": 0.4, "lr": 0.5},
    },
    "alexnet": {
        "model": {"backbone": "alexnet", "levels": ("layer5",), "adjust_channels": ()},
        "tracker": {
            "penalty_k": 0.16,
            "window_influence": 0.4,
            "lr": 0.3,
            "instance": 287,
            "base_size": 0,
        },
    },
}
BOX = (560.0, 300.0, 120.0, 90.0)


def make_config(name):
    """The experiment's config of a network above."""
    from configs import base

    config = base.get_config()
    for section, values in NETWORKS[name].items():
        config[section].update(values)
    return config.lock()


def make_variables(config):
    """Random weights whose maps have the size of a trained tracker's, so that boxes stay put."""
    import jax

    from siamjax import models

    variables = models.init_variables(models.build(config), seed=0)

    def shrink(path, leaf):
        names = [str(getattr(key, "key", key)) for key in path]
        return leaf * np.float32(1e-6) if "out" in names else leaf

    return jax.tree_util.tree_map_with_path(shrink, variables)


def load(name):
    """Config and variables: the bundled tracker's, or those above with random weights."""
    from siamjax import api
    from siamjax.models import weights

    if name == "bundled":
        return weights.load(api.default_checkpoint())
    config = make_config(name)
    return config, make_variables(config)


def make_frames(count=8, height=720, width=1280):
    """(count, 720, 1280, 3) uint8: a texture that drifts."""
    import cv2

    rng = np.random.default_rng(0)
    size = (width + 64, height + 64)
    ground = cv2.resize(rng.integers(0, 256, (45, 80, 3), dtype=np.uint8), size)
    return np.stack([ground[i : i + height, 2 * i : 2 * i + width] for i in range(count)])


def milliseconds(seconds):
    """Median and least of a list of seconds."""
    return {
        "median": round(statistics.median(seconds) * 1000, 2),
        "min": round(min(seconds) * 1000, 2),
    }


def measure(name, frames, rounds, torch_python, folder):
    """All single-stream figures of one network."""
    from siamjax import models
    from siamjax.models.import_torch import to_pysot
    from siamjax.tracking import Tracker

    config = make_config(name)
    variables = make_variables(config)
    started = time.perf_counter()
    tracker = Tracker(config, variables)
    result = {"compile_and_load_s": round(time.perf_counter() - started, 2)}
    tracker.init(frames[0], BOX)
    run = stream(tracker, frames)
    run(2)

    torch = None
    if torch_python and name != "alexnet":
        np.savez(folder / "weights.npz", **to_pysot(models.build(config), variables))
        np.save(folder / "frames.npy", frames)
        torch = Torch(torch_python)
        result["torch"] = torch.ask(
            load=str(folder / "weights.npz"),
            kind=name,
            instance=config.tracker.instance,
            frames=str(folder / "frames.npy"),
            box=BOX,
            settings=[config.tracker[k] for k in ("penalty_k", "window_influence", "lr")],
        )
        result["maps_differ"] = compare(torch, tracker, frames, folder)
        torch.ask(run=2)
    ours, theirs = [], []
    for _ in range(rounds):
        ours += run(1)
        if torch:
            theirs += torch.ask(run=1)["seconds"]
    wall, cpu = zip(*ours)
    result["ms_per_frame"] = milliseconds(wall)
    result["cpu_ms_per_frame"] = milliseconds(cpu)
    result["frames_per_second"] = round(1 / statistics.median(wall), 1)
    if torch:
        torch_wall, torch_cpu = zip(*theirs)
        result["torch_ms_per_frame"] = milliseconds(torch_wall)
        result["torch_cpu_ms_per_frame"] = milliseconds(torch_cpu)
        result["ratio_to_torch"] = {"wall": ratio(wall, torch_wall), "cpu": ratio(cpu, torch_cpu)}
        torch.close()
    result["with_reading"] = milliseconds(with_reading(tracker, frames, folder, len(ours)))
    parts = overhead(tracker, frames)
    result["parts_ms"] = {key: round(value * 1000, 3) for key, value in parts.items()}
    result["parts_share"] = round(sum(parts.values()) / statistics.median(wall), 4)
    return result


def ratio(ours, theirs):
    """Median over pairs of frames, which saw the machine in the same state."""
    return round(statistics.median(a / b for a, b in zip(ours, theirs)), 3)


def stream(tracker, frames):
    """A function that tracks n more frames and gives wall and CPU seconds of each."""
    position = 0

    def run(count):
        nonlocal position
        seconds = []
        for _ in range(count):
            position = position % (len(frames) - 1) + 1
            started = time.perf_counter(), time.process_time()
            tracker.update(frames[position])
            ended = time.perf_counter(), time.process_time()
            seconds.append([end - start for start, end in zip(started, ended)])
        return seconds

    return run


def with_reading(tracker, frames, folder, count):
    """Seconds per frame with the frame read from a JPEG file."""
    import cv2

    files = []
    for i, frame in enumerate(frames):
        files.append(str(folder / f"{i:03d}.jpg"))
        cv2.imwrite(files[-1], frame)
    tracker.init(frames[0], BOX)
    seconds = []
    for i in range(count):
        started = time.perf_counter()
        tracker.update(cv2.imread(files[i % len(files)]))
        seconds.append(time.perf_counter() - started)
    return seconds


def overhead(tracker, frames, count=50):
    """Seconds per frame of crop, decoding (scores to best box) and state, each alone."""
    import jax

    from siamjax.geometry import crops
    from siamjax.tracking import decode
    from siamjax.tracking import tracker as rules

    constants = tracker.constants
    tracker.init(frames[0], BOX)
    motion = tracker.motion
    settings = constants.settings()
    window = rules.window(constants, settings, motion, False)
    size = constants.map_size(constants.instance)
    grid = decode.grid(constants.anchors, size)
    rng = np.random.default_rng(0)
    cls = jax.device_put(rng.normal(size=(size, size, 10)).astype(np.float32))
    loc = jax.device_put(rng.normal(size=(size, size, 20)).astype(np.float32) * 0.1)
    best = jax.jit(
        lambda cls, loc, target: decode.best_candidate(grid, cls, loc, target, 0.05, 0.42)[0]
    )
    target = np.float32(motion.size * window.scale)
    candidate = decode.Candidate(*(np.asarray(v, np.float64) for v in best(cls, loc, target)))

    def crop():
        black = np.zeros(3, np.uint8)
        crops.subwindow(frames[1], window.centre, window.instance, window.side, black)

    def state():
        rules.window(constants, settings, motion, False)
        limit = np.array([1280, 720])
        rules.advance(constants, settings, motion, candidate, window.scale, limit)

    return {
        "crop": alone(crop, count),
        "decode": alone(lambda: jax.block_until_ready(best(cls, loc, target)), count),
        "state": alone(state, count),
    }


def alone(work, count):
    """Median seconds of a function."""
    work()
    seconds = []
    for _ in range(count):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def many_clips(name, clips, length=32):
    """Frames per second over `clips` clips in lockstep, frames in memory on the host."""
    import jax
    import jax.numpy as jnp

    from siamjax import models
    from siamjax.tracking import Settings, TrackerConfig, rollout

    config = make_config(name)
    constants = TrackerConfig.of(config)
    model, structure = models.build(config), constants.structure()
    variables = jax.device_put(make_variables(config))
    settings = Settings(*(jnp.float32(v) for v in constants.settings()))
    frames = make_frames(length + 1, 480, 640)
    firsts = np.stack([frames[0]] * clips)
    block = np.stack([frames[1:]] * clips)
    sizes = np.array([[[640, 480]] * length] * clips, np.int32)
    boxes = np.float32([[280, 200, 80, 60]] * clips)
    state = rollout.init_clips(model, structure, variables, firsts, boxes, sizes[:, 0])
    seconds = []
    for _ in range(4):
        started = time.perf_counter()
        state, steps = rollout.follow_clips(
            model, structure, variables, settings, state, block, sizes
        )
        jax.block_until_ready(steps)
        seconds.append(time.perf_counter() - started)
    return {
        "clips": clips,
        "compile_s": round(seconds[0] - min(seconds), 2),
        "frames_per_second": round(clips * length / min(seconds), 1),
    }


class Torch:
    """The other process, benchmarks/track_torch.py."""

    def __init__(self, python):
        script = Path(__file__).with_name("track_torch.py")
        pipe = subprocess.PIPE
        self._process = subprocess.Popen([python, str(script)], stdin=pipe, stdout=pipe, text=True)

    def ask(self, **order):
        """Sends an order and waits for its answer."""
        print(json.dumps(order), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def close(self):
        """Ends the process."""
        print(json.dumps({"quit": True}), file=self._process.stdin, flush=True)
        self._process.wait()


def compare(torch, tracker, frames, folder):
    """Largest difference of the maps of both libraries, relative to the largest value."""
    from siamjax.geometry import crops
    from siamjax.tracking import tracker as rules

    constants = tracker.constants
    average = crops.colour_mean(frames[0])
    tracker.init(frames[0], BOX)
    window = rules.window(constants, constants.settings(), tracker.motion, False)
    crop = crops.subwindow(frames[1], window.centre, window.instance, window.side, average)
    ours = tracker.maps(crop)
    torch.ask(maps=str(folder / "maps.npz"))
    theirs = np.load(folder / "maps.npz")
    return {
        key: float(np.abs(our - theirs[key][0].transpose(1, 2, 0)).max() / np.abs(our).max())
        for key, our in zip(("cls", "loc"), ours)
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--networks", default=",".join(NETWORKS), help="comma-separated")
    parser.add_argument("--torch", help="interpreter with torch and OpenCV to compare with")
    parser.add_argument("--rounds", type=int, default=24, help="frames, interleaved one by one")
    parser.add_argument("--clips", type=int, default=0, help="clips at once; 0: not measured")
    parser.add_argument("--out", help="JSON file for the results")
    args = parser.parse_args()

    results = {**machine(), "rounds": args.rounds, "frame": "1280x720"}
    frames = make_frames()
    for name in args.networks.split(","):
        with tempfile.TemporaryDirectory() as folder:
            results[name] = measure(name, frames, args.rounds, args.torch, Path(folder))
        if args.clips:
            results[name]["many"] = many_clips(name, args.clips)
        print(name, json.dumps(results[name], indent=1), flush=True)
    keep(results, args.out)


if __name__ == "__main__":
    main()
