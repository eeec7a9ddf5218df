"""The training step of siamjax, timed on request by benchmarks/train_step.py and gpu.py.

Commands on standard input, one JSON answer per line: {"machine": side of a matrix, "dtypes"},
{"phase": "frozen" or "full", "dtype", "batch", "remat", "weights": file to write, "data": file to
write, "model": further fields, "only_files": whether that is all}, {"run": n}, {"host": n},
{"memory": true}, {"profile": folder to write}, {"kernels": how many are named}.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
# Memory is taken as it is needed, nearly all of it if need be.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.95")

import jax
import jaxlib
import numpy as np
from machine import memory

from configs import base
from siamjax import models
from siamjax.data.targets import TargetRule, assign
from siamjax.geometry.anchors import Anchors
from siamjax.models.import_torch import to_pysot
from siamjax.training import losses, optimizer, parallel, scaling, state, step

STEPS_PER_EPOCH = 10_000  # the learning rate stays that of the phase's first epoch


def make_batch(size):
    """Random images, each with a target of 60 px somewhere near the middle."""
    rng = np.random.default_rng(0)
    grid = Anchors().grid(25, centre=127)
    boxes = np.concatenate([rng.uniform(90, 160, (size, 2)), rng.uniform(50, 80, (size, 2))], 1)
    return {
        "template": rng.integers(0, 256, (size, 127, 127, 3), np.uint8),
        "search": rng.integers(0, 256, (size, 255, 255, 3), np.uint8),
        "template_noise": np.zeros((size, 3), np.float32),
        "search_noise": np.zeros((size, 3), np.float32),
        "label": np.stack([assign(rng, TargetRule(), grid, box, False) for box in boxes]),
        "box": boxes.astype(np.float32),
    }


class Trainer:
    """The compiled step and the state it works on."""

    def __init__(self, phase, dtype, batch, remat, weights, data, model=None, only_files=False):
        config = base.get_config()
        config.model.dtype = dtype
        for name, value in (model or {}).items():
            config.model[name] = tuple(value) if isinstance(value, list) else value
        config.train.batch_size = batch
        config.train.remat = remat
        model = models.build(config)
        variables = models.init_variables(model, 0)
        self.batch = make_batch(batch)
        self._save(model, variables, weights, data)
        self.figures = {}
        if only_files:
            return

        epoch = 0 if phase == "frozen" else config.train.unfreeze_epoch
        labels = optimizer.label(variables["params"], config.train.unfreeze_layers)
        model = model.clone(bn_axis_name=parallel.AXIS)
        phase = optimizer.phase_of(config.train, epoch)
        one = step.make_step(config, model, labels, phase, STEPS_PER_EPOCH, parallel.AXIS)
        transform, scale = optimizer.make(config.train, labels), scaling.start(config.model)
        now = state.create(variables, transform, False, scale)
        self.state = parallel.replicate(now.replace(step=np.int32(epoch * STEPS_PER_EPOCH)))
        arguments = self.state, parallel.put(self.batch)

        self.program = parallel.compile_step(one)
        started = time.perf_counter()
        compiled = self.program.lower(*arguments).compile()
        seconds = time.perf_counter() - started
        memory = compiled.memory_analysis()
        self.figures = {
            "compile_s": round(seconds, 1),
            "temporary_mib": memory and round(memory.temp_size_in_bytes / 2**20),
            "gflop_per_step": round(operations(one, *arguments) / 1e9),
        }

    def _save(self, model, variables, weights, data):
        """What the other framework starts from."""
        _, delta, weight = losses.targets_from_batch(Anchors(), self.batch)
        delta = np.moveaxis(np.asarray(delta), -1, 1)
        np.savez(weights, **to_pysot(model, variables))
        np.savez(data, **self.batch, delta=delta, weight=np.asarray(weight))

    def run(self, count):
        """Wall and CPU seconds, losses and gradient norms of n steps, one after the other."""
        seconds, values = [], []
        for _ in range(count):
            # run_train.py copies it while the step before is running
            batch = jax.block_until_ready(parallel.put(self.batch))
            started = time.perf_counter(), time.process_time()
            self.state, metrics = self.program(self.state, batch)
            found = parallel.first(metrics)
            ended = time.perf_counter(), time.process_time()
            seconds.append([end - start for start, end in zip(started, ended)])
            values.append([found["loss"], found["grad_norm"]])
        return {"seconds": seconds, "values": values}

    def host(self, count):
        """The host's own time per step: copying the batch, dispatching, reading ready metrics."""
        own = []
        for _ in range(count):
            started = time.perf_counter()
            batch = parallel.put(self.batch)
            copied = time.perf_counter() - started
            jax.block_until_ready(batch)
            started = time.perf_counter()
            self.state, metrics = self.program(self.state, batch)
            dispatched = time.perf_counter() - started
            jax.block_until_ready(metrics)
            started = time.perf_counter()
            parallel.first(metrics)
            own.append(copied + dispatched + time.perf_counter() - started)
        return {"seconds": own}

    def profile(self, folder):
        """Two steps as a trace of jax.profiler."""
        with jax.profiler.trace(folder):
            self.run(2)
        return {"profile": folder}

    def kernels(self, count):
        """Milliseconds of a step in all kernels of a GPU, and in those that take most."""
        total = Counter()
        with tempfile.TemporaryDirectory() as folder:
            self.profile(folder)
            for file in Path(folder).rglob("*.xplane.pb"):
                for plane in jax.profiler.ProfileData.from_file(str(file)).planes:
                    for line in plane.lines if plane.name.startswith("/device:GPU") else ():
                        for event in line.events if line.name.startswith("Stream") else ():
                            total[event.name[:80]] += event.duration_ns / 2e6
        most = {name: round(ms, 2) for name, ms in total.most_common(count)}
        return {"kernels_ms": {"all": round(sum(total.values()), 1)} | most}


