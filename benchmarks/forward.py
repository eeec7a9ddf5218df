"""Times of the network's forward pass by formulation, and of PyTorch's in the same run.

    python benchmarks/forward.py [--search 255] [--repeats 10] [--only NAME ...] [--json OUT]

One tracked frame of configs/resnet50.py, batch 1: search crop through backbone, neck and head with
the template's kernels at hand. The variants take turns, so that a busy machine slows all alike;
minimum and median wall time, device-synchronised, compilation apart. Where torch is installed (CPU
only), the same layers run in eager PyTorch with as many threads as cores.
"""

import argparse
import json
import os
import statistics
import time
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np

from siamjax.models import SiamRPN, conv, init_variables
from siamjax.models.folding import fold
from siamjax.models.import_torch import to_pysot


def xla_only(x, kernel, stride=1, padding=0, dilation=1):
    return conv.lax_conv(x, kernel, stride, padding, dilation)


def dots(x, kernel, stride=1, padding=0, dilation=1):
    """1x1 as a matrix product, the rest by XLA's convolution."""
    if kernel.shape[:2] == (1, 1) and stride == 1 and padding == 0:
        return x @ kernel[0, 0]
    return conv.lax_conv(x, kernel, stride, padding, dilation)


def shifted_dots(x, kernel, stride=1, padding=0, dilation=1):
    """Wide kernels as a sum of one matrix product per tap."""
    if kernel.shape[0] == 1 or kernel.shape[2] < conv.WIDE:
        return dots(x, kernel, stride, padding, dilation)
    taps = kernel.reshape(-1, *kernel.shape[2:])
    shifts = conv.shifts(x, kernel.shape, stride, padding, dilation)
    return sum(patch @ tap for patch, tap in zip(shifts, taps))


def patches(x, kernel, stride=1, padding=0, dilation=1):
    """Wide kernels as patches times one matrix."""
    if kernel.shape[0] == 1 or kernel.shape[2] < 256:
        return dots(x, kernel, stride, padding, dilation)
    columns = jnp.concatenate(conv.shifts(x, kernel.shape, stride, padding, dilation), -1)
    return columns @ kernel.reshape(-1, kernel.shape[-1])


FORMULATIONS = {
    "product": conv.conv2d,
    "XLA's convolution": xla_only,
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


def torch_frame(model, variables, z, x):
    import torch
    from torch_twin import Twin

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    twin = Twin(to_pysot(model, variables))
    z, x = (torch.from_numpy(array.transpose(0, 3, 1, 2).copy()) for array in (z, x))
    with torch.inference_mode():
        kernels = twin.kernels(twin.template(z))

    def run():
        with torch.inference_mode():
            return twin.correlate(kernels, twin.search(x))

    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--search", type=int, default=255, help="side of the search crop, px")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--only", nargs="+", help="variants to run (default: all)")
    parser.add_argument("--json", help="file for the figures")
    args = parser.parse_args()

    model = SiamRPN()
    variables = init_variables(model, 0)
    rng = np.random.default_rng(0)
    z, x = (rng.uniform(0, 255, (1, n, n, 3)).astype(np.float32) for n in (127, args.search))

    def of_formulation(function):
        with mock.patch.object(conv, "conv2d", function):
            return frame(model, variables, z, x)

    makers = {name: lambda f=f: of_formulation(f) for name, f in FORMULATIONS.items()}
    makers["product, folded"] = lambda: frame(*fold(model, variables), z, x)
    makers["product, bfloat16"] = lambda: frame(model.clone(dtype="bfloat16"), variables, z, x)
    makers["PyTorch eager"] = lambda: torch_frame(model, variables, z, x)
    programs = {}
    for name, make in makers.items():
        if args.only and name not in args.only:
            continue
        try:
            programs[name] = make()
        except ImportError:
            print("PyTorch is not installed: left out")
    times = {name: [] for name in programs}
    for program in programs.values():
        program()
    for _ in range(args.repeats):
        for name, program in programs.items():
            start = time.perf_counter()
            program()
            times[name].append(time.perf_counter() - start)

    print(f"{jax.devices()[0].device_kind}, {len(os.sched_getaffinity(0))} cores: ms per frame")
    figures = {
        name: {"min": 1e3 * min(values), "median": 1e3 * statistics.median(values)}
        for name, values in times.items()
    }
    for name, figure in figures.items():
        print(f"{name:<22} min {figure['min']:>8.1f}   median {figure['median']:>8.1f}")
    if {"product", "PyTorch eager"} <= figures.keys():
        ratio = figures["product"]["min"] / figures["PyTorch eager"]["min"]
        print(f"product / PyTorch eager: {ratio:.2f}")
    if args.json:
        with open(args.json, "w") as file:
            json.dump({"device": jax.devices()[0].device_kind, "ms": figures}, file, indent=1)


if __name__ == "__main__":
    main()
