"""Speed of a training step (forward, backward, update), compile time apart.

    python benchmarks/train_step.py --torch=/path/to/python         # beside PyTorch, in turns
    python benchmarks/train_step.py --batch=64 --dtype=bfloat16      # on a GPU

Per phase of the published ResNet-50: seconds per step, pairs per second, the host's own time
between two steps, compile time, memory of the compiled step, and the share of the machine's
measured rate of matrix products. With --torch, an interpreter that has torch runs the same step
from the same weights on the same batch, in turns with this process, and the losses and gradient
norms of both are compared.

On a machine that does other work too, compare the CPU times, which waiting does not enter.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def make_config(args):
    """The published experiment with the batch and type of computation asked for."""
    from configs import base

    config = base.get_config()
    config.model.dtype = args.dtype
    config.train.batch_size = args.batch
    config.train.remat = args.remat
    return config.lock()


def make_batch(size):
    """Random images, each with a target of 60 px somewhere near the middle."""
    from siamjax.data.targets import TargetRule, assign
    from siamjax.geometry.anchors import Anchors

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


class Ours:
    """The compiled step and the state it works on."""

    def __init__(self, config, variables, batch, epoch):
        from siamjax import models
        from siamjax.training import optimizer, parallel, state, step

        self.parallel = parallel
        labels = optimizer.label(variables["params"], config.train.unfreeze_layers)
        model = models.build(config).clone(bn_axis_name=parallel.AXIS)
        phase = optimizer.phase_of(config.train, epoch)
        # One step per epoch: the learning rate of the phase's first epoch.
        one = step.make_step(config, model, labels, phase, 10_000, parallel.AXIS)
        now = state.create(variables, optimizer.make(config.train, labels), False)
        self.state = parallel.replicate(now.replace(step=np.int32(epoch * 10_000)))
        self.batch = batch
        program = parallel.compile_step(one)
        started = time.perf_counter()
        compiled = program.lower(self.state, parallel.put(batch)).compile()
        self.compile_s = time.perf_counter() - started
        memory = compiled.memory_analysis()
        self.temporary_mib = memory.temp_size_in_bytes / 2**20 if memory else None
        cost = compiled.cost_analysis() or {}
        self.flops = cost.get("flops", 0.0)
        self.program = program

    def run(self, count):
        """Wall and CPU seconds, losses and gradient norms of n steps, one after the other."""
        seconds, values = [], []
        for _ in range(count):
            batch = self.parallel.put(self.batch)
            started = time.perf_counter(), time.process_time()
            self.state, metrics = self.program(self.state, batch)
            found = self.parallel.first(metrics)
            ended = time.perf_counter(), time.process_time()
            seconds.append([end - start for start, end in zip(started, ended)])
            values.append([found["loss"], found["grad_norm"]])
        return seconds, values

    def host_seconds(self, count):
        """The host's own time per step: copying the batch, dispatching, reading ready metrics."""
        own = []
        for _ in range(count):
            started = time.perf_counter()
            batch = self.parallel.put(self.batch)
            copied = time.perf_counter() - started
            while not all(x.is_ready() for x in batch.values()):
                time.sleep(1e-4)
            started = time.perf_counter()
            self.state, metrics = self.program(self.state, batch)
            dispatched = time.perf_counter() - started
            while not self.parallel.ready(metrics):
                time.sleep(1e-3)
            started = time.perf_counter()
            self.parallel.first(metrics)
            own.append(copied + dispatched + time.perf_counter() - started)
        return own