def operations(step, state, batch):
    """Operations of a step with direct convolutions, whatever is run: a TPU's program, counted by
    the CPU backend, since others leave out what they pass on to libraries."""
    many = jax.vmap(step, in_axes=(None, 0), axis_name=parallel.AXIS)
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), (state, batch))
    with jax.default_device(jax.devices("cpu")[0]):
        lowered = jax.jit(many).trace(*shapes).lower(lowering_platforms=("tpu",))
        return lowered.cost_analysis()["flops"]


def matmul_tflops(dtype, side):
    """Measured rate of square matrix products, 1e12 operations per second: the median of five
    chains of ten, so that a fast device does not wait for the host between them."""
    a = jax.random.normal(jax.random.key(0), (side, side), dtype)
    x = a = a / side**0.5  # keeps the products' size
    product = jax.jit(lambda x, y: x @ y)
    product(x, a).block_until_ready()
    times = []
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(10):
            x = product(x, a)
        x.block_until_ready()
        times.append((time.perf_counter() - started) / 10)
    return round(2 * side**3 / statistics.median(times) / 1e12, 4)


def machine(side, dtypes):
    """The device and its rates."""
    device = jax.devices()[0]
    return {
        "platform": device.platform,
        "device": device.device_kind,
        "jax": jax.__version__,
        "jaxlib": jaxlib.__version__,
        "matmul_tflops": {dtype: matmul_tflops(dtype, side) for dtype in dtypes},
    }


def main():
    trainer = None
    for line in sys.stdin:
        command = json.loads(line)
        try:
            if "machine" in command:
                answer = machine(command["machine"], command["dtypes"])
            elif "phase" in command:
                trainer = Trainer(**command)
                answer = trainer.figures
            elif "run" in command:
                answer = trainer.run(command["run"])
            elif "memory" in command:
                answer = memory()
            elif "kernels" in command:
                answer = trainer.kernels(command["kernels"])
            elif "profile" in command:
                answer = trainer.profile(command["profile"])
            else:
                answer = trainer.host(command["host"])
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            answer = {"does not fit": True}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
