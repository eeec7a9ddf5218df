"""Trains a network: python run_train.py --config=configs/demo.py --workdir=runs/x
[--config.section.field=value]

The same command goes on with a run that was stopped. On several hosts give each process
--distributed.
Exit codes: 0 finished, 2 bad input (one line on stderr), 130 Ctrl-C, 143 stopped by SIGTERM after
saving.
"""

import argparse

from siamjax.config import load_config
from siamjax.errors import run_main


def main() -> int:
    parser = argparse.ArgumentParser(description="Trains a network, or goes on training it.")
    parser.add_argument("--config", required=True, help="experiment file, configs/*.py")
    parser.add_argument("--workdir", required=True, help="folder of checkpoints and metrics")
    parser.add_argument(
        "--distributed", default="", help="auto, or HOST:PORT,PROCESSES,INDEX; empty: one process"
    )
    args, overrides = parser.parse_known_args()
    config = load_config(args.config, overrides)

    from siamjax.training import (
        loop,
        parallel,
    )  # starts JAX: after the arguments are known to be good

    parallel.initialise(args.distributed)
    validate = None
    if config.train.evaluate:
        from siamjax.evaluation import validation

        validate = validation.make(config, args.workdir)
    final = loop.train(config, args.workdir, validate)
    if not final["finished"]:
        return 143
    numbers = {name: x for name, x in final.items() if isinstance(x, int | float)}
    print(", ".join(f"{name} {x:.4g}" for name, x in numbers.items() if name != "finished"))
    return 0


if __name__ == "__main__":
    run_main(main)
