"""Times of the network's forward pass by formulation, and of PyTorch's in the same run.

    python benchmarks/forward.py [--torch=/path/to/python] [--only NAME ...] [--json OUT]

One tracked frame of configs/resnet50.py, batch 1: search crop through backbone, neck and head with
the template's kernels at hand. The variants take turns, so that a busy machine slows all alike;
device-synchronised wall times without compilation. With --torch, an interpreter with torch runs the
same layers in eager PyTorch on the same cores, interleaved with this process. The ratio that
counts is the median over the rounds of a variant's time by PyTorch's in the same round.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from machine import keep, machine

from siamjax.models import SiamRPN, convolutions, formulations, init_variables
from siamjax.models.folding import fold
from siamjax.models.formulations import FORMULATIONS
from siamjax.models.import_torch import to_pysot

PYTORCH = "PyTorch eager"


def dots(x, kernel, stride=1, padding=0, dilation=1):
    """1x1 as a matrix product, the rest by XLA's convolution."""
    if kernel.shape[:2] == (1, 1) and stride == 1 and padding == 0:
        return x @ kernel[0, 0]
    return convolutions.lax_conv(x, kernel, stride, padding, dilation)


def shifted_dots(x, kernel, stride=1, padding=0, dilation=1):
    """Wide kernels as a sum of one matrix product per tap."""
    if kernel.shape[0] == 1 or kernel.shape[2] < formulations.WIDE:
        return dots(x, kernel, stride, padding, dilation)
    taps = kernel.reshape(-1, *kernel.shape[2:])
    shifts = convolutions.shifts(x, kernel.shape, stride, padding, dilation)
    return sum(patch @ tap for patch, tap in zip(shifts, taps))


def patches(x, kernel, stride=1, padding=0, dilation=1):
    """Wide kernels as patches times one matrix."""
    if kernel.shape[0] == 1 or kernel.shape[2] < 256:
        return dots(x, kernel, stride, padding, dilation)
    columns = jnp.concatenate(convolutions.shifts(x, kernel.shape, stride, padding, dilation), -1)
    return columns @ kernel.reshape(-1, kernel.shape[-1])


CONVOLUTIONS = {
    "XLA's convolution": convolutions.lax_conv,
    "1x1 as dot": dots,
    "3x3 as shifted dots": shifted_dots,
    "3x3 as patches": patches,
}


def frame(model, variables, z, x):
    """The compiled program of one tracked frame, and a call of it."""
    kernels = model.apply(variables, model.apply(variables, z, method="template"), method="kernels")

    def track(variables, kernels, x):
        return model.apply(
            variables, kernels, model.apply(variables, x, method="search"), method="correlate"
        )

    arguments = jax.device_put((variables, kernels, x))
    program = jax.jit(track).lower(*arguments).compile()
    return lambda: jax.block_until_ready(program(*arguments))


class TorchFrame:
    """The same frame by a child process (benchmarks/forward_torch.py); a call returns seconds."""

    def __init__(self, python, model, variables, z, x):
        script = Path(__file__).with_name("forward_torch.py")
        with tempfile.TemporaryDirectory() as folder:
            weights, images = Path(folder, "weights.npz"), Path(folder, "images.npz")
            np.savez(weights, **to_pysot(model, variables))
            np.savez(images, z=z.transpose(0, 3, 1, 2), x=x.transpose(0, 3, 1, 2))
            self.process = subprocess.Popen(
                [python, script, weights, images],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            self.about = self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit("the PyTorch process ended; see its message above")
        return json.loads(line)

    def __call__(self):
        self.process.stdin.write("run\n")
        self.process.stdin.flush()
        return self._answer()


def timed(program):
    def run():
        start = time.perf_counter()
        program()
        return time.perf_counter() - start

    return run


def summary(times):
    figures = {}
    for name, values in times.items():
        figures[name] = {"min": 1e3 * min(values), "median": 1e3 * statistics.median(values)}
        if PYTORCH in times:
            ratios = [ours / theirs for ours, theirs in zip(values, times[PYTORCH])]
            figures[name]["ratio"] = statistics.median(ratios)
    return figures


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--search", type=int, default=255, help="side of the search crop, px")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--only", nargs="+", help="variants to run (default: all)")
    parser.add_argument("--torch", help="an interpreter with torch")
    parser.add_argument("--json", help="file for the figures")
    args = parser.parse_args()

    model = SiamRPN()
    variables = init_variables(model, 0)
    rng = np.random.default_rng(0)
    z, x = (rng.uniform(0, 255, (1, n, n, 3)).astype(np.float32) for n in (127, args.search))

    makers = {"product": lambda: frame(model, variables, z, x)}
    for name, convolution in CONVOLUTIONS.items():
        FORMULATIONS[name] = FORMULATIONS["platform"]._replace(conv2d=convolution)
        makers[name] = lambda name=name: frame(model.clone(formulation=name), variables, z, x)
    makers["product, folded"] = lambda: frame(*fold(model, variables), z, x)
    makers["product, bfloat16"] = lambda: frame(model.clone(dtype="bfloat16"), variables, z, x)
    unknown = set(args.only or ()) - makers.keys()
    if unknown:
        parser.error(f"--only: {sorted(unknown)} unknown; there are {', '.join(makers)}")
    programs = {
        name: timed(make()) for name, make in makers.items() if not args.only or name in args.only
    }
    about = machine()
    if args.torch:
        programs[PYTORCH] = torch = TorchFrame(args.torch, model, variables, z, x)
        about |= torch.about
    for program in programs.values():
        program()
    times = {name: [] for name in programs}
    for _ in range(args.repeats):
        for name, program in programs.items():
            times[name].append(program())

    figures = summary(times)
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    print(f"ms per frame{'':<12}{'min':>9}{'median':>9}{'ratio to PyTorch':>19}")
    for name, figure in figures.items():
        ratio = f"{figure['ratio']:>19.3f}" if "ratio" in figure else ""
        print(f"{name:<24}{figure['min']:>9.1f}{figure['median']:>9.1f}{ratio}")
    if args.json:
        result = {"machine": about, "search": args.search, "rounds": args.repeats, "ms": figures}
        keep(result, args.json)


if __name__ == "__main__":
    main()
