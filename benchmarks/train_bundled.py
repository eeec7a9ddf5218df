"""The bundled checkpoint's recipe in one command: shards, training, export, within a given time.

    python benchmarks/train_bundled.py --pack=pack --material=MATERIAL --backbone=BACKBONE.npz
    python benchmarks/train_bundled.py --pack=pack --out=runs/bundled --minutes=6 --workers=15
    python benchmarks/train_bundled.py --pack=pack --out=runs/tiny --tiny

The pack is the training material as a folder that is easily carried to a machine with a GPU: the
images in fewer bytes, of long videos every other one, and NanoTrackV3's backbone. MATERIAL holds
the folders that `SETS` names. Training needs no network, and no PyAV, which only videos need.
Stopped, the same command resumes: complete shards and trained steps stay. It prints what took how
long and writes OUT/bundled.npz.
"""

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

CONFIG = "configs/bundled.py"
# shards: the module of data_prep, the folder in the material, videos or clips that are taken (0:
# all), on every other machine and with --tiny
SETS = {
    "got10k": ("got10k", "got10k", 0, 2),
    "got10k_more": ("got10k", "got10k_more", 0, 2),
    "davis": ("davis", "davis", 0, 2),
    "vid": ("vid", "vid/ILSVRC2015", 0, 2),
    "youtubebb": ("youtubebb", "ytbb", 0, 2),
    "mot": ("mot", "mot15", 0, 1),
    "coco": ("coco", "coco", 0, 4),
    "coco_animals": ("coco", "coco_animals", 0, 4),
    "det": ("det", "det/ILSVRC2015", 0, 4),
    "yolo": ("yolo", "yolo", 0, 4),
    "composite": ("composite", "coco", 3896, 4),
    "composite_animals": ("composite", "coco_animals", 2854, 4),
    "synthetic": ("synthetic", "", 240, 2),
}
THINNED = ("got10k", "got10k_more", "vid", "ytbb")  # every other image of their folders stays
QUALITIES = (70, 60, 50, 42, 35, 30, 25, 20, 15)  # WebP's; the first that fits is taken
MIB = 1 << 20
# The machine's own time: starting, exporting, and what the last step takes.
RESERVE = 25.0  # s
TINY = (
    "model.levels=(3,)",
    "model.adjust_channels=(8,)",
    "data.pairs_per_epoch=8",
    "train.batch_size=4",
    "train.epochs=2",
    "train.warmup_epochs=0",
    "train.ema=0.5",
)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--pack", type=Path, required=True, help="folder of the pack")
    add("--material", type=Path, help="make the pack from this folder of the folders of SETS")
    add("--backbone", type=Path, help="for the pack: NanoTrackV3's backbone, .npz or .pth")
    add("--mib", type=float, default=43.0, help="most that the pack may hold (default 43)")
    add("--out", type=Path, help="train: folder of shards, run and weights")
    add("--minutes", type=float, default=6.0, help="for all of the training (default 6)")
    add("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: all cores)")
    add("--pairs", type=int, default=0, help="to train on; 0: as the config says")
    add("--tiny", action="store_true", help="a few steps of a tiny network, to try it out")
    args, overrides = parser.parse_known_args()
    begin = time.monotonic()
    if args.material:
        if overrides or not args.backbone:
            parser.error(f"unknown argument {overrides[0]}" if overrides else "give --backbone too")
        print(pack(args.material, args.backbone, args.pack, args.mib))
    elif args.out:
        args.out, args.pack = args.out.resolve(), args.pack.resolve()
        print(json.dumps(train(args, overrides, begin + 60 * args.minutes), indent=1))
    else:
        parser.error("give --material to make a pack, or --out to train")


# --- the pack


def pack(material: Path, backbone: Path, out: Path, mib: float) -> str:
    """Writes the folder, at the best quality that fits; gives its size in words."""
    if out.exists():
        sys.exit(f"--pack={out}: is there already; remove it or choose another")
    folders = sorted({folder for _, folder, *_ in SETS.values() if folder})
    for quality in QUALITIES:
        with tempfile.TemporaryDirectory(dir=out.resolve().parent) as temporary:
            work = Path(temporary, "pack")
            for folder in folders:
                _copy(material / folder, work / "material" / folder, quality)
            shutil.copy(backbone, work / f"backbone{backbone.suffix}")
            size = sum(path.stat().st_size for path in work.rglob("*") if path.is_file()) / MIB
            if size <= mib:
                work.rename(out)
                return f"{out}: {size:.1f} MiB, images of quality {quality}"
    sys.exit(f"--mib={mib}: {size:.1f} MiB are needed at the lowest quality")