class Torch:
    """The child process of benchmarks/train_step_torch.py."""

    def __init__(self, python):
        script = ROOT / "benchmarks" / "train_step_torch.py"
        self.process = subprocess.Popen(
            [python, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, **command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.write('{"quit": true}\n')
        self.process.stdin.close()
        self.process.wait()


def measure(phase, args, folder):
    """All figures of one phase."""
    from siamjax import models
    from siamjax.geometry.anchors import Anchors
    from siamjax.models.import_torch import to_pysot
    from siamjax.training import losses

    config = make_config(args)
    model = models.build(config)
    variables = models.init_variables(model, 0)
    batch = make_batch(args.batch)
    epoch = 0 if phase == "frozen" else config.train.unfreeze_epoch
    ours = Ours(config, variables, batch, epoch)
    result = {
        "compile_s": round(ours.compile_s, 1),
        "temporary_mib": ours.temporary_mib and round(ours.temporary_mib),
        "gflop_per_step_by_xla": round(ours.flops / 1e9),
    }
    torch = None
    if args.torch:
        _, delta, weight = losses.targets_from_batch(Anchors(), batch)
        delta = np.moveaxis(np.asarray(delta), -1, 1)
        np.savez(folder / "weights.npz", **to_pysot(model, variables))
        np.savez(folder / "batch.npz", **batch, delta=delta, weight=np.asarray(weight))
        torch = Torch(args.torch)
        result["torch"] = torch.ask(
            load=str(folder / "weights.npz"),
            batch=str(folder / "batch.npz"),
            phase=phase,
            device=args.torch_device,
            fast=args.torch_fast,
        )
    seconds, theirs = [], []
    _, values = ours.run(args.warm_up)
    if torch:
        answer = torch.ask(run=args.warm_up)
        result["first_loss_and_norm"] = {"siamjax": values[0], "torch": answer["values"][0]}
    for _ in range(args.rounds):
        seconds += ours.run(args.steps)[0]
        if torch:
            theirs += torch.ask(run=args.steps)["seconds"]
    wall, cpu = zip(*seconds)
    result |= {
        "s_per_step": summary(wall),
        "cpu_s_per_step": summary(cpu),
        "pairs_per_s": round(args.batch / statistics.median(wall), 2),
    }
    host = statistics.median(ours.host_seconds(3))
    result["host_s_per_step"] = round(host, 4)
    result["host_share"] = round(host / statistics.median(wall), 4)
    if torch:
        torch.close()
        torch_wall, torch_cpu = zip(*theirs)
        result["torch"] |= {"s_per_step": summary(torch_wall), "cpu_s_per_step": summary(torch_cpu)}
        result["ratio_to_torch"] = {
            "wall": round(statistics.median(wall) / statistics.median(torch_wall), 3),
            "wall_min": round(min(wall) / min(torch_wall), 3),
            "cpu": round(statistics.median(cpu) / statistics.median(torch_cpu), 3),
        }
    return result


def matmul_rate(dtype, size):
    """Measured rate of square matrix products, 1e12 operations per second."""
    import jax
    import jax.numpy as jnp

    a = jnp.ones((size, size), dtype)
    product = jax.jit(lambda x, y: x @ y)
    product(a, a).block_until_ready()
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        product(a, a).block_until_ready()
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best / 1e12


def summary(seconds):
    return {"median": round(statistics.median(seconds), 4), "min": round(min(seconds), 4)}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--batch", type=int, default=2, help="pairs per step")
    add("--dtype", default="float32", help="float32 or bfloat16")
    add("--remat", action="store_true", help="recompute cheap activations")
    add("--phases", default="frozen,full", help="by comma")
    add("--rounds", type=int, default=3)
    add("--steps", type=int, default=2, help="per round")
    add("--warm-up", type=int, default=1, help="steps not counted")
    add("--matmul", type=int, default=2048, help="side of the matrices that give the peak rate")
    add("--torch", help="an interpreter with torch")
    add("--torch-device", default="cpu")
    add("--torch-fast", action="store_true", help="channels last, autocast, torch.compile")
    add("--out", help="JSON file to write")
    args = parser.parse_args()

    import jax

    result = {
        "machine": platform.node(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
        "batch": args.batch,
        "dtype": args.dtype,
        "remat": args.remat,
        "load_average_at_start": os.getloadavg()[0],
        "matmul_tflops": round(matmul_rate(args.dtype, args.matmul), 3),
    }
    with tempfile.TemporaryDirectory() as folder:
        for phase in args.phases.split(","):
            result[phase] = found = measure(phase, args, Path(folder))
            rate = found["gflop_per_step_by_xla"] / 1e3 / found["s_per_step"]["median"]
            found["share_of_matmul_rate"] = round(rate / result["matmul_tflops"], 3)
    result["load_average_at_end"] = os.getloadavg()[0]
    text = json.dumps(result, indent=2)
    print(text)
    if args.out:
        Path(args.out).write_text(text + "\n")


if __name__ == "__main__":
    main()
