"""Preparation in parts: each part is some videos, made whole or not at all, by any Beam worker.

A part is a folder with record files, their columns and counts. It appears by a rename, so an
interrupted preparation resumes with the parts that are missing, and it depends on its videos
alone, so that the data set is the same for any number of workers.
"""

import contextlib
import dataclasses
import hashlib
import importlib
import json
import math
import os
import pkgutil
import re
import shutil
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from data_prep.source import Source, Video, box_fault
from siamjax import checksums, npz
from siamjax.data import jpeg, shards
from siamjax.data.crops import context_crop, mean_colour
from siamjax.data.tfrecord import Record
from siamjax.errors import UserError
from siamjax.files import write_whole
from siamjax.media.labels.jsons import built_as

_CROP_BYTES = 64 << 10  # about what a crop of 511 px takes
_SHARED_CODE = (
    "siamjax.data.crops",
    "siamjax.data.jpeg",
    "siamjax.media.frames",
    "siamjax.media.lines",
    "siamjax.media.tables",
)
_COLUMNS = "columns.npz"
_COUNTS = "counts.json"
_SUMS = "sums.txt"


def check_number(name: str, value: float, low: float, high: float = math.inf) -> None:
    """Checks the value of a flag.

    Raises:
        UserError: it lies outside of its range.
    """
    if not low <= value <= high:
        span = f"at least {low}" if high == math.inf else f"in {low}..{high}"
        raise UserError(f"--{name}={value}: must be {span}")


def _flag(default: float, low: float, text: str, high: float = math.inf):
    return dataclasses.field(default=default, metadata={"range": (low, high), "help": text})


@dataclasses.dataclass(frozen=True)
class Options:
    """How crops are made; each field is a flag of the command.

    Raises:
        UserError: a value lies outside of its range.
    """

    crop: int = _flag(511, 16, "side of the crops, px")
    exemplar: int = _flag(127, 1, "side of the target with context in the crop, px")
    context: float = _flag(0.5, 0, "context on each side, as a fraction of width + height")
    jpeg_quality: int = _flag(95, 0, "0..100", high=100)
    shard_mb: int = _flag(128, 1, "most that a shard holds, MiB")
    seed: int = _flag(0, 0, "of the order of the videos")
    limit: int = _flag(0, 0, "take the first videos only; 0: all")

    def __post_init__(self):
        for field in dataclasses.fields(self):
            check_number(field.name, getattr(self, field.name), *field.metadata["range"])


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is to be made.

    Attributes:
        source: the data set.
        options: how.
        parts: the videos of each part.
        source_hash: of the videos and what is known about their boxes without reading them.
        code_hash: of the code that makes the crops.
    """

    source: Source
    options: Options
    parts: tuple[tuple[Video, ...], ...]
    source_hash: str
    code_hash: str

    @property
    def key(self) -> str:
        """Equal keys give equal data sets."""
        options = json.dumps(dataclasses.asdict(self.options), sort_keys=True)
        text = "\n".join((self.source.name, options, self.source_hash, self.code_hash))
        return hashlib.sha256(text.encode()).hexdigest()


def make_plan(source: Source, options: Options) -> Plan:
    """Reads the list of videos, shuffles it and cuts it into parts of about a shard each.

    Raises:
        UserError: the folder does not have the layout, or holds no video.
    """
    videos = list(source.first_videos(options.limit))
    sha = hashlib.sha256()
    for video in videos:
        sha.update(json.dumps(video).encode())
    order = np.random.default_rng(options.seed).permutation(len(videos))
    most = max(1, (options.shard_mb << 20) * (511 / options.crop) ** 2 / _CROP_BYTES)
    parts: list[list[Video]] = []
    weight = most
    for i in order:
        if weight >= most:
            parts.append([])
            weight = 0
        parts[-1].append(videos[i])
        weight += max(1, videos[i].weight)
    classes = [kind for kind in type(source).__mro__ if issubclass(kind, Source)]
    own = ("data_prep.parts", *source.code, *(kind.__module__ for kind in classes))
    return Plan(source, options, tuple(map(tuple, parts)), sha.hexdigest(), code_hash(own))


def code_hash(modules: Iterable[str]) -> str:
    """Of the code that decides what a crop is: these modules and those that cut and encode."""
    sha = hashlib.sha256()
    for name in sorted({*_SHARED_CODE, *modules}):
        module = importlib.import_module(name)
        sha.update(Path(str(module.__file__)).read_bytes())
    return sha.hexdigest()


# --- the folder of parts


def open_work(folder: Path, plan: Plan) -> list[int]:
    """Prepares the folder of parts for a plan; parts of another plan in it, and damaged ones, are
    removed.

    Args:
        folder: of the parts, locked by the caller.
        plan: what is to be made.

    Returns:
        Numbers of the parts that are not there yet.
    """
    with shards.explain_os_errors(folder):
        note = folder / "plan.json"
        known = note.read_text() if note.is_file() else ""
        if known != plan.key:
            for old in (*folder.glob("part-*"), *folder.glob("spec-*")):
                shutil.rmtree(old) if old.is_dir() else old.unlink()
            write_whole(note, plan.key)
        for left in folder.glob("part-*.tmp-*"):
            shutil.rmtree(left)
        for i in range(len(plan.parts)):
            _write_spec(folder / f"spec-{i:05d}.json", plan, i)
        return [i for i in range(len(plan.parts)) if not _is_whole(part_folder(folder, i))]


def _write_spec(path: Path, plan: Plan, i: int) -> None:
    """What the maker of a part reads; one that is there and says the same stays."""
    spec = {
        "source": f"{type(plan.source).__module__}:{type(plan.source).__qualname__}",
        "root": str(plan.source.root.resolve()),
        "options": dataclasses.asdict(plan.options),
        "videos": plan.parts[i],
    }
    text = json.dumps(spec).encode()
    if not path.is_file() or path.read_bytes() != text:
        write_whole(path, text)


def _is_whole(part: Path) -> bool:
    """Whether a part is there as it was made; a damaged one is named and removed."""
    if not part.is_dir():
        return False
    damaged = checksums.first_damaged(part / _SUMS, part)
    if damaged is not None:
        print(f"{damaged}: damaged since it was written; its part is made again", file=sys.stderr)
        shutil.rmtree(part)
    return damaged is None


def part_folder(folder: Path, i: int) -> Path:
    """Where part i lies when it is done."""
    return folder / f"part-{i:05d}"


def make_part(folder: str, i: int) -> None:
    """Makes one part; runs on a Beam worker.

    Args:
        folder: of the parts.
        i: number of the part.

    Raises:
        UserError: the disk is full.
    """
    cv2.setNumThreads(1)
    done = part_folder(Path(folder), i)
    spec = json.loads((Path(folder) / f"spec-{i:05d}.json").read_text())
    source = pkgutil.resolve_name(spec["source"])(spec["root"])
    options = Options(**spec["options"])
    temporary = done.with_name(f"{done.name}.tmp-{os.getpid()}")
    with shards.explain_os_errors(Path(folder)):
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
    files = shards.RecordFiles(temporary, "records", options.shard_mb << 20)
    skipped: Counter = Counter()
    try:
        for video in (Video(*fields) for fields in spec["videos"]):
            for record in video_crops(source, video, options, skipped):
                files.add(record)
        files.finish()
        counts = {
            "skipped": {reason: n for reason, n in sorted(skipped.items()) if n},
            "files": [{**file, "path": file["path"].name} for file in files.files],
        }
        columns = files.columns()
        write_whole(temporary / _COLUMNS, lambda file: np.savez(file, **columns))
        write_whole(temporary / _COUNTS, json.dumps(counts))
        names = [_COLUMNS, _COUNTS, *(file["path"].name for file in files.files)]
        checksums.write(temporary / _SUMS, temporary, names)
        # Another attempt of a Beam runner may have been faster; its part is the same.
        with contextlib.suppress(OSError):
            os.rename(temporary, done)
    finally:
        files.abandon()
        shutil.rmtree(temporary, ignore_errors=True)


def video_crops(source: Source, video: Video, options: Options, skipped: Counter):
    """The records of one video; what can't become a crop is counted in `skipped`."""
    last, border = None, None
    seen = set()
    for target, image in source.frames(video, source.targets(video, skipped)):
        if image is None:
            fault = "image is unreadable" if source.exists(target) else "image is missing"
        else:
            fault = box_fault(target.box, image.shape[1], image.shape[0])
        if fault is None and (target.track, target.frame) in seen:
            fault = "two boxes of a track in one frame"
        if fault is not None:
            skipped[fault] += 1
            continue
        seen.add((target.track, target.frame))
        if image is not last:
            last, border = image, mean_colour(image)
        sizes = options.crop, options.exemplar, options.context
        crop = context_crop(image, target.box, *sizes, border, edges=True)
        x1, y1, x2, y2 = target.box
        data = jpeg.encode(crop, options.jpeg_quality)
        size = x2 - x1, y2 - y1
        yield Record(data, video.name, target.track, target.frame, size, target.category)


