"""Times of the gradient by the kernel of ResNet-50's dilated convolutions, in two formulations.

    python benchmarks/dilated.py [--batch 64] [--dtype bfloat16] [--repeats 10] [--json OUT]

"whole": what JAX derives, a convolution whose kernel is the output's gradient. "phases": every
d-th row and column as an image of its own, which the kernel sees without dilation, so that XLA can
take its backend's gradient of a plain convolution. The search crop's 31x31 cells, on JAX's default
backend; the variants take turns; minimum of the repeats, device-synchronised, without compilation.
"""

import argparse
import json
from pathlib import Path

import jax
import jax.numpy as jnp
from machine import machine
from xcorr import compiled, milliseconds

from siamjax.models.formulations import lax_conv

# name: input channels, output channels, dilation (the padding is the same)
LAYERS = {
    "layer3, blocks 1 to 5": (256, 256, 2),
    "layer4, shortcut": (1024, 2048, 2),
    "layer4, block 0": (512, 512, 2),
    "layer4, blocks 1 and 2": (512, 512, 4),
}
SIDE = 31


def whole(x, gradient, dilation):
    """(3, 3, C, D) from x (B, H, W, C) and the gradient of the output (B, H, W, D)."""

    def convolve(kernel):
        return lax_conv(x, kernel, 1, dilation, dilation)

    return _transposed(convolve, x, gradient)


def phases(x, gradient, dilation):
    """The same."""
    extra = -SIDE % dilation  # up to a multiple
    inputs = _phases(x, dilation, dilation + extra, dilation)
    outputs = _phases(gradient, 0, extra, dilation)
    return _transposed(lambda kernel: lax_conv(inputs, kernel), x, outputs)


def _transposed(convolve, x, gradient):
    kernel = jax.ShapeDtypeStruct((3, 3, x.shape[-1], gradient.shape[-1]), x.dtype)
    return jax.linear_transpose(convolve, kernel)(gradient)[0]


def _phases(x, low, high, dilation):
    """(B, H, W, C), padded by zeros -> (B dilation^2, H' / dilation, W' / dilation, C)."""
    x = jnp.pad(x, ((0, 0), (low, high), (low, high), (0, 0)))
    batch, side, _, channels = x.shape
    x = x.reshape(batch, side // dilation, dilation, side // dilation, dilation, channels)
    return x.transpose(0, 2, 4, 1, 3, 5).reshape(-1, side // dilation, side // dilation, channels)


VARIANTS = {"whole": whole, "phases": phases}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--json", help="file for the figures")
    args = parser.parse_args()
    about = machine()
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    figures = []
    for name, (channels, features, dilation) in LAYERS.items():
        keys = jax.random.split(jax.random.key(0))
        x = jax.random.normal(keys[0], (args.batch, SIDE, SIDE, channels), args.dtype)
        gradient = jax.random.normal(keys[1], (args.batch, SIDE, SIDE, features), args.dtype)
        programs, results = {}, {}
        for variant, function in VARIANTS.items():

            def run(x, gradient, function=function, dilation=dilation):
                return function(x, gradient, dilation)

            programs[variant] = compiled(run, (x, gradient))
            results[variant] = programs[variant](x, gradient).astype(jnp.float32)
        gap = jnp.abs(results["whole"] - results["phases"]).max()
        times = {variant: [] for variant in programs}
        for _ in range(args.repeats):
            for variant, program in programs.items():
                times[variant].append(milliseconds(program, (x, gradient)))
        row = {"layer": name, "ms": {variant: min(taken) for variant, taken in times.items()}}
        row["ratio"] = row["ms"]["phases"] / row["ms"]["whole"]
        row["largest_difference"] = float(gap / jnp.abs(results["whole"]).max())
        operations = 2 * 9 * channels * features * args.batch * SIDE**2
        row["tflops"] = {v: operations / ms / 1e9 for v, ms in row["ms"].items()}
        figures.append(row)
        print(json.dumps(row), flush=True)
    if args.json:
        result = {"machine": about, "batch": args.batch, "dtype": args.dtype, "layers": figures}
        Path(args.json).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
