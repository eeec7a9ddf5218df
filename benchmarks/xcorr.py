"""Times of the depthwise correlation in each formulation, forward and with gradients.

    python benchmarks/xcorr.py [--batch 1 8 32] [--channels 256] [--repeats 10] [--json OUT]

On the 29x29 search features and 5x5 kernels of SiamRPN++. Minimum of the repeats,
device-synchronised, compilation apart; it runs on JAX's default backend.
"""

import argparse
import json
import time

import jax
import jax.numpy as jnp
import numpy as np

from siamjax.models import xcorr

VARIANTS = {
    "product (this backend's choice)": xcorr.depthwise_correlation,
    "shifts, automatic gradient": xcorr.correlate_by_shifts,
    "shifts, custom gradient": xcorr.correlate_by_shifts_custom,
    "grouped convolution": xcorr.correlate_by_grouped_conv,
}


def milliseconds(function, arguments, repeats):
    program = jax.jit(function).lower(*arguments).compile()
    jax.block_until_ready(program(*arguments))
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(program(*arguments))
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--channels", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--json", help="file for the figures")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    figures = []
    print(f"{jax.devices()[0].device_kind}: ms forward / forward and gradients")
    for batch in args.batch:
        search = jnp.float32(rng.standard_normal((batch, 29, 29, args.channels)))
        kernel = jnp.float32(rng.standard_normal((batch, 5, 5, args.channels)))
        for name, variant in VARIANTS.items():
            correlate = jax.vmap(variant)

            def loss(search, kernel, correlate=correlate):
                return jnp.sum(correlate(search, kernel) ** 2)

            forward = milliseconds(correlate, (search, kernel), args.repeats)
            both = milliseconds(jax.value_and_grad(loss, (0, 1)), (search, kernel), args.repeats)
            figures.append({"batch": batch, "variant": name, "forward": forward, "both": both})
            print(f"batch {batch:>3}  {name:<34}{forward:>10.2f} / {both:.2f}", flush=True)
    if args.json:
        with open(args.json, "w") as file:
            json.dump({"device": jax.devices()[0].device_kind, "ms": figures}, file, indent=1)


if __name__ == "__main__":
    main()