# --- the whole


def join_parts(folder: Path, count: int) -> tuple[dict, list[dict], dict]:
    """Puts the parts' columns together.

    Args:
        folder: of the parts.
        count: of parts, all there.

    Returns:
        Columns for `index.write`, the record files as {path, bytes, records}, skipped by reason.

    Raises:
        UserError: a part is damaged.
    """
    files: list[dict] = []
    skipped: Counter = Counter()
    joined: dict[str, list] = defaultdict(list)
    videos = tracks = 0
    for i in range(count):
        part = part_folder(folder, i)
        with built_as(part, "a whole part", "remove it and run again"):
            counts = json.loads((part / _COUNTS).read_bytes())
            columns = npz.read(part / _COLUMNS, "not a whole part; remove its folder and run again")
            first = {"shard": len(files), "track_video": videos, "crop_track": tracks}
            for name, column in columns.items():
                joined[name].append(column + first[name] if name in first else column)
            videos += len(columns["videos"])
            tracks += len(columns["tracks"])
            skipped.update({reason: int(n) for reason, n in counts["skipped"].items()})
            files += [{**file, "path": part / file["path"]} for file in counts["files"]]
    with built_as(folder, "whole parts", "remove it and run again"):
        whole: dict = {name: np.concatenate(column) for name, column in joined.items()}
        whole |= {name: whole[name].tolist() for name in ("videos", "tracks", "track_category")}
    return whole, files, dict(sorted(skipped.items()))


def user_error(error: BaseException) -> UserError | None:
    """The UserError behind what a Beam runner raised; runners pass on the text alone."""
    if isinstance(error, UserError):
        return error
    found = re.findall(r"UserError: (.+)", str(error))
    return UserError(found[-1].split(" [while running")[0].strip("'\"")) if found else None