def _copy(source, target, quality):
    """A data set with lighter images; their names stay, since readers go by the content."""
    if not source.is_dir():
        sys.exit(f"--material: {source} is missing")
    thinned = any(part in THINNED for part in target.parts)
    for place, _, files in sorted(os.walk(source)):
        folder = target / Path(place).relative_to(source)
        folder.mkdir(parents=True, exist_ok=True)
        images = sorted(name for name in files if name.lower().endswith((".jpg", ".jpeg")))
        every = 2 if thinned and len(images) > 2 else 1
        for name in images[::every]:
            image = cv2.imread(os.path.join(place, name))
            data = cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, quality])[1]
            (folder / name).write_bytes(data.tobytes())
        for name in sorted({*files} - {*images}):
            data = Path(place, name).read_bytes()
            rows = data.splitlines(keepends=True)
            if every > 1 and len(rows) == len(images):  # a row for each image
                data = b"".join(rows[::every])
            (folder / name).write_bytes(data)


# --- the training


def train(args, overrides, end: float) -> dict:
    """Does what is missing in the folder; gives seconds and counts."""
    _stand_in_for_av(args.out / "site")
    from siamjax.config import load_config
    from siamjax.integrations import convert
    from siamjax.training import loop

    said: dict = {"cores": len(os.sched_getaffinity(0))}
    begin = time.monotonic()

    def lap(name):
        nonlocal begin
        said[name], begin = round(time.monotonic() - begin, 1), time.monotonic()

    data = args.out / "data"
    make_shards(args.pack / "material", data, args.workers, args.tiny)
    lap("shards_s")
    given = [f"data.sources.{name}.path={data / name}" for name in SETS]
    given += [f"train.init_from={args.out / 'backbone.npz'}"]
    given += [f"data.workers={0 if args.tiny else max(args.workers - 1, 1)}"]
    given += TINY if args.tiny else ()
    config = load_config(CONFIG, [*(f"--config.{field}" for field in given), *overrides])
    if args.pairs:
        config.data.pairs_per_epoch = args.pairs // config.train.epochs
    (backbone,) = args.pack.glob("backbone.*")
    print(convert.to_siamjax("nanotrack", str(backbone), config.train.init_from, config))
    lap("backbone_s")
    result = loop.train(config, args.out / "run", until=end - RESERVE)
    lap("training_s")
    said |= {"finished": result["finished"], "step": result.get("step"), "loss": result.get("loss")}
    weights = args.out / "bundled.npz"
    print(convert.to_siamjax("siamjax", str(args.out / "run"), str(weights), half=True))
    lap("export_s")
    steps = result.get("step") or 0
    said["pairs"] = steps * config.train.batch_size
    said["weights_mib"] = round(weights.stat().st_size / MIB, 2)
    said["within_s"] = round(end - time.monotonic(), 1)
    return said


def make_shards(material: Path, data: Path, workers: int, tiny: bool) -> None:
    """All sets of shards at once, by the commands that users have; those that are there stay."""
    from configs.bundled import HELD_OUT

    waiting = []
    for name, (module, folder, most, least) in SETS.items():
        limit = least if tiny else most
        # a third of the processes for each set of clips; the others are read in one
        many = max(1, workers // 3) if most else 1
        command = [sys.executable, "-m", "data_prep", module, f"--out={data / name}"]
        command += [f"--workers={many}"]
        if module == "synthetic":
            length, every = (8, 4) if tiny else (40, 2)
            command += [f"--videos={limit}", f"--length={length}", f"--every={every}"]
        else:
            command += [f"--source={material / folder}", f"--limit={limit}", "--shard_mb=16"]
            left = () if tiny else HELD_OUT.get(name, ())
            command += ["--leave_out", *left] if left else []
        waiting.append((name, command))
    running: list = []
    for name, command in sorted(waiting, key=lambda one: not SETS[one[0]][2]):  # clips first
        while len(running) >= max(1, workers):
            _finish(*running.pop(0))
        log = data.parent / "logs" / f"{name}.txt"
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "w") as file:
            process = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=file)
        running.append((process, log))
    for one in running:
        _finish(*one)


def _finish(process, log):
    if process.wait():
        sys.exit(f"{log.read_text()}\nthe shards could not be made, see {log}")


def _stand_in_for_av(site: Path) -> None:
    """Where PyAV is not installed: a package that can be imported, and decodes nothing. Images are
    read without it."""
    if importlib.util.find_spec("av") is None:
        (site / "av").mkdir(parents=True, exist_ok=True)
        text = "def __getattr__(name):\n    return type(name, (), {})\n"
        (site / "av/__init__.py").write_text(text)
        sys.path.insert(0, str(site))
        paths = [str(site.resolve()), *filter(None, [os.environ.get("PYTHONPATH")])]
        os.environ["PYTHONPATH"] = os.pathsep.join(paths)


if __name__ == "__main__":
    main()
