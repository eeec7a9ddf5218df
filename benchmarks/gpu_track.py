"""Tracking on a device, timed on request by benchmarks/gpu.py.

Commands on standard input, one JSON answer per line: {"network": name, "tiny", "clips": 0 for one
target, else their number in lockstep, which is measured at once}, {"crop": "host" or "device",
"frames": n}.
"""

import functools
import json
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import jax
import jax.numpy as jnp
import numpy as np
import track
from machine import machine, memory

from siamjax import models
from siamjax.tracking import Settings, Tracker, TrackerConfig
from siamjax.tracking import tracker as rules

TINY = {
    "resnet50": {"width": 0.0625, "blocks": (1, 1, 1, 1), "adjust_channels": (8,)},
    "mobilenetv2": {"width": 0.25, "adjust_channels": (8,)},
    "alexnet": {"width": 0.125},
    "bundled": {},
}


class DeviceTracker:
    """A tracker whose crop is cut on the device: the whole frame goes there, a box comes back."""

    def __init__(self, config, variables):
        constants = TrackerConfig.of(config)
        fixed = models.build(config), constants.structure(), jax.device_put(variables)
        settings = Settings(*(jnp.float32(value) for value in constants.settings()))
        self._init = functools.partial(jax.jit(rules.init, static_argnums=(0, 1)), *fixed)
        update = jax.jit(rules.update, static_argnums=(0, 1), donate_argnums=4)
        self._update = functools.partial(update, *fixed, settings)

    def init(self, frame, box):
        self._state = self._init(frame, np.float32(box))

    def update(self, frame):
        self._state, step = self._update(self._state, frame)
        return np.asarray(step.box)


class Streams:
    """One network's figures."""

    def __init__(self, network: str, tiny: bool, clips: int):
        self.tiny = tiny
        if tiny and TINY[network]:
            track.NETWORKS[network]["model"] |= TINY[network]
        self.config, self.variables = track.load(network)
        if network == "bundled":
            sections = {s: self.config[s].to_dict() for s in ("model", "anchors", "crops")}
            track.NETWORKS["bundled"] = sections | {"tracker": self.config.tracker.to_dict()}
        self.figures = {"machine": machine()}
        if clips:
            self.figures |= track.many_clips(network, clips, 2 if tiny else 32)
            self.figures |= memory()

    def measure(self, crop: str, frames: int) -> dict:
        """Frames one after the other, each answer waited for."""
        images = track.make_frames()
        started = time.perf_counter()
        make = Tracker if crop == "host" else DeviceTracker
        tracker = make(self.config, self.variables)
        tracker.init(images[0], track.BOX)
        run = track.stream(tracker, images)
        run(1)
        compiled = time.perf_counter() - started
        run(1 if self.tiny else 30)
        wall, cpu = zip(*run(frames))
        return {
            "frames": frames,
            "median_ms": round(statistics.median(wall) * 1e3, 3),
            "p99_ms": round(float(np.percentile(wall, 99)) * 1e3, 3),
            "cpu_ms": round(statistics.median(cpu) * 1e3, 3),
            "frames_per_second": round(1 / statistics.median(wall), 1),
            "compile_and_load_s": round(compiled, 1),
        }


def main():
    streams = None
    for line in sys.stdin:
        command = json.loads(line)
        if "network" in command:
            streams = Streams(**command)
            answer = streams.figures
        else:
            answer = streams.measure(**command)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
