"""Random interruptions of tiny trainings, preparations and evaluations; run by `make soak`.

    python tests/soak.py --minutes=5 --seed=1

Each cycle starts one job in a new folder, interrupts it at random times in random ways, gives the
same command again until it is done, and compares what it wrote with an undisturbed run, byte for
byte. Whatever stays behind (processes, shared memory, partial files) is counted. The exit code is 1
where anything differs or stays.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import cv2
import ml_collections
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from configs import base  # noqa: E402
from siamjax.config import to_json  # noqa: E402
from siamjax.training import checkpoint  # noqa: E402

TAG = f"siamjax-soak-{os.getpid()}"  # in the environment of every process that the soak starts
LIMIT = 120  # s that a job may take before it counts as hung
PARTIAL = ("*.partial*", "*.orbax-checkpoint-tmp*", "*.tmp*", "*.part", ".lock", "*.lock", ".hosts")
EVENTS = ("SIGKILL", "SIGTERM", "SIGSTOP", "worker killed", "flipped byte")  # the last: training


def make_videos(folder: Path) -> None:
    """Six clips of a box that moves over a smooth background, with their boxes."""
    rng = np.random.default_rng(0)
    for v in range(6):
        (folder / f"v{v}").mkdir(parents=True)
        scene = cv2.resize(rng.integers(0, 200, (9, 12, 3), np.uint8), (160, 120))
        rows = []
        for f in range(40):
            x, y = 30 + f + 3 * v, 40 + (f * (v + 1)) % 20
            frame = scene.copy()
            cv2.rectangle(frame, (x, y), (x + 24, y + 18), (40, 90, 30 + 30 * v), -1)
            cv2.imwrite(str(folder / f"v{v}" / f"{f:04d}.jpg"), frame)
            rows.append(f"{x},{y},24,18\n")
        (folder / f"v{v}" / "groundtruth.txt").write_text("".join(rows))


def write_experiment(path: Path, shards: Path) -> None:
    """A network of a few thousand parameters: 40 steps, a checkpoint every 4."""
    c = base.get_config()
    c.model.backbone, c.model.width, c.model.blocks = "resnet18", 0.05, (1, 1, 1, 1)
    c.model.levels, c.model.adjust_channels = (2,), (4,)
    c.data.sources = ml_collections.ConfigDict({"tiny": base.source(str(shards), 20)})
    c.data.pairs_per_epoch, c.data.workers, c.data.prefetch = 40, 2, 2
    c.train.epochs, c.train.batch_size, c.train.warmup_epochs = 4, 4, 1
    c.train.unfreeze_epoch, c.train.unfreeze_layers = 2, ("layer2",)
    c.train.log_every, c.train.checkpoint_every = 1, 4
    text = f"def get_config():\n    return from_json({to_json(c)!r})\n"
    path.write_text(f"from siamjax.config import from_json\n\n\n{text}")


class Soak:
    """The jobs, their undisturbed results, and what was counted."""

    def __init__(self, folder: Path, rng: random.Random):
        self.folder, self.rng = folder, rng
        self.counts: Counter = Counter()
        self.faults: list[str] = []
        self.shared = set(self.shared_memory())
        cache = {"JAX_COMPILATION_CACHE_DIR": str(folder / "xla"), "JAX_PLATFORMS": "cpu"}
        cache |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.2", "SIAMJAX_SOAK": TAG}
        self.environment = os.environ | cache | {"PYTHONPATH": str(ROOT)}
        make_videos(folder / "videos")
        run = [sys.executable, "-m", "siamjax.cli"]
        videos, experiment = str(folder / "videos"), str(folder / "experiment.py")
        self.jobs = {
            "prepare": lambda out: [
                *(sys.executable, "-m", "data_prep", "folder", f"--source={videos}"),
                *(f"--out={out}", "--workers=2", "--shard_mb=1"),
            ],
            "train": lambda out: [*run, "train", f"--config={experiment}", f"--workdir={out}"],
            "eval": lambda out: [
                *(*run, "eval", "--dataset=folder", f"--data_root={videos}", "--workers=2"),
                *("--baselines=static,template_matching", f"--out={out}"),
            ],
        }
        self.whole, self.seconds, self.size = {}, {}, {}
        for name in self.jobs:
            out = folder / f"whole-{name}"
            for _ in range(2 if name == "train" else 1):  # the second finds its programs compiled
                shutil.rmtree(out, ignore_errors=True)
                begin = time.monotonic()
                code = self.start(name, out).wait(LIMIT)
                assert code == 0, f"{name} without interruption ended with {code}: {self.log()}"
                self.seconds[name] = time.monotonic() - begin
            if name == "prepare":
                write_experiment(folder / "experiment.py", out)
            self.whole[name] = self.state(name, out)
            self.size[name] = sum(p.stat().st_size for p in out.rglob("*") if p.is_file())

    def start(self, name: str, out: Path, tmpfs: int = 0) -> subprocess.Popen:
        """A job's process; with `tmpfs` bytes on a disk of that size, then again on a larger one,
        which is copied to `out`."""
        command = self.jobs[name](out)
        if tmpfs:
            script = (
                f'mkdir -p "{out}"; mount -t tmpfs -o size={tmpfs} tmpfs "{out}" || exit 99; '
                f'mkdir "{out}/in"; "$@"; echo $? > "{self.folder}/first"; '
                f'find "{out}" | grep -c orbax-checkpoint-tmp > "{self.folder}/halves"; '
                f'mount -o remount,size=200m "{out}"; "$@" && cp -r "{out}/in" "{out}.copy"'
            )
            command = self.jobs[name](out / "in")
            command = ["unshare", "-rm", "sh", "-c", script, "sh", *command]
        with (self.folder / "log").open("wb") as log:
            return subprocess.Popen(
                command, cwd=ROOT, env=self.environment, stdout=log, stderr=log, process_group=0
            )

    def events(self) -> int:
        """How many there were so far."""
        return sum(count for name, count in self.counts.items() if ": " in name)

    def log(self) -> str:
        """The end of what the last job printed."""
        return (self.folder / "log").read_text(errors="replace")[-1500:]

    def state(self, name: str, out: Path):
        """What a job made, without clocks and places."""
        if name == "train":
            meta = checkpoint.read(out / "checkpoints" / "40", True)[2]
            lines = (out / "metrics.jsonl").read_text().splitlines()
            keys = ("step", "loss", "grad_norm", "lr")
            losses = [tuple(json.loads(line)[key] for key in keys) for line in lines]
            return meta["crc32c"]["variables"], meta["crc32c"]["training"], losses
        pattern = "results/**/*.txt" if name == "eval" else "*"
        files = [path for path in sorted(out.glob(pattern)) if path.is_file()]
        return {str(p.relative_to(out)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}

    def shared_memory(self) -> list[str]:
        """Names of the objects in shared memory."""
        return os.listdir("/dev/shm") if Path("/dev/shm").is_dir() else []

    def processes(self) -> list[int]:
        """Running processes that the soak's jobs have left."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if TAG.encode() in (path / "environ").read_bytes():
                    state = (path / "stat").read_text().rsplit(")", 1)[1].split()[0]
                    found += [int(path.name)] if state != "Z" else []
            except OSError:
                continue
        return found

    def check_left(self, what: str) -> None:
        """Ten seconds after a job's end nothing of it may run or hold shared memory."""
        end = time.monotonic() + 10
        while (left := self.processes()) and time.monotonic() < end:
            time.sleep(0.05)
        if left:
            self.faults.append(f"{what}: processes {left} stayed")
            self.counts["left processes"] += len(left)
            for process in left:
                os.kill(process, signal.SIGKILL)
        if shared := set(self.shared_memory()) - self.shared:
            self.faults.append(f"{what}: shared memory {sorted(shared)} stayed")
            self.counts["left shared memory"] += len(shared)

    def interrupt(self, name: str, process: subprocess.Popen, event: str, out: Path) -> None:
        """Lets a job run for a random time, then disturbs it, and waits for its end."""
        time.sleep(self.rng.uniform(0.1, 0.7) * self.seconds[name])
        if process.poll() is None:
            self.counts[f"{name}: {event}"] += 1
            if event == "SIGSTOP":
                os.killpg(process.pid, signal.SIGSTOP)
                time.sleep(self.rng.uniform(0.2, 1.5))
                os.killpg(process.pid, signal.SIGCONT)
            elif event == "worker killed":
                others = [p for p in self.processes() if p != process.pid]
                if others:
                    os.kill(self.rng.choice(others), signal.SIGKILL)
            elif event == "SIGTERM":
                process.terminate()
            else:
                process.kill()
        process.wait(LIMIT)
        if event == "flipped byte" and name == "train":
            self.flip(out)

    def flip(self, out: Path) -> None:
        """Changes a bit in a file of the newest checkpoint."""
        steps = checkpoint.saved_steps(out / "checkpoints")
        if len(steps) > 1:
            newest = out / "checkpoints" / str(steps[-1])
            files = [p for p in sorted(newest.rglob("*")) if p.is_file() and p.stat().st_size]
            path = self.rng.choice([p for p in files if {"d", "meta"} & {*p.parts}])
            data = bytearray(path.read_bytes())
            data[self.rng.randrange(len(data))] ^= 1 << self.rng.randrange(8)
            path.write_bytes(data)

    def full_disk(self, name: str, out: Path) -> Path:
        """The job on a disk that it fills, and again when there is space."""
        size = int(self.rng.uniform(0.2, 0.9) * self.size[name])
        code = self.start(name, out, max(size, 40_000)).wait(2 * LIMIT)
        if code == 99:
            return out  # no mount namespaces here
        self.check_left(f"{name} on a full disk")
        self.counts[f"{name}: full disk"] += 1
        first = int((self.folder / "first").read_text())
        if first not in (0, 2):
            self.faults.append(f"{name}: a full disk ended it with {first}")
        if name == "train" and first == 2 and int((self.folder / "halves").read_text()):
            self.faults.append("train: a full disk left half a checkpoint")
            self.counts["left partial files"] += 1
        return out.with_name(out.name + ".copy")

    def cycle(self, number: int) -> None:
        """One job, its interruptions, its end, and the comparison."""
        name = self.rng.choice(("train", "train", "prepare", "eval"))
        out = self.folder / f"{number:04d}-{name}"
        what = f"cycle {number}, {name}"
        if self.rng.random() < 0.3:
            out = self.full_disk(name, out)
        for event in self.rng.choices(
            EVENTS[: 5 if name == "train" else 4], k=self.rng.randint(3, 5)
        ):
            self.interrupt(name, self.start(name, out), event, out)
            what += f", {event}"
            self.check_left(what)
        code = self.start(name, out).wait(LIMIT)
        if code != 0:
            self.faults.append(f"{what}: ended with {code}: {self.log()}")
            return
        self.check_left(what)
        if self.state(name, out) != self.whole[name]:
            self.faults.append(f"{what}: the result differs ({out})")
            return
        places = [out, *out.parent.glob(f"{out.name}.parts")]
        partial = [str(p) for x in PARTIAL for place in places for p in place.rglob(x)]
        partial += map(str, out.parent.glob(f"{out.name}.parts"))
        if partial:
            self.faults.append(f"{what}: left {partial[:3]}")
            self.counts["left partial files"] += len(partial)
        shutil.rmtree(out)
        shutil.rmtree(out.with_name(out.name.removesuffix(".copy")), ignore_errors=True)


