"""Random interruptions and damage of tiny trainings, preparations and evaluations; run by
`make soak`.

    python tests/soak.py --minutes=5 --seed=1

Each cycle starts one job in a new folder, disturbs it at random times in random ways, gives the
same command again until it is done, and compares what it wrote with an undisturbed run, byte for
byte. After a flipped bit the next command must give the same result, or end with one line that
names the damage; then what the line says is done, and the result must be the same. Whatever stays
behind (processes, shared memory, partial files) is counted. The exit code is 1 where anything
differs or stays.
"""

import argparse
import concurrent.futures
import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
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

TAG = f"siamjax-soak-{os.getpid()}-"  # and the cycle's number: in the environment of its processes
LIMIT = 1200  # s that a job may take before it counts as hung
GRACE = 60  # s after its end; without other load on the machine it takes less than one
ENDS = ("SIGKILL", "SIGTERM", "worker killed", "flipped bit")  # events that end a job
OUTLIVED = (*["SIGSTOP"] * 7, "second start")  # and those that it outlives
PARTIAL = (
    *("*.partial*", "*.orbax-checkpoint-tmp*", "*.tmp*", "*.part", ".lock", "*.lock", ".hosts"),
    "*.parts",
)
FULL = (  # run by sh on a disk of its own: $1 its folder, $2 its size, $3 where the answers go
    'out=$1; said=$3; mount -t tmpfs -o size=$2 tmpfs "$out" || exit 99; shift 3; mkdir "$out/in";'
    '"$@" > "$said.log" 2>&1; echo $? > "$said.code";'
    'find "$out" -name "*orbax-checkpoint-tmp*" -o -name "*.partial*" -o -name "*.tmp-*" '
    '-o -name "*.lock" > "$said.left";'
    'mount -o remount,size=500m "$out"; "$@" && cp -r "$out/in" "$said.whole"'
)


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
    """A network of a few thousand parameters: 24 steps, a checkpoint every 4."""
    c = base.get_config()
    c.model.backbone, c.model.width, c.model.blocks = "resnet18", 0.05, (1, 1, 1, 1)
    c.model.levels, c.model.adjust_channels = (2,), (4,)
    c.data.sources = ml_collections.ConfigDict({"tiny": base.source(str(shards), 20)})
    c.data.pairs_per_epoch, c.data.workers, c.data.prefetch = 24, 2, 2
    c.train.epochs, c.train.batch_size, c.train.warmup_epochs = 4, 4, 1
    c.train.unfreeze_epoch, c.train.unfreeze_layers = 2, ("layer2",)
    c.train.log_every, c.train.checkpoint_every = 1, 4
    text = f"def get_config():\n    return from_json({to_json(c)!r})\n"
    path.write_text(f"from siamjax.config import from_json\n\n\n{text}")


