"""What the checks of an index cost: opening ten million crops, making pairs and batches, beside a
checkout without them.

    git worktree add /tmp/before 47d1e10
    python benchmarks/opening.py --other=/tmp/before --out=benchmarks/results/opening-cpu.json

Both versions run in a process of their own and take the same piece of work one after the other,
who begins changes from repetition to repetition. Processor time is compared, as other processes
take wall time; the interval is the bootstrap's over the repetitions' ratios. The other version
reads the same shards and columns by a manifest of format 1. The pairs of both are compared, too.

- open, look_up, use: an index; with the first track of a video; with every column of the loader;
- pair: a training pair in this thread;
- batch: a batch of 16 pairs from the loader with one worker, all processes and threads.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from loader import synthetic_frames, write_crops
from machine import interval, keep, machine

from data_prep.folder import Folder
from siamjax.data import columns
from siamjax.data import index as index_lib

CROPS, IN_SHARD, IN_TRACK = 10_000_000, 4_000, 20
OPENINGS, PAIRS, BATCHES = 5, 100, 8  # per repetition

CHILD = """
import json, sys, time, zlib
import cv2, ml_collections
from configs import base
from siamjax.data import loader
from siamjax.data.index import Index
folder = sys.argv[1]
cv2.setNumThreads(1)  # and freed memory is kept, as in the worker processes of both
(getattr(loader, "_keep_freed_memory", None) or loader.prefetch.keep_freed_memory)()
config = base.get_config()
config.data.sources = ml_collections.ConfigDict({"set": base.source(folder, 100)})
if "negatives" in config.data:
    config.data.negatives = "published"
examples = loader.Examples(config)

def open(count):
    for _ in range(count):
        Index(folder)

