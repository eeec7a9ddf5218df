"""Times of the network's forward pass by formulation, and of other programs in the same run.

    taskset -c 0 python benchmarks/forward.py --network=mobilenetv2 --torch=PYTHON \\
        --onnxruntime=PYTHON --openvino=PYTHON [--only NAME ...] [--json OUT]

One tracked frame, batch 1: search crop through backbone, neck and head with the template's kernels
at hand. The variants take turns, so that a busy machine slows all alike; device-synchronised times
without compilation, of the processor and of the clock. The others are interpreters (of
environments) that have the package: torch runs the same layers in eager PyTorch; ONNX Runtime and
OpenVINO (float32) run what `siamjax export --onnx` writes, which needs `siamjax[onnx]` here. The
ratio that counts is the median over the rounds of a variant's processor time by the other's in the
same round.
"""

import argparse
import functools
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from machine import keep, machine, seconds
from track import load

from siamjax.models import build, convolutions, formulations
from siamjax.models.folding import fold
from siamjax.models.formulations import FORMULATIONS
from siamjax.models.import_torch import to_pysot

OTHERS = {"torch": "PyTorch eager", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}


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
    kernels = jax.jit(lambda v, z: model.apply(v, z, method="encode"))(variables, z)

    def track(variables, kernels, x):
        return model.apply(
            variables, kernels, model.apply(variables, x, method="search"), method="correlate"
        )

    arguments = jax.device_put((variables, kernels, x))
    program = jax.jit(track).lower(*arguments).compile()
    return lambda: jax.block_until_ready(program(*arguments))


class Other:
    """The same frame by a child process; a call returns wall and CPU seconds."""

    def __init__(self, command):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        self.about = self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit("the other process ended; see its message above")
        return json.loads(line)

    def __call__(self, order="run"):
        self.process.stdin.write(f"{order}\n")
        self.process.stdin.flush()
        return self._answer()


def others(args, folder, config, variables, z, x):
    """The other programs that were asked for, by name."""
    here, found, kind = Path(__file__).parent, {}, args.network
    model = build(config)
    if args.torch:
        np.savez(folder / "weights.npz", **to_pysot(model, variables))
        np.savez(folder / "images.npz", z=z.transpose(0, 3, 1, 2), x=x.transpose(0, 3, 1, 2))
        script, files = here / "forward_torch.py", ("weights.npz", "images.npz")
        command = [args.torch, script, *(folder / name for name in files), kind]
        found[OTHERS["torch"]] = Other(command)
    runtimes = {name: getattr(args, name) for name in ("onnxruntime", "openvino")}
    if not any(runtimes.values()):
        return found
    from siamjax.integrations import onnx  # needs onnx and onnxruntime

    onnx.export(folder, config, variables)
    folded, variables = fold(model, variables)
    kernels = jax.jit(lambda v, z: folded.apply(v, z, method="encode"))(variables, z)
    inputs = [x, *map(np.asarray, jax.tree.leaves(kernels))]
    np.savez(folder / "inputs.npz", *inputs)
    respond = jax.jit(lambda v, *arrays: folded.apply(v, *arrays, method="respond"))
    expected = respond(variables, kernels, x)
    for name, python in runtimes.items():
        if python:
            script, files = (
                here / "forward_onnx.py",
                (folder / "search.onnx", folder / "inputs.npz"),
            )
            found[OTHERS[name]] = other = Other([python, script, name, *files])
            other("maps")
            maps = np.load(folder / f"maps-{name}.npz")
            for ours, theirs in zip(expected, maps.values(), strict=True):
                assert np.abs(ours - theirs).max() < 1e-3 * np.abs(ours).max(), f"{name} differs"
    return found


def summary(times):
    """Milliseconds, and ratios of processor times to each other program."""
    figures = {}
    for name, values in times.items():
        wall, cpu = zip(*values)
        figures[name] = {"min": 1e3 * min(cpu), "median": 1e3 * statistics.median(cpu)}
        figures[name]["wall median"] = 1e3 * statistics.median(wall)
        for other in OTHERS.values():
            if other in times:
                theirs = [spent for _, spent in times[other]]
                ratios = [ours / spent for ours, spent in zip(cpu, theirs)]
                figures[name][f"to {other}"] = statistics.median(ratios)
    return figures


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--search", type=int, default=255, help="side of the search crop, px")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--only", nargs="+", help="variants to run (default: all)")
    networks = ("bundled", "mobilenetv2", "resnet50")
    parser.add_argument("--network", default="resnet50", choices=networks)
    for name, shown in OTHERS.items():
        parser.add_argument(f"--{name}", help=f"an interpreter with {shown}")
    parser.add_argument("--json", help="file for the figures")
    args = parser.parse_args()

    if args.torch and args.network == "bundled":
        parser.error("--torch: the layers of the bundled network are not among those it runs")
    config, variables = load(args.network)
    model = build(config)
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
        name: functools.partial(seconds, make())
        for name, make in makers.items()
        if not args.only or name in args.only
    }
    about = machine()
    with tempfile.TemporaryDirectory() as folder:
        rivals = others(args, Path(folder), config, variables, z, x)
        for other in rivals.values():
            about |= other.about
        programs |= rivals
        for program in programs.values():
            program()
        times = {name: [] for name in programs}
        for _ in range(args.repeats):
            for name, program in programs.items():
                times[name].append(program())

    figures = summary(times)
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    for name, figure in figures.items():
        print(f"{name:<20}", ", ".join(f"{key} {value:.3f}" for key, value in figure.items()))
    if args.json:
        result = {"machine": about, "network": args.network, "search": args.search}
        result |= {"rounds": args.repeats, "cpu ms": figures}
        keep(result, args.json)


if __name__ == "__main__":
    main()
