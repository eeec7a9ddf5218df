"""CPU time of a training step of the published ResNet-50, beside that of an earlier version.

    git worktree add /tmp/before VERSION
    python benchmarks/train_step_versions.py --before=/tmp/before

The two run one step each in turn, 2 pairs in float32, in a process of their own. The ratio is that
of the geometric means over the rounds; its interval is by bootstrap over the rounds, whose two
steps share the machine's state. CPU times, since waiting for other work does not enter them.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from machine import interval, keep, machine
from train_step import Child

HERE = Path(__file__).resolve().parent
SETTING = {"dtype": "float32", "batch": 2, "remat": False}


def measure(phase: str, before: Path, rounds: int, folder: str) -> dict:
    """Seconds of CPU per step of both, and their ratio."""
    with (
        Child(sys.executable, HERE / "train_step_jax.py") as new,
        Child(sys.executable, before / "benchmarks" / "train_step_jax.py") as old,
    ):
        values, seconds = [], []
        for name, child in (("new", new), ("old", old)):
            files = {"weights": f"{folder}/{name}.npz", "data": f"{folder}/{name}-batch.npz"}
            child.ask(phase=phase, **SETTING, **files)
            values.append(child.ask(run=2)["values"])  # not counted
        for i in range(rounds):
            pair = [0.0, 0.0]
            for side in (0, 1) if i % 2 else (1, 0):
                pair[side] = (new, old)[side].ask(run=1)["seconds"][0][1]
            seconds.append(pair)
    cpu = np.array(seconds)
    ratio = np.round(interval(cpu[:, 0] / cpu[:, 1]), 4).tolist()
    return {
        "phase": phase,
        "rounds": rounds,
        "cpu_s_per_step": dict(zip(("now", "before"), np.median(cpu, 0).round(4).tolist())),
        "cpu_now_over_before": dict(zip(("ratio", "low", "high"), ratio)),
        "first_losses": [value[0][0] for value in values],
    }


def main() -> None:
    """Prints and keeps the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, required=True, help="a checkout of that version")
    parser.add_argument("--rounds", type=int, default=20, help="default: %(default)s")
    parser.add_argument("--out", help="JSON file to write")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        phases = [measure(p, args.before, args.rounds, folder) for p in ("frozen", "full")]
    results = {"machine": machine(), **SETTING, "phases": phases}
    print(results)
    keep(results, args.out)


if __name__ == "__main__":
    main()
