"""What a GPU does with siamjax: tracking, and a training step beside PyTorch's.

    python benchmarks/gpu.py --parts=a,b,c,d,e --minutes=5 --out=runs/gpu
    python benchmarks/gpu.py --tiny --out=runs/gpu        # all of it on a CPU, tiny

Parts, in this order of worth, each with --minutes of its own:

a  one target in 720p frames, by the bundled tracker, MobileNetV2, ResNet-50, AlexNet: median and
   99th percentile of a frame, crop on the host and on the device, convolutions outside of CUDA
   graphs and in them (command buffers)
b  64 clips in lockstep: frames per second and memory
c  training step of ResNet-50, bfloat16, batch 256: XLA's convolutions, this product's, its choices
   of the config, and PyTorch's (channels last, autocast, torch.compile)
d  the same in float32 (TF32 in both)
e  the same step as in c under further flags of XLA; the first of them is none, with what c left in
   the cache of autotuned kernels: its compile_s is that of a second start

Every figure is written to OUT/<part>.json when it is there. A part that is cut leaves what it has,
and the next run with the same OUT, on the same kind of device, measures what is missing. --tiny
takes the last setting of each part, its step with the backbone frozen, and torch where it is there.

Needed besides jax, and torch for the comparison: flax, optax, jaxtyping, OpenCV, ml_collections.
For a machine without a network the last one travels as a wheel:

    python -m pip download --no-deps --dest wheels ml_collections
    python -m pip install --no-deps --no-index --target site wheels/*; export PYTHONPATH=site
"""

import argparse
import importlib.util
import json
import os
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from train_step import FIT, Child, Side

NEEDED = {"cv2": "opencv-python-headless"} | {
    name: name for name in ("jax", "flax", "optax", "jaxtyping", "ml_collections")
}
BUFFERS = "--xla_gpu_enable_command_buffer=+CONVOLUTION,+WHILE,+CONDITIONAL"
NETWORKS = ("bundled", "mobilenetv2", "resnet50", "alexnet")
TRACKING = {
    f"{network}{name}": (network, flags)
    for network in NETWORKS
    for name, flags in (("", ""), (", command buffers", BUFFERS))
}
# name of a training step: fields of the config. The product's convolutions have kernel gradients of
# dilated layers by phases.
PRODUCT = "siamjax"
STEPS: dict[str, dict] = {
    PRODUCT: {},
    "torch": {},
    "float16 early": {"early_dtype": "float16"},
    "1x1 as products": {"formulation": "products"},
    "XLA's convolutions": {"formulation": "plain"},
    "1x1 as products, remat": {"formulation": "products", "remat": True},
    "float16 early, 1x1 as products": {"early_dtype": "float16", "formulation": "products"},
    "float16 early, 1x1 as products, remat": {
        "early_dtype": "float16",
        "formulation": "products",
        "remat": True,
    },
}
FLAGS = {
    "no flag": "",
    "convolution fusion": "--xla_gpu_experimental_enable_conv_fusion=true",
    "runtime fusion": "--xla_gpu_use_runtime_fusion=true",
    "cublasLt": "--xla_gpu_enable_cublaslt=true",
    "cuDNN's fusions of products": "--xla_gpu_cudnn_gemm_fusion_level=2",
    "fusion autotuner": "--xla_gpu_experimental_enable_fusion_autotuner=true",
    "command buffers": BUFFERS,
}
BATCHES = (256, 128, 64)  # the first that fits
TINY = {"width": 0.0625, "blocks": (1, 1, 1, 1), "adjust_channels": (8,)}