def look_up(count):
    for _ in range(count):
        index = Index(folder)
        index.crops_of(index.tracks_of(index.videos // 2)[0])

def use(count):
    for _ in range(count):
        index = Index(folder)
        for name in ("video_start", "track_start", "shard", "offset", "length"):
            getattr(index, name)[index.videos // 3]

def pairs(first, count):
    crc = 0
    for position in range(first, first + count):
        pair = examples[position]
        crc = zlib.crc32(pair.search.tobytes(), zlib.crc32(pair.label.tobytes(), crc))
    return crc

def batch(count):
    for _ in range(count):
        last = next(batches)
    return zlib.crc32(last["search"].tobytes())

config.data.prefetch = 1
batches = loader.make_loader(config, batch_size=16, workers=1)
pairs(0, 10)
batch(4)
for line in sys.stdin:
    if line == "\\n":
        batches.close()
        break
    name, *arguments = json.loads(line)
    wall, cpu = time.perf_counter(), time.process_time()
    answer = globals()[name](*arguments)
    print(json.dumps([time.process_time() - cpu, time.perf_counter() - wall, answer]), flush=True)
"""


class Version:
    """A process that does pieces of work with the code of a checkout."""

    def __init__(self, checkout: Path, folder: Path):
        self._process = subprocess.Popen(
            [sys.executable, "-c", CHILD, folder],
            env={**os.environ, "PYTHONPATH": str(checkout)},
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def do(self, *work):
        """Processor seconds, wall seconds and result of a piece of work."""
        self._process.stdin.write(json.dumps(work) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def spent(self) -> float:
        """Processor seconds so far of the process, its workers and their threads."""
        process = psutil.Process(self._process.pid)
        pids = [process.pid, *(child.pid for child in process.children(recursive=True))]
        files = [file for pid in pids for file in Path(f"/proc/{pid}/task").glob("*/schedstat")]
        return sum(int(file.read_text().split()[0]) for file in files) / 1e9

    def close(self):
        self._process.communicate("\n")


def write_big(small: Path, out: Path) -> Path:
    """An index of ten million crops in 2,500 shards, each the one shard of a small set."""
    index = index_lib.Index(small)
    (shard,) = index.shards
    out.mkdir()
    files = []
    for i in range(CROPS // IN_SHARD):
        name = f"big-train.tfrecord-{i:05d}-of-{CROPS // IN_SHARD:05d}"
        os.link(shard, out / name)
        files.append({**index.manifest["shards"][0], "file": name})
    tracks = np.arange(CROPS // IN_TRACK)
    which = np.arange(CROPS) % index.crops
    index_lib.write(
        out,
        {"name": "big", "crop": index.manifest["crop"], "jpeg_quality": 95, "shards": files},
        [f"video{v:07d}" for v in range(len(tracks) // 2)],
        ["0", "1"] * (len(tracks) // 2),
        tracks // 2,
        np.repeat(tracks, IN_TRACK),
        frame=np.tile(np.arange(IN_TRACK), len(tracks)),
        shard=np.arange(CROPS) // IN_SHARD,
        **{name: getattr(index, name)[which] for name in ("size", "offset", "length")},
    )
    return out


def as_format_1(folder: Path, out: Path) -> Path:
    """The same files under a manifest without checksums."""
    shutil.copytree(folder, out, copy_function=os.link)
    manifest = json.loads((out / index_lib.MANIFEST).read_text())
    del manifest["columns"], manifest["crc32c"]
    manifest["shards"] = [{k: s[k] for k in ("file", "bytes")} for s in manifest["shards"]]
    (out / index_lib.MANIFEST).unlink()
    text = json.dumps(manifest | {"version": 1}, indent=2) + "\n"
    (out / index_lib.MANIFEST).write_text(text)
    return out


def compare_batches(ours: Version, theirs: Version | None, repetitions: int) -> dict:
    """`compare` for batches: from one call to the next, in between the workers' buffers fill."""
    times: dict = {"ours": [], "theirs": []}
    sides = {"ours": ours, "theirs": theirs}
    before = {}
    for i in range(repetitions + 2):  # the first two fill the buffers
        answers = set()
        for name in sides:  # always in this order, so that each has the other's time to fill
            if sides[name] is None:
                continue
            now = sides[name].spent()
            _, wall, answer = sides[name].do("batch", BATCHES)
            answers.add(answer)
            if i > 1:
                times[name].append((now - before[name], wall))
            before[name] = now
        assert len(answers) == 1, "the versions make other batches"
    return summary(times, BATCHES)


def compare(ours: Version, theirs: Version | None, works: list[tuple], units: int) -> dict:
    """Milliseconds of a unit of work, and how they compare."""
    times: dict = {"ours": [], "theirs": []}
    for i, work in enumerate(works):
        sides = [("ours", ours), ("theirs", theirs)][:: 1 if i % 2 else -1]
        answers = set()
        for name, version in sides:
            if version is not None:
                cpu, wall, answer = version.do(*work)
                times[name].append((cpu, wall))
                answers.add(answer)
        assert len(answers) == 1, "the versions make other pairs"
    return summary(times, units)


def summary(times: dict, units: int) -> dict:
    """Medians, and the geometric mean of the ratios with its interval."""
    cpu = {name: np.array(t)[:, 0] / units * 1e3 for name, t in times.items() if t}
    wall = {name: np.array(t)[:, 1] / units * 1e3 for name, t in times.items() if t}
    found = {"cpu_ms": float(np.median(cpu["ours"])), "wall_ms": float(np.median(wall["ours"]))}
    if times["theirs"]:
        ratio, *ends = interval(cpu["ours"] / cpu["theirs"])
        found |= {
            "other_cpu_ms": float(np.median(cpu["theirs"])),
            "other_wall_ms": float(np.median(wall["theirs"])),
            "ratio": ratio,
            "interval": ends,
        }
    return found


def measure_columns(folder: Path) -> dict:
    """Milliseconds of the first use of each column: the least of some."""
    found = {}
    for name in columns.TABLE:
        spent = []
        for _ in range(5):
            index = index_lib.Index(folder)
            if name.endswith("_names_end"):
                getattr(index, name.removesuffix("_end"))
            start = time.process_time()
            getattr(index, name)
            spent.append(time.process_time() - start)
        found[name] = min(spent) * 1e3
    return found


def main():
    """Measures and prints; writes the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--other", type=Path, help="checkout to compare with")
    parser.add_argument("--repetitions", type=int, default=40)
    parser.add_argument("--out", default="", help="JSON file")
    arguments = parser.parse_args()
    report = {"machine": machine(), "crops": CROPS, "shards": CROPS // IN_SHARD}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        small = write_crops(Folder(synthetic_frames(root / "frames")), root / "small")
        big = write_big(small, root / "big")
        here = Path(__file__).resolve().parents[1]
        ours, theirs = Version(here, big), None
        if arguments.other:
            theirs = Version(arguments.other.resolve(), as_format_1(big, root / "first"))
        for name in ("open", "look_up", "use"):
            works = [(name, OPENINGS)] * arguments.repetitions
            report[name] = compare(ours, theirs, works, OPENINGS)
            print(name, json.dumps(report[name]), flush=True)
        works = [("pairs", i * PAIRS, PAIRS) for i in range(arguments.repetitions)]
        report["pair"] = compare(ours, theirs, works, PAIRS)
        print("pair", json.dumps(report["pair"]), flush=True)
        report["batch"] = compare_batches(ours, theirs, arguments.repetitions)
        print("batch", json.dumps(report["batch"]), flush=True)
        report["columns_ms"] = measure_columns(big)
        print("columns_ms", json.dumps(report["columns_ms"]))
        for version in filter(None, (ours, theirs)):
            version.close()
    keep(report, arguments.out)


if __name__ == "__main__":
    main()
