"""How fast training pairs and crops are made, as ratios to the work that can't be avoided.

    python benchmarks/loader.py --shards data/coco data/vid --out benchmarks/results/loader.json

Everything is measured in one run, the parts of a ratio in turn, and the middle of the repetitions
is taken, since other processes disturb. Without --shards, crops of the synthetic world are used.

- pair: processor time of a pair in a worker, beside the two JPEG decodes of the same records;
- workers: pairs per second from the loader with one and with two workers;
- memory: of a worker on an index of ten million crops;
- preparation: processor time of a crop, beside decode + warp + encode alone.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path

import cv2
import ml_collections
import numpy as np
import psutil

from configs import base
from data_prep import parts
from data_prep.folder import Folder
from siamjax.data import index as index_lib
from siamjax.data import loader, prefetch, shards
from siamjax.data.crops import context_crop, mean_colour
from siamjax.synthetic import SyntheticVideo

BIG = 10_000_000  # crops of the large index
PAIRS = 200  # per repetition


def config_of(folders, batch_size=16):
    """The base experiment on some data sets."""
    c = base.get_config()
    c.data.sources = ml_collections.ConfigDict(
        {f"set{i}": base.source(str(folder), 100) for i, folder in enumerate(folders)}
    )
    c.train.batch_size = batch_size
    return c


def synthetic_frames(root, videos=3, frames=12, size=(1280, 720)):
    """Videos of the synthetic world as folders of JPEGs with boxes, enlarged to a common size."""
    for v in range(videos):
        video = SyntheticVideo(v, length=frames)
        height, width = video.frames[0].shape[:2]
        scale = np.array([size[0] / width, size[1] / height] * 2)
        (root / f"v{v}").mkdir(parents=True)
        lines = []
        for f in range(frames):
            image = cv2.resize(video.frames[f], size, interpolation=cv2.INTER_CUBIC)
            noise = np.random.default_rng((v, f)).normal(0, 4, image.shape)  # a camera's
            image = np.clip(image + noise, 0, 255).astype(np.uint8)
            cv2.imwrite(str(root / f"v{v}/{f:04d}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 90])
            lines.append(",".join(f"{x:.2f}" for x in video.boxes[0, f] * scale))
        (root / f"v{v}.txt").write_text("\n".join(lines))
    return root


def write_crops(source, out):
    """The crops of a source, with the writer that needs no TensorFlow."""
    with shards.ShardWriter(out, source.name) as writer:
        for video in source.videos():
            for r in parts.video_crops(source, video, parts.Options(), Counter()):
                writer.add_encoded(r.video, r.track, r.frame, r.image, r.size)
    return out


def clock(work):
    """Processor seconds of a piece of work in this thread."""
    start = time.thread_time()
    work()
    return time.thread_time() - start


def measure_pair(config, repetitions):
    """ms of a pair, and of the two decodes alone."""
    cv2.setNumThreads(1)  # as in a worker
    prefetch.keep_freed_memory()
    examples = loader.Examples(config)
    sampler = examples.sampler
    pair_ms, decode_ms, size = [], [], []
    for repetition in range(repetitions):
        positions = range(repetition * PAIRS, (repetition + 1) * PAIRS)
        stored = []
        for position in positions:
            pair = sampler.pair(position, sampler.generator(position))
            for source, crop in (
                (pair.source, pair.template),
                (pair.search_source, pair.search),
            ):
                stored.append(sampler.sources[source].index.read(crop).image)
        size.append(statistics.fmean(map(len, stored)))

        def decode(stored=stored):
            for data in stored:
                cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)

        def make(positions=positions):
            for position in positions:
                examples[position]

        decode_ms.append(clock(decode) / PAIRS * 1e3)
        pair_ms.append(clock(make) / PAIRS * 1e3)
    ratios = [p / d for p, d in zip(pair_ms, decode_ms)]
    return {
        "jpeg_kb": statistics.fmean(size) / 1e3,
        "two_decodes_ms": statistics.median(decode_ms),
        "pair_ms": statistics.median(pair_ms),
        "ratio": statistics.median(ratios),
        "limit": 1.45,
    }


def measure_workers(config, repetitions):
    """Pairs per second from the loader with one and with two workers, in turn."""
    rates = {1: [], 2: []}
    for _ in range(repetitions):
        for workers in rates:
            with loader.make_loader(config, workers=workers) as batches:
                for _ in range(4 * workers):
                    next(batches)
                count, start = 24, time.perf_counter()
                for _ in range(count):
                    next(batches)
                rate = count * config.train.batch_size / (time.perf_counter() - start)
                rates[workers].append(rate)
    one, two = (statistics.median(rates[workers]) for workers in (1, 2))
    return {"pairs_per_s_1": one, "pairs_per_s_2": two, "ratio": two / one, "limit": 1.7}


def write_big_index(small, out):
    """An index of `BIG` crops that all lie on the records of a small set."""
    index = index_lib.Index(small)
    out.mkdir()
    for path in index.shards:
        os.link(path, out / path.name)
    tracks = np.arange(BIG // 20)
    which = np.arange(BIG) % index.crops
    manifest = {k: index.manifest[k] for k in ("name", "crop", "shards")}
    index_lib.write(
        out,
        manifest,
        [f"video{v:07d}" for v in range(len(tracks) // 2)],
        ["0", "1"] * (len(tracks) // 2),
        tracks // 2,
        np.repeat(tracks, 20),
        frame=np.tile(np.arange(20), len(tracks)),
        **{name: getattr(index, name)[which] for name in ("size", "shard", "offset", "length")},
    )
    return out


def memory_mb(pid):
    """Resident memory of a process in MB: all of it, and its share of what it has in common."""
    fields = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, value = line.split(":")
        fields[name] = int(value.split()[0]) / 1024
    return {"resident": fields["Rss"], "proportional": fields["Pss"]}


def measure_memory(folder):
    """Memory of a worker after some thousand pairs from the large index."""
    config = config_of([folder])
    start = time.perf_counter()
    index_lib.Index(folder)
    opened = time.perf_counter() - start
    with loader.make_loader(config, workers=1) as batches:
        for _ in range(200):
            next(batches)
        pids = [child.pid for child in psutil.Process().children(recursive=True)]
        memory = max((memory_mb(pid) for pid in pids), key=lambda m: m["resident"])
    pairs = 200 * config.train.batch_size
    return {"crops": BIG, "pairs": pairs, "open_s": opened, "worker_mb": memory, "limit": 400}


def measure_preparation(source, repetitions):
    """ms of a crop in preparation, and of decode + warp + encode alone."""
    options, skipped = parts.Options(), Counter()
    targets = [list(source.targets(video, skipped)) for video in source.videos()]
    images: dict = {}
    for target in (t for video in targets for t in video):
        images.setdefault(target.image, []).append(target)
    whole, alone = [], []
    for _ in range(repetitions):

        def prepare():
            with tempfile.TemporaryDirectory() as folder:
                files = shards.RecordFiles(Path(folder), "records", 1 << 30)
                for video in source.videos():
                    for record in parts.video_crops(source, video, options, skipped):
                        files.add(record)
                files.finish()

        def bare():
            for path, boxes in images.items():
                data = (source.root / path).read_bytes()
                image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
                border = mean_colour(image)
                for target in boxes:
                    crop = context_crop(image, target.box, border=border)
                    cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, options.jpeg_quality])

        count = sum(map(len, targets))
        whole.append(clock(prepare) / count * 1e3)
        alone.append(clock(bare) / count * 1e3)
    return {
        "crop_ms": statistics.median(whole),
        "alone_ms": statistics.median(alone),
        "crops_per_s_per_core": 1e3 / statistics.median(whole),
        "ratio": statistics.median(w / a for w, a in zip(whole, alone)),
        "limit": 1.5,
    }


def main():
    """Measures and prints; writes the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shards", nargs="*", default=[], help="data sets; none: synthetic ones")
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--out", default="", help="JSON file")
    parser.add_argument("--skip", nargs="*", default=[], help="measurements to leave out")
    arguments = parser.parse_args()
    from machine import machine  # not above: it imports JAX, which the workers shall not

    cv2.setNumThreads(1)
    n = arguments.repetitions
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        source = Folder(synthetic_frames(root / "frames"))
        shards = arguments.shards or [write_crops(source, root / "shards")]
        config = config_of(shards)
        measurements = {
            "pair": lambda: measure_pair(config, n),
            "workers": lambda: measure_workers(config, max(1, n // 2)),
            "memory": lambda: measure_memory(write_big_index(shards[0], root / "big")),
            "preparation": lambda: measure_preparation(source, n),
        }
        report = {
            "machine": machine(),
            "opencv": cv2.__version__,
            "shards": [Path(s).name for s in arguments.shards] or "synthetic",
        }
        for name, measure in measurements.items():
            if name not in arguments.skip:
                report[name] = measure()
                print(name, json.dumps(report[name]), flush=True)
    if arguments.out:
        Path(arguments.out).write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