class Part:
    """The figures of one part, kept in a file, and the time it has.

    Args:
        args: the command line.
        name: a letter.
        device: that the figures are of.
    """

    def __init__(self, args, name: str, device: str):
        self.args, self.file, self.device = args, args.out / f"{name}.json", device
        self.end = time.monotonic() + 60 * args.minutes
        self.all = json.loads(self.file.read_text()) if self.file.is_file() else {}
        self.known = self.all.setdefault(device, {})

    def settings(self, table: dict) -> dict:
        """Those that are still to be measured."""
        if self.args.tiny:
            names = [list(table)[-1], *["torch"] * bool(self.args.torch)]
            table = {name: table[name] for name in names if name in table}
        return {n: x for n, x in table.items() if "done" not in self.known.get(n, {})}

    def left(self) -> float:
        """Seconds that the part still has."""
        return self.end - time.monotonic()

    def keep(self, name: str, figures: dict) -> None:
        """Adds figures to those of a setting, and writes the file."""
        old = {n: x for n, x in self.known.get(name, {}).items() if n not in ("error", FIT)}
        self.known[name] = old | figures
        print(json.dumps({self.file.stem: {name: figures}}), flush=True)
        temporary = self.file.with_suffix(".new")
        temporary.write_text(json.dumps(self.all, indent=1) + "\n")
        temporary.replace(self.file)

    def run(self, name: str, work, script: str, python=sys.executable, flags: str = "") -> None:
        """Has a setting measured by a process, which ends when the part does.

        Args:
            work: gets the process, keeps the figures.
            script: that the process runs.
            flags: of XLA, besides those of the environment.
        """
        if self.left() <= 0:
            return
        cache = f"--xla_gpu_per_fusion_autotune_cache_dir={self.args.autotune}"
        level = "--xla_backend_optimization_level=0" if self.args.tiny else ""
        words = [os.environ.get("XLA_FLAGS"), cache, level, flags]
        environment = os.environ | {
            "XLA_FLAGS": " ".join(filter(None, words)),
            "JAX_TRACEBACK_FILTERING": "off",  # whose hint would be the last line
        }
        with (
            tempfile.TemporaryFile("w+") as errors,
            Child(python, script, environment, errors) as child,
        ):
            clock = threading.Timer(self.left(), child.process.kill)
            clock.start()
            try:
                work(child)
            except (SystemExit, BrokenPipeError):
                self._failed(name, errors)
            finally:
                clock.cancel()

    def _failed(self, name, errors):
        if self.left() <= 0:
            print(f"{self.file.stem}: {name}: cut after {self.args.minutes:g} min", flush=True)
            return
        errors.seek(0)
        lines = errors.read().strip().splitlines()
        print("\n".join(lines[-20:]), file=sys.stderr)
        self.keep(name, {"error": lines[-1][:300] if lines else "the process ended"})


def track_part(part: Part, clips: int = 0) -> None:
    """Parts a and b."""
    table = {name: (name, "") for name in NETWORKS} if clips else TRACKING
    frames = 4 if part.args.tiny else 500
    for name, (network, flags) in part.settings(table).items():

        def work(child, name=name, network=network):
            figures = child.ask(network=network, tiny=part.args.tiny, clips=clips)
            for crop in () if clips else ("host", "device"):
                part.keep(name, figures | {crop: child.ask(crop=crop, frames=frames)})
            part.keep(name, figures | {"done": True})

        part.run(name, work, "gpu_track.py", flags=flags)


def step_part(part: Part, dtype: str, steps: dict, flags: dict) -> None:
    """Parts c, d and e: `steps` under `flags`, one of which has one entry."""
    table = {n if len(flags) == 1 else f: (n, fl) for n in steps for f, fl in flags.items()}
    for name, (step, options) in part.settings(table).items():
        for batch in (2,) if part.args.tiny else BATCHES:
            with tempfile.TemporaryDirectory() as folder:
                measure_step(part, name, step, options, dtype, batch, Path(folder))
            if FIT not in part.known.get(name, {}):
                break
    compare(part)