def own_shared_memory() -> None:
    """Starts the soak again with a /dev/shm of its own, where the system has mount namespaces: what
    other programs keep there is not counted."""
    if os.environ.get("SIAMJAX_SOAK_ALONE") or not Path("/dev/shm").is_dir():
        return
    alone = 'mount -t tmpfs tmpfs /dev/shm && exec "$@"'
    command = ["unshare", "-rm", "sh", "-c", alone, "sh", sys.executable, *sys.argv]
    with contextlib.suppress(OSError):
        if subprocess.run(["unshare", "-rm", "true"]).returncode == 0:
            os.execvpe("unshare", command, os.environ | {"SIAMJAX_SOAK_ALONE": "1"})


def main() -> int:
    """Runs cycles for the given time and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5, help="how long (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=None, help="of times and kinds; default: new")
    args = parser.parse_args()
    own_shared_memory()
    seed = random.SystemRandom().randrange(10**6) if args.seed is None else args.seed
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="soak") as folder:
        soak = Soak(Path(folder), random.Random(seed))
        end, number = time.monotonic() + 60 * args.minutes, 0
        while time.monotonic() < end or soak.events() < 3 * args.minutes:
            soak.cycle(number)
            number += 1
    events = soak.events()
    print(f"| interruption | count |\n|---|--:|\n| cycles | {number} |\n| events | {events} |")
    for name, count in sorted(soak.counts.items()):
        print(f"| {name} | {count} |")
    for left in {"left processes", "left shared memory", "left partial files"} - soak.counts.keys():
        print(f"| {left} | 0 |")
    print(f"| results that differ, or other faults | {len(soak.faults)} |")
    print("\n".join(soak.faults))
    return 1 if soak.faults else 0


if __name__ == "__main__":
    sys.exit(main())
