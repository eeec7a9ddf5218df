"""Times of the depthwise correlation in each formulation, forward and with gradients.

    python benchmarks/xcorr.py [--batch 1 8 32] [--channels 256] [--repeats 10] [--json OUT]

On the 29x29 search features and 5x5 kernels of SiamRPN++, on JAX's default backend. The variants
take turns; minimum of the repeats, device-synchronised, without compilation. The ratios are the
grouped convolution's time by the variant's.
"""

import argparse
import time

import jax
import jax.numpy as jnp
import numpy as np
from machine import keep, machine

from siamjax.models import xcorr
from siamjax.models.convolutions import depthwise_by_shifts

ORACLE = "grouped convolution"


def by_shifts(search, kernel):
    """`xcorr.depthwise_correlation` with JAX's own gradient on every backend."""
    return depthwise_by_shifts(search[None], kernel[:, :, None])[0]


VARIANTS = {
    "product (this backend's choice)": xcorr.depthwise_correlation,
    "shifts, automatic gradient": by_shifts,
    ORACLE: xcorr.correlate_by_grouped_conv,
}


def compiled(function, arguments):
    """The compiled function; it has run once."""
    program = jax.jit(function).lower(*arguments).compile()
    jax.block_until_ready(program(*arguments))
    return program


def milliseconds(program, arguments):
    """Of one call."""
    start = time.perf_counter()
    jax.block_until_ready(program(*arguments))
    return 1e3 * (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--channels", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--json", help="file for the figures")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    about = machine()
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    print("ms forward / forward and gradients (times faster than the grouped convolution)")
    figures = []
    for batch in args.batch:
        search = jnp.float32(rng.standard_normal((batch, 29, 29, args.channels)))
        kernel = jnp.float32(rng.standard_normal((batch, 5, 5, args.channels)))
        programs = {}
        for name, variant in VARIANTS.items():
            correlate = jax.vmap(variant)

            def loss(search, kernel, correlate=correlate):
                return jnp.sum(correlate(search, kernel) ** 2)

            programs[name, "forward"] = compiled(correlate, (search, kernel))
            programs[name, "both"] = compiled(jax.value_and_grad(loss, (0, 1)), (search, kernel))
        times = {key: [] for key in programs}
        for _ in range(args.repeats):
            for key, program in programs.items():
                times[key].append(milliseconds(program, (search, kernel)))
        best = {key: min(values) for key, values in times.items()}
        for name in VARIANTS:
            row = {"batch": batch, "variant": name}
            for what in ("forward", "both"):
                row[what] = best[name, what]
                row[f"{what}_ratio"] = best[ORACLE, what] / best[name, what]
            figures.append(row)
            print(
                f"batch {batch:>3}  {name:<34}{row['forward']:>10.2f} / {row['both']:<10.2f}"
                f"({row['forward_ratio']:.1f} / {row['both_ratio']:.1f})",
                flush=True,
            )
    if args.json:
        result = {"machine": about, "channels": args.channels, "ms": figures}
        keep(result, args.json)


if __name__ == "__main__":
    main()