def measure_step(part, name, step, flags, dtype, batch, folder) -> None:
    """One training step; the torch twin starts from weights that a process of siamjax writes."""
    tiny, fields = part.args.tiny, dict(STEPS[step])
    phase = "frozen" if tiny else "full"
    setting = {"phase": phase, "dtype": dtype, "batch": batch, "remat": fields.pop("remat", False)}
    setting |= {"weights": str(folder / "weights.npz"), "data": str(folder / "batch.npz")}
    setting["model"] = fields | (TINY if tiny else {})
    rounds = (1, 1) if tiny else (3, 20)

    def time_it(side):
        for count in rounds:
            side.run(count)
        first = {"first_loss_and_gradient_norm": side.first} if side.first else {}
        part.keep(name, {"batch": batch} | side.summary(batch) | first)
        return side.fits

    def ours(child):
        before = len(list(part.args.autotune.glob("*")))
        side = Side(child, **setting)
        side.figures["autotuned_before"] = before
        if not time_it(side):
            return
        part.keep(name, child.ask(memory=True))
        if "matmul" not in part.known:
            part.keep("matmul", child.ask(machine=256 if tiny else 8192, dtypes=[dtype]))
        rate = part.known["matmul"]["matmul_tflops"][dtype]
        done = part.known[name]["gflop_per_step"] / 1e3
        seconds = part.known[name]["s_per_step"]["median"]
        part.keep(name, {"share_of_matmul_rate": round(done / seconds / rate, 3)})
        part.keep(name, child.ask(kernels=20) | {"done": True})

    def twin(child):
        fast = {"device": "cpu" if tiny else "cuda", "fast": not tiny}
        if time_it(Side(child, **setting, **fast)):
            part.keep(name, {"done": True})

    if step != "torch":
        part.run(name, ours, "train_step_jax.py", flags=flags)
        return
    if part.args.torch is None:
        print("no interpreter with torch: --torch=PYTHON", flush=True)
        return
    part.run(name, lambda child: child.ask(**setting, only_files=True), "train_step_jax.py")
    if Path(setting["data"]).is_file():
        part.run(name, twin, "train_step_torch.py", part.args.torch)


def compare(part: Part) -> None:
    """Notes each step's time over torch's, where both had the same batch."""
    torch = part.known.get("torch", {})
    for name, figures in part.known.items():
        both = [x.get("s_per_step", {}).get("median") for x in (figures, torch)]
        if name != "torch" and None not in both and figures["batch"] == torch["batch"]:
            part.keep(name, {"ratio_to_torch": round(both[0] / both[1], 3)})


PARTS = {
    "a": track_part,
    "b": lambda part: track_part(part, 2 if part.args.tiny else 64),
    "c": lambda part: step_part(part, "bfloat16", STEPS, {"": ""}),
    "d": lambda part: step_part(part, "float32", STEPS, {"": ""}),
    "e": lambda part: step_part(part, "bfloat16", {PRODUCT: {}}, FLAGS),
}


def device_of(tiny: bool) -> str:
    """The name that the driver gives the first GPU, without taking memory on it."""
    if not tiny:
        try:
            command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
            return subprocess.run(command, capture_output=True, text=True).stdout.splitlines()[0]
        except (OSError, IndexError):
            sys.exit("no NVIDIA GPU here; --tiny measures on the CPU")
    return "cpu"


def main() -> None:
    """Measures the parts that are asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--parts", default=",".join(PARTS), help="comma-separated; default: all")
    add("--minutes", type=float, default=5.0, help="of each part; default: %(default)s")
    add("--out", type=Path, default=Path("runs/gpu"), help="folder; default: %(default)s")
    add("--autotune", type=Path, help="folder of autotuned kernels; default: OUT/autotune")
    add("--torch", help="an interpreter with torch; default: this one, if it has it")
    add("--tiny", action="store_true", help="tiny networks on a CPU, to try the script")
    args = parser.parse_args()
    if unknown := set(args.parts.split(",")) - PARTS.keys():
        sys.exit(f"--parts={args.parts}: no part {min(unknown)!r}; choose from {', '.join(PARTS)}")
    found = importlib.util.find_spec
    if missing := [wanted for name, wanted in NEEDED.items() if found(name) is None]:
        sys.exit(f"not installed: {' '.join(missing)}; --help says how to bring them along")
    if args.torch is None and found("torch"):
        args.torch = sys.executable
    if args.tiny:
        os.environ["JAX_PLATFORMS"] = "cpu"
    args.autotune = (args.autotune or args.out / "autotune").absolute()
    for folder in (args.out, args.autotune):
        folder.mkdir(parents=True, exist_ok=True)
    device, started, failed = device_of(args.tiny), time.monotonic(), []
    for name in args.parts.split(","):
        part = Part(args, name, device)
        PARTS[name](part)
        part.keep("command", {"line": shlex.join(["python", *sys.argv])})
        failed += [f"{name}: {setting}" for setting, x in part.known.items() if "error" in x]
    print(f"{time.monotonic() - started:.0f} s", flush=True)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}; the errors are above and in {args.out}")


if __name__ == "__main__":
    main()
