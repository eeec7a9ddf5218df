"""Speed of a training step (forward, backward, update) of the published ResNet-50, beside PyTorch.

    python benchmarks/train_step.py --torch=PYTHON          # CPU: 2 pairs, float32
    python benchmarks/train_step.py --gpu --torch=PYTHON    # GPU: growing batches, two types

PYTHON is an interpreter that has torch; it runs the same step from the same weights on the same
batch, and the losses and gradient norms of the first step are compared. On CPU it is PyTorch eager,
interleaved step by step with siamjax; on a GPU it is PyTorch with channels last, torch.compile and,
for bfloat16, autocast, each framework with the device for itself. --gpu takes float32 (computed as
TF32 by both) and bfloat16 and doubles the batch until the memory is full.

Per phase (backbone frozen; backbone trained too): seconds per step without compilation, pairs/s,
the host's own time between two steps, memory of the compiled step, and the share of the machine's
measured rate of matrix products (operations of the direct convolutions, so that Winograd's
transform may exceed it). On a machine that does other work too, compare the CPU times, which
waiting does not enter.
"""

import argparse
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
FIT = "does not fit"


class Child:
    """A process that measures on request, such as train_step_jax.py and train_step_torch.py.

    Args:
        environment: its variables; None: those of this process.
        errors: the file that its error output goes to; None: that of this process.
    """

    def __init__(self, python, script, environment=None, errors=None):
        self.process = subprocess.Popen(
            [python, str(HERE / script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
            text=True,
        )

    def ask(self, **command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args[1]} ended: its error is above")
        return json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


class Side:
    """What one framework gave for one setting."""

    def __init__(self, child, **setting):
        self.child = child
        self.figures = child.ask(**setting)
        self.fits = FIT not in self.figures
        self.seconds, self.first = [], None

    def run(self, count):
        if not self.fits:
            return
        answer = self.child.ask(run=count)
        if FIT in answer:
            self.fits = False
            return
        if self.first is None:  # the first call warms up
            self.first = answer["values"][0]
        else:
            self.seconds += answer["seconds"]

    def summary(self, batch):
        if not self.fits:
            return {FIT: True}
        wall, cpu = zip(*self.seconds)
        return self.figures | {
            "s_per_step": _summary(wall),
            "cpu_s_per_step": _summary(cpu),
            "pairs_per_s": round(batch / statistics.median(wall), 2),
        }


def measure(setting, args, folder, on_gpu):
    """All figures of one phase, type and batch."""
    files = {"weights": f"{folder}/weights.npz", "data": f"{folder}/batch.npz"}
    sides = {}
    with Child(sys.executable, "train_step_jax.py") as child:
        ours = Side(child, **setting, **files)
        theirs = None

        def torch_side(process):
            fast = {"device": "cuda" if on_gpu else "cpu", "fast": on_gpu}
            return Side(process, **setting, **files, **fast)

        def rounds(*running):
            for side in running:
                side.run(args.warm_up)
            for _ in range(args.rounds):
                for side in running:
                    side.run(args.steps)

        if args.torch and not on_gpu:
            with Child(args.torch, "train_step_torch.py") as process:
                theirs = torch_side(process)
                rounds(ours, theirs)
        else:
            rounds(ours)
        if ours.fits:
            host = statistics.median(child.ask(host=3)["seconds"])
            ours.figures["host_s_per_step"] = round(host, 4)
            wall = statistics.median(wall for wall, _ in ours.seconds)
            ours.figures["host_share"] = round(host / wall, 4)
            if args.profile:
                child.ask(profile=f"{args.profile}/{setting['phase']}-{setting['dtype']}")
    if args.torch and on_gpu:
        print(json.dumps({"siamjax": ours.summary(setting["batch"])}), file=sys.stderr, flush=True)
        with Child(args.torch, "train_step_torch.py") as process:
            theirs = torch_side(process)
            rounds(theirs)
    sides["siamjax"] = ours.summary(setting["batch"])
    if theirs:
        sides["torch"] = theirs.summary(setting["batch"])
        if ours.fits and theirs.fits:
            sides["ratio_to_torch"] = _ratio(ours.seconds, theirs.seconds)
            values = {"siamjax": ours.first, "torch": theirs.first}
            sides["first_loss_and_gradient_norm"] = values
    return setting | sides


def _ratio(ours, theirs):
    (wall, cpu), (torch_wall, torch_cpu) = zip(*ours), zip(*theirs)
    return {
        "wall": round(statistics.median(wall) / statistics.median(torch_wall), 3),
        "wall_min": round(min(wall) / min(torch_wall), 3),
        "cpu": round(statistics.median(cpu) / statistics.median(torch_cpu), 3),
    }


def _summary(seconds):
    return {"median": round(statistics.median(seconds), 4), "min": round(min(seconds), 4)}


def _processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _best(runs):
    """Pairs/s of each framework at its best batch, and their ratio."""
    best = []
    for phase, dtype in dict.fromkeys((run["phase"], run["dtype"]) for run in runs):
        mine = [run for run in runs if (run["phase"], run["dtype"]) == (phase, dtype)]
        rates = {
            name: max((run[name].get("pairs_per_s", 0) for run in mine if name in run), default=0)
            for name in ("siamjax", "torch")
        }
        line = {"phase": phase, "dtype": dtype, **rates}
        if rates["torch"]:
            line["siamjax_over_torch"] = round(rates["siamjax"] / rates["torch"], 3)
        best.append(line)
    return best


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--gpu", action="store_true", help="the defaults of the other flags are those for a GPU")
    add("--batches", default="2", help="pairs per step, rising, comma-separated")
    add("--dtypes", default="float32", help="float32, bfloat16, comma-separated")
    add("--phases", default="frozen,full", help="comma-separated")
    add("--remat", action="store_true", help="recompute cheap activations")
    add("--rounds", type=int, default=3)
    add("--steps", type=int, default=2, help="per round")
    add("--warm-up", type=int, default=1, help="steps not counted")
    add("--matmul", type=int, default=2048, help="side of the matrices that give the peak rate")
    add("--torch", help="an interpreter with torch")
    add("--profile", help="folder for traces of siamjax's steps (jax.profiler)")
    add("--out", help="JSON file to write")
    if "--gpu" in sys.argv:
        parser.set_defaults(
            batches="16,32,64,128,256,512", dtypes="float32,bfloat16", steps=10, matmul=8192
        )
        parser.set_defaults(warm_up=3)
    args = parser.parse_args()

    with Child(sys.executable, "train_step_jax.py") as child:
        result = {
            "command": shlex.join(["python", *sys.argv]),
            "processor": _processor(),
            "cores": len(os.sched_getaffinity(0)),
            **child.ask(machine=args.matmul, dtypes=args.dtypes.split(",")),
        }
    on_gpu = result["platform"] == "gpu"
    result["load_average_at_start"] = os.getloadavg()[0]
    result["runs"] = runs = []
    with tempfile.TemporaryDirectory() as folder:
        for dtype in args.dtypes.split(","):
            for phase in args.phases.split(","):
                for batch in map(int, args.batches.split(",")):
                    setting = {"phase": phase, "dtype": dtype, "batch": batch, "remat": args.remat}
                    run = measure(setting, args, folder, on_gpu)
                    runs.append(run)
                    ours = run["siamjax"]
                    if FIT not in ours:
                        rate = ours["gflop_per_step"] / 1e3 / ours["s_per_step"]["median"]
                        peak = result["matmul_tflops"][dtype]
                        ours["share_of_matmul_rate"] = round(rate / peak, 3)
                    print(json.dumps(run), file=sys.stderr, flush=True)
                    _write(result, args.out)  # a long sweep may be cut short
                    if all(FIT in run[name] for name in ("siamjax", "torch") if name in run):
                        break
    result["best"] = _best(runs)
    result["load_average_at_end"] = os.getloadavg()[0]
    print(json.dumps(result, indent=2))
    _write(result, args.out)


def _write(result, out):
    if out:
        Path(out).write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