class Soak:
    """The jobs, their undisturbed results, and what was counted."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.counts: Counter = Counter()
        self.faults: list[str] = []
        self.guard = threading.Lock()
        cache = {"JAX_COMPILATION_CACHE_DIR": str(folder / "xla"), "JAX_PLATFORMS": "cpu"}
        cache |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.2", "PYTHONPATH": str(ROOT)}
        cache |= {"PYTHONPYCACHEPREFIX": str(folder / "pyc"), "PYTHONDONTWRITEBYTECODE": ""}
        self.environment = os.environ | cache
        self.shared = set(shared_memory())
        make_videos(folder / "videos")
        self.whole, self.seconds, self.size = {}, {}, {}
        for name in ("prepare", "train", "eval"):
            out = folder / f"whole-{name}"
            for _ in range(2 if name == "train" else 1):  # the second finds its programs compiled
                shutil.rmtree(out, ignore_errors=True)
                job = Job(self, name, out, "whole")
                begin = time.monotonic()
                code = job.start().wait(LIMIT)
                assert code == 0, f"{name} without interruption ended with {code}: {job.log()}"
                self.seconds[name] = time.monotonic() - begin
            if name == "prepare":
                write_experiment(folder / "experiment.py", out)
            self.whole[name] = job.state()
            self.size[name] = sum(p.stat().st_size for p in out.rglob("*") if p.is_file())

    def count(self, name: str, number: int = 1) -> None:
        """Counts an event, or what was left."""
        with self.guard:
            self.counts[name] += number

    def fault(self, text: str) -> None:
        """Notes what must not happen."""
        with self.guard:
            self.faults.append(text)
        print(f"fault: {text}", flush=True)

    def events(self) -> int:
        """How many there were so far."""
        with self.guard:
            return sum(count for name, count in self.counts.items() if ": " in name)

    def cycle(self, seed: str, number: int) -> None:
        """One job, its disturbances, its end, and the comparison."""
        rng = random.Random(f"{seed}-{number}")
        name = rng.choice(("train", "prepare", "eval"))
        print(f"cycle {number}: {name}, {self.events()} events so far", flush=True)
        job = Job(self, name, self.folder / f"{number:04d}-{name}", str(number), rng)
        try:
            good = job.fill_disk() if rng.random() < 0.25 else job.disturb()
            if good:
                self.count("cycles")
                job.remove()
        except Exception as error:
            self.fault(f"{job.story}: {error!r}: {job.log()}")


class Job:
    """One command, given again until it is done."""

    def __init__(self, soak: Soak, name: str, out: Path, number: str, rng=None):
        self.soak, self.name, self.out, self.rng = soak, name, out, rng
        self.tag, self.story = f"{TAG}{number}.", f"cycle {number}, {name}"
        self.logs = out.with_name(f"{out.name}.log")
        self.data = soak.folder / "whole-prepare"
        if rng is not None and name == "train":  # shards of its own, to be damaged
            self.data = Path(shutil.copytree(self.data, out.with_name(f"{out.name}.shards")))
        self.damaged = False

    def command(self, out: Path) -> list[str]:
        """The command line that writes to `out`."""
        run, videos = [sys.executable, "-m", "siamjax"], str(self.soak.folder / "videos")
        if self.name == "prepare":
            command = [sys.executable, "-m", "data_prep", "folder", f"--source={videos}"]
            return [*command, f"--out={out}", "--workers=2", "--shard_mb=1"]
        if self.name == "train":
            command = [*run, "train", f"--config={self.soak.folder / 'experiment.py'}"]
            return [*command, f"--config.data.sources.tiny.path={self.data}", f"--workdir={out}"]
        command = [*run, "eval", "--dataset=folder", f"--data_root={videos}", "--workers=2"]
        return [*command, "--baselines=static,template_matching", f"--out={out}"]

    def start(self, command: list[str] | None = None, log: str = "") -> subprocess.Popen:
        """The job's process; what it prints goes to a file."""
        environment = self.soak.environment | {"SIAMJAX_SOAK": self.tag}
        with open(f"{self.logs}{log}", "wb") as file:
            return subprocess.Popen(
                command or self.command(self.out),
                **{"cwd": ROOT, "env": environment, "stdout": file, "stderr": file},
                process_group=0,
            )

    def log(self, log: str = "") -> str:
        """What the last process printed."""
        with contextlib.suppress(OSError):
            return Path(f"{self.logs}{log}").read_text(errors="replace")[-3000:]
        return ""

    def state(self, out: Path | None = None):
        """What the job made, without clocks and places."""
        out = out or self.out
        if self.name == "train":
            with self.soak.guard:
                meta = checkpoint.read(out / "checkpoints" / "24", True)[2]
            lines = (out / "metrics.jsonl").read_text().splitlines()
            keys = ("step", "loss", "grad_norm", "lr")
            losses = [tuple(json.loads(line)[key] for key in keys) for line in lines]
            config = json.loads((out / "config.json").read_text())
            del config["data"]["sources"]
            return meta["crc32c"]["variables"], meta["crc32c"]["training"], losses, config
        pattern = "results/**/*" if self.name == "eval" else "**/*"
        files = [path for path in sorted(out.glob(pattern)) if path.is_file()]
        return {str(p.relative_to(out)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}

    def processes(self) -> list[int]:
        """Running processes of the job."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if self.tag.encode() in (path / "environ").read_bytes():
                    state = (path / "stat").read_text().rsplit(")", 1)[1].split()[0]
                    found += [int(path.name)] if state != "Z" else []
            except OSError:
                continue
        return found

    def check_left(self) -> None:
        """Soon after the job's end nothing of it may run or hold shared memory."""
        end = time.monotonic() + GRACE
        shared = set(shared_memory()) - self.soak.shared
        while ((left := self.processes()) or shared) and time.monotonic() < end:
            time.sleep(0.1)
            shared &= set(shared_memory())  # other jobs make some and let it go again
        if left:
            self.soak.fault(f"{self.story}: processes {left} stayed")
            self.soak.count("left processes", len(left))
            for process in left:
                os.kill(process, signal.SIGKILL)
        if shared:
            self.soak.fault(f"{self.story}: shared memory {sorted(shared)} stayed")
            self.soak.count("left shared memory", len(shared))
            self.soak.shared |= shared

    # --- disturbances

    def disturb(self) -> bool:
        """Random events, then an undisturbed run; whether the result is the same."""
        for end in self.rng.choices(ENDS, k=self.rng.randint(3, 5)):
            process = self.start()
            for event in self.rng.choices(OUTLIVED, k=self.rng.randint(1, 4)):
                self.wait_within(process, 0.25)
                if process.poll() is None:
                    self.outlive(process, event)
            self.wait_within(process, 0.6)
            if process.poll() is None:
                self.end(process, end)
            self.check_end(process.wait(LIMIT), end)
            if end == "flipped bit":
                self.flip()
        for _ in range(3):  # a fix may show the next damage
            code = self.start().wait(LIMIT)
            if not self.check_end(code, "") or code == 0:
                break
        return code == 0 and self.compare(self.out)

    def wait_within(self, process: subprocess.Popen, share: float) -> None:
        """Waits for a random time up to a share of what the job takes, or for its end."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(self.rng.uniform(0.02, share) * self.soak.seconds[self.name])

    def outlive(self, process: subprocess.Popen, event: str) -> None:
        """An event that the job outlives."""
        self.soak.count(f"{self.name}: {event}")
        self.story += f", {event}"
        if event == "second start":
            second = self.start(log="2")
            code, said = second.wait(LIMIT), self.log("2")
            words = "in use by" if not self.damaged else "error: "  # or it meets the damage first
            refused = code == 2 and words in said and "Traceback" not in said
            if code == 0:  # the first was done by then, or it came second to the lock
                first = process.wait(LIMIT)
                refused = first == 0 or (first == 2 and "in use by" in self.log())
            if not refused:
                self.soak.fault(f"{self.story}: the second ended with {code}: {said}")
            return
        stop = self.rng.choice([process.pid, *self.processes(), -process.pid, -process.pid])
        with contextlib.suppress(ProcessLookupError):
            os.kill(stop, signal.SIGSTOP)
            time.sleep(self.rng.uniform(0.1, 1.5))
            os.kill(stop, signal.SIGCONT)

    def end(self, process: subprocess.Popen, event: str) -> None:
        """An event that ends the job."""
        if event == "worker killed":
            others = [p for p in self.processes() if p != process.pid and is_ours(p)]
            if not others:
                return process.kill()
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.rng.choice(others), signal.SIGKILL)
        elif event == "SIGTERM":
            process.terminate()
        else:
            process.kill()
        if event != "flipped bit":  # which is counted where there is a file to flip it in
            self.soak.count(f"{self.name}: {event}")
        self.story += f", {event}"
        return None

    def check_end(self, code: int, event: str) -> bool:
        """What a run may end with; repairs the damage that it names."""
        self.check_left()
        said = self.log()
        lines = [x for x in said.replace("\r", "\n").splitlines() if x.startswith("error: ")]
        fine = code == 0 or (event and code in (-9, -15, 143))
        fine = fine or (code == 2 and len(lines) == 1 and (self.damaged or event))
        if not fine or "Traceback" in said:
            self.soak.fault(f"{self.story}: ended with {code}: {said}")
            return False
        if code == 2 and self.damaged and not re.search("a worker|in use by", lines[0]):
            self.mend(lines[0].removeprefix("error: "))
        elif code == 0:
            self.damaged = False
        return True

    def damageable(self) -> list[tuple[str, Path]]:
        """Files of the job in which a bit may flip, with what they are."""
        if self.name == "prepare":
            parts = self.out.with_name(f"{self.out.name}.parts")
            return [("a part", p) for p in parts.rglob("*") if p.name != ".lock"]
        if self.name == "eval":
            what = ("results", "checksums", "times")
            return [("a result", p) for x in what for p in (self.out / x).rglob("*")]
        steps = checkpoint.saved_steps(self.out / "checkpoints")
        newest = (self.out / "checkpoints" / str(steps[-1])).rglob("*") if len(steps) > 1 else ()
        found = [("a checkpoint", p) for p in newest if {"d", "meta"} & {*p.parts}]
        beside = [("config or metrics", self.out / n) for n in ("config.json", "metrics.jsonl")]
        index = [self.data / "manifest.json", *(self.data / "index").rglob("*")]
        return found + beside * 4 + [("index or manifest", p) for p in index]

    def flip(self) -> None:
        """Changes a bit in a file of the job, if it has one; the kinds are equally likely."""
        files = [(what, p) for what, p in self.damageable() if p.is_file() and p.stat().st_size]
        if not files or self.damaged:
            return
        kind = self.rng.choice(sorted({what for what, _ in files}))
        path = self.rng.choice(sorted({p for what, p in files if what == kind}))
        data = bytearray(path.read_bytes())
        place, bit = self.rng.randrange(len(data)), self.rng.randrange(8)
        data[place] ^= 1 << bit
        path.unlink()  # it may be a link to the file of another folder
        path.write_bytes(data)
        self.damaged = True
        self.soak.count(f"{self.name}: flipped bit in {kind}")
        self.story += f", bit {bit} of byte {place} of {path} flipped"

    def mend(self, line: str) -> None:
        """Does what the line of an error says."""
        self.soak.count("damages that a line named")
        named = [Path(x) for x in re.findall(r"[^\s:;(),]*/[^\s:;(),]+", line)]
        ours = [p for p in named if self.out in (p, *p.parents)]
        if any(self.data in (p, *p.parents) for p in named) and self.name == "train":
            shutil.rmtree(self.data)
            shutil.copytree(self.soak.folder / "whole-prepare", self.data)
        elif not ours:
            self.soak.fault(f"{self.story}: the line names no file: {line}")
        else:
            both = "delete both" in line
            for path in (ours[-1], ours[-1].with_suffix(".json")) if both else ours[-1:]:
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        self.damaged = False

    # --- a full disk

    def fill_disk(self) -> bool:
        """The job on a disk that it fills, and again when there is space."""
        least = 30_000 if self.name == "eval" else 60_000
        size = max(least, int(self.rng.uniform(0.1, 0.9) * self.soak.size[self.name]))
        said = self.out.with_name(f"{self.out.name}.said")
        self.out.mkdir()
        script = ["unshare", "-rm", "sh", "-c", FULL, "sh", str(self.out), str(size), str(said)]
        code = self.start([*script, *self.command(self.out / "in")]).wait(2 * LIMIT)
        if code == 99:
            return True  # no mount namespaces here
        self.story += f", full disk of {size} bytes"
        self.soak.count(f"{self.name}: full disk")
        self.check_left()
        first, log = int(Path(f"{said}.code").read_text()), Path(f"{said}.log").read_text()
        errors = [x for x in log.replace("\r", "\n").splitlines() if x.startswith("error: ")]
        if first not in (0, 2) or "Traceback" in log or len(errors) != (first == 2):
            self.soak.fault(f"{self.story}: it ended with {first}: {log[-3000:]}")
        if first == 2 and (left := Path(f"{said}.left").read_text().split()):
            self.soak.fault(f"{self.story}: left {left[:3]}")
            self.soak.count("left partial files", len(left))
        if code != 0:
            self.soak.fault(f"{self.story}: with space it ended with {code}: {self.log()}")
            return False
        return self.compare(Path(f"{said}.whole"))

    # --- the end

    def compare(self, out: Path) -> bool:
        """Whether the result is the undisturbed one and nothing else is there."""
        if (state := self.state(out)) != self.soak.whole[self.name]:
            self.soak.fault(f"{self.story}: the result differs ({out}): {str(state)[:300]}")
            return False
        partial = [str(p) for x in PARTIAL for p in out.rglob(x)]
        partial += map(str, self.out.parent.glob(f"{self.out.name}.parts"))
        if partial:
            self.soak.fault(f"{self.story}: left {partial[:3]}")
            self.soak.count("left partial files", len(partial))
        return not partial

    def remove(self) -> None:
        """Removes what the cycle wrote."""
        for path in self.out.parent.glob(f"{self.out.name}*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def is_ours(process: int) -> bool:
    """Whether a process runs code of siamjax; Python's own tracker of shared memory does not."""
    with contextlib.suppress(OSError):
        return b"resource_tracker" not in Path(f"/proc/{process}/cmdline").read_bytes()
    return False


def shared_memory() -> list[str]:
    """Names of the objects in shared memory."""
    return os.listdir("/dev/shm") if Path("/dev/shm").is_dir() else []


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
    parser.add_argument("--jobs", type=int, default=3, help="at once (default: %(default)s)")
    args = parser.parse_args()
    own_shared_memory()
    seed = random.SystemRandom().randrange(10**6) if args.seed is None else args.seed
    print(f"seed {seed}", flush=True)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="soak") as folder:
        soak = Soak(Path(folder))
        numbers, guard = iter(range(10**9)), threading.Lock()

        def work():
            least, end = 3.4 * args.minutes, begin + 60 * args.minutes
            while time.monotonic() < end or soak.events() < least:
                with guard:
                    number = next(numbers)
                soak.cycle(str(seed), number)

        with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            for future in [pool.submit(work) for _ in range(args.jobs)]:
                future.result()
        minutes = (time.monotonic() - begin) / 60
    print(f"| of {minutes:.0f} minutes, seed {seed} | count |\n|---|--:|")
    print(f"| events | {soak.events()} |")
    for name, count in sorted(soak.counts.items()):
        print(f"| {name} | {count} |")
    for left in {"left processes", "left shared memory", "left partial files"} - soak.counts.keys():
        print(f"| {left} | 0 |")
    print(f"| results that differ, or other faults | {len(soak.faults)} |")
    return 1 if soak.faults else 0


if __name__ == "__main__":
    sys.exit(main())
