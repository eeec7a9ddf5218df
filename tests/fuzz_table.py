"""Every reader of bytes that come from elsewhere, with files it reads.

A reader is built in a folder of its own: it writes good files there and says which of them are to
be damaged, and how they are read. `covers` names the functions of siamjax and data_prep that read
the bytes; `tests/test_fuzz.py` finds those that nobody names.
"""

import contextlib
import hashlib
import importlib
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import types
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
from PIL import Image

from siamjax.errors import UserError
from siamjax.media import labels
from siamjax.media.labels import check

from .data.conftest import manifest_of_format_1, to_format_1, write_set

Seeds = list[tuple[Path, bytes]]


class Reader(NamedTuple):
    """One reader.

    Attributes:
        build: writes good files into a folder; gives contents to damage with their places, and a
            function that reads them.
        covers: "module:function" whose bytes these are.
        examples: damaged files in the default run; in the slow run each gets 300 a round.
    """

    build: Callable[[Path], tuple[Seeds, Callable[[], Any]]]
    covers: tuple[str, ...]
    examples: int = 300


READERS: dict[str, Reader] = {}


def reader(*covers: str, examples: int = 300):
    def register(build):
        READERS[build.__name__] = Reader(build, covers, examples)
        return build

    return register


def attempt(*calls: Callable[[], Any]) -> None:
    """Each call, whatever the one before it refused; the last refusal is raised."""
    refusal = None
    for call in calls:
        try:
            call()
        except UserError as error:
            refusal = error
    if refusal:
        raise refusal


def seeds_of(root: Path, *patterns: str) -> Seeds:
    paths = [path for pattern in patterns for path in sorted(root.glob(pattern))]
    assert paths, patterns
    return [(path, path.read_bytes()) for path in paths if path.is_file()]


def picture(side=(16, 12), key=0) -> np.ndarray:
    return np.random.default_rng(key).integers(0, 256, (side[1], side[0], 3), np.uint8)


def save_images(folder: Path, count: int, name="{:06d}.jpg", first=0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        cv2.imwrite(str(folder / name.format(i + first)), picture(key=i))


# --- text tables

TABLES = (
    b"1,2,3,4\n5,6,7,8\n\n9,10,11,12\n",
    b"1 2 3 4\n5 6 7 8\n",
    b"1;2;3;4;5;6;7;8\nNaN;NaN;NaN;NaN;1;1;1;1\n",
    b"frame,target,x,y,w,h,score\n0,a,1,2,3,4,0.5\n2,a,1,2,3,4,1\n",
    b"1,1,10,20,30,40,1,-1,-1,-1\n2,1,10,20,30,40,1,-1,-1,-1\n",
    b"cx\tcy\tw\th\n1,5\t2\t3\t4\n",
    b"\xff\xfe1\x00,\x002\x00,\x003\x00,\x004\x00\n\x00",
    b"0\n1\n0\n",
    b'x1,y1,x2,y2,"a"\n1,2,3,4,5\n',
)


@reader(
    "siamjax.media.lines:read_text",
    "siamjax.media.lines:read_lines",
    "siamjax.media.lines:_split",
    "siamjax.media.plain:read_plain",
    examples=20,
)
def tables(folder):
    from siamjax.media import tables

    path = folder / "table.txt"

    def read():
        attempt(
            lambda: tables.read_table(path),
            lambda: tables.read_table(path, (4, 8), lenient=True),
            lambda: tables.read_boxes(path),
            lambda: tables.has_frames(path) and tables.read_box_rows(path),
            lambda: tables.read_targets(path),
            lambda: tables.read_values(path),
            lambda: tables.read_flags(path, 3),
        )

    return [(path, text) for text in TABLES], read


# --- labels: one reader per format


def clip(images=()) -> labels.Video:
    boxes = [(1.0 + i, 2.0, 5.0, 4.0) for i in range(4)]
    outline = np.array([[1, 2], [6, 2], [6, 6], [1, 6]], float)
    first = [labels.Shape(i, box, outline if i == 1 else None) for i, box in enumerate(boxes)]
    second = [labels.Shape(i, (3.0, 3.0, 4.0, 5.0), occluded=i == 2) for i in (0, 2)]
    made = [labels.track("1", first, "Anna", "person"), labels.track("2", second, "", "dog")]
    return labels.Video("clip", made, images=images, stated_size=(16, 12), fps=25.0, length=4)


def label_reader(format: str):
    def build(folder):
        save_images(folder / "clip", 4)
        video = clip(sorted((folder / "clip").glob("*.jpg")))
        if format in ("vot", "txt"):
            video = video.replace(tracks=video.tracks[:1])
        source = folder / "labels"
        written = labels.write([video], format, source, images=format == "yolo")
        if format == "motchallenge":
            (source / "clip" / "gt" / "labels.txt").write_text("person\ndog\n")
        if len(written) == 1 and format != "motchallenge":
            source = written[0]
        seeds = [(path, path.read_bytes()) for path in written if path.suffix != ".jpg"][:6]

        def read():
            def checked():
                for video in labels.read(source, format):
                    check.faults(video)

            attempt(lambda: labels.detect(source), checked, lambda: labels.read(source))

        return seeds, read

    return build


LABELS = {
    "csv": ("siamjax.media.labels.table:read",),
    "json": ("siamjax.media.labels.jsons:_parsed",),
    "cvat": ("siamjax.media.labels.xml:load", "siamjax.media.labels.xml:root_tag"),
    "cvat_images": (),
    "coco": (),
    "ytvis": (),
    "labelstudio": (),
    "labelme": (),
    "voc": (),
    "motchallenge": (
        "siamjax.media.labels.motchallenge:_info",
        "siamjax.media.labels.places:lines_of",
    ),
    "yolo": ("siamjax.media.labels.yolo:_names", "siamjax.media.labels.sizes:image_sizes"),
    "vot": (),
    "mot": (),
    "txt": (),
}
for _format, _covers in LABELS.items():
    READERS[f"labels_{_format}"] = Reader(label_reader(_format), _covers, examples=20)


@reader("siamjax.media.labels.masks:_mask", examples=20)
def labels_masks(folder):
    for kind, suffix in (("JPEGImages", "jpg"), ("Annotations", "png")):
        place = folder / kind / "clip"
        place.mkdir(parents=True)
        for i in range(2):
            values = np.zeros((12, 16), np.uint8)
            values[2:5, 3:9] = 1
            image = Image.fromarray(values, "P" if kind == "Annotations" else "L")
            if kind == "Annotations":
                image.putpalette([0, 0, 0, 255, 0, 0])
            image.save(place / f"{i:05d}.{suffix}")
    meta = {"videos": {"clip": {"objects": {"1": {"category": "dog"}}}}}
    (folder / "meta.json").write_text(json.dumps(meta))
    seeds = seeds_of(folder, "Annotations/*/*.png", "meta.json")
    return seeds, lambda: labels.read(folder, "masks")


@reader("siamjax.media.labels.rle:box", examples=100)
def labels_rle(folder):
    pytest.importorskip("pycocotools")
    path = folder / "masks.json"
    image = {"id": 1, "file_name": "a.jpg", "width": 16, "height": 12}
    note = {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0}
    runs = ({"size": [12, 16], "counts": [5, 3, 184]}, {"size": [12, 16], "counts": "53h5"})
    texts = [
        json.dumps({"images": [image], "annotations": [note | {"segmentation": run}]})
        for run in runs
    ]
    return [(path, text.encode()) for text in texts], lambda: labels.read(path, "coco")


@reader("siamjax.media.frames:read_image", examples=20)
def labels_of_own_videos(folder):
    """Videos with labels beside them, and the frames that the labels need."""
    save_images(folder / "dog", 3)
    (folder / "dog.csv").write_bytes(TABLES[3])
    save_images(folder / "cat", 2)
    (folder / "cat" / "groundtruth.txt").write_bytes(TABLES[1])
    seeds = seeds_of(folder, "dog.csv", "cat/groundtruth.txt", "cat/000000.jpg")

    def read():
        for video in labels.read(folder):
            video.frames()[0]
            for format in labels.FORMATS:
                with contextlib.suppress(UserError):
                    labels.contents([video], format)

    return seeds, read


# --- images and videos


@reader("siamjax.media.frames:decode_image", "siamjax.media.folder:image_file")
def images(folder):
    from siamjax.media import read_video
    from siamjax.media.frames import read_image

    stills = {}
    for suffix in ("jpg", "png", "bmp", "tiff", "webp"):
        stills[suffix] = cv2.imencode(f".{suffix}", picture((40, 30)))[1].tobytes()
    for suffix in ("gif", "webp", "png"):
        content = io.BytesIO()
        frames = [Image.fromarray(picture((20, 16), key)) for key in range(3)]
        frames[0].save(content, suffix, save_all=True, append_images=frames[1:], duration=40)
        stills[f"animated.{suffix}"] = content.getvalue()
    path = folder / "image.png"

    def read():
        attempt(lambda: read_image(path), lambda: [*read_video(path)])

    return [(path, content) for content in stills.values()], read


@reader(
    "siamjax.media.decoder:Decoder.__init__",
    "siamjax.media.decoder:_other_kind",
    "siamjax.media.decoder:_pixels",
    examples=0,
)
def videos(folder):
    from siamjax import media
    from siamjax.media.decoded import DecodedFrames

    seeds = []
    path = folder / "video.mp4"
    for suffix in ("mp4", "webm"):
        made = folder / f"made.{suffix}"
        with contextlib.closing(media.VideoWriter(made, 25)) as writer:
            for key in range(4):
                writer.write(picture((64, 48), key))
        seeds.append((path, made.read_bytes()))
    seeds.append((path, b"a text"))

    def read():
        attempt(lambda: [*media.read_video(path)], lambda: DecodedFrames(path)[1])

    return seeds, read


# --- runs, weights, archives


def tiny_config():
    from configs import base

    config = base.get_config()
    config.model.backbone = "alexnet"
    config.model.width = 0.0625
    config.model.levels = (5,)
    config.model.adjust_channels = ()
    config.model.blocks = ()
    config.train.unfreeze_layers = ("layer5",)
    config.tracker.base_size = 0
    return config


def tiny_variables(config):
    from siamjax.models import build, init_variables

    return init_variables(build(config), 0)


@reader("siamjax.config:from_json", "siamjax.config:difference", examples=20)
def configs(folder):
    from siamjax.config import difference, from_json, load_config, to_json

    path = folder / "config.json"
    base = load_config("base")

    def read():
        difference(base, from_json(path.read_bytes().decode(errors="replace"), path))

    return [(path, to_json(load_config(n)).encode()) for n in ("base", "bundled")], read


@reader(
    "siamjax.npz:read",
    "siamjax.npz:_array",
    "siamjax.models.weights:load_with_metadata",
    examples=20,
)
def weights(folder):
    from siamjax.models import weights

    path = folder / "weights.npz"
    config = tiny_config()
    weights.save(path, config, tiny_variables(config), {"a": 1})
    with np.load(path) as file:
        small = {"format": file["format"], "config": file["config"], "metadata": file["metadata"]}
    small["params/a/kernel"] = np.ones((2, 3), np.float32)
    contents = [path.read_bytes()]
    for save in (np.savez, np.savez_compressed):
        content = io.BytesIO()
        save(content, **small)
        contents.append(content.getvalue())

    def read():
        weights.check_matches(*weights.load(path), path)

    return [(path, content) for content in contents], read


@reader("siamjax.models.torch_files:read", examples=0)
def torch_weights(folder):
    torch = pytest.importorskip("torch")
    from siamjax.models import build, import_torch, torch_files

    path = folder / "weights.pth"
    config = tiny_config()
    model = build(config)
    torch_files.write(path, import_torch.to_pysot(model, tiny_variables(config)))
    whole = path.read_bytes()
    torch.save({"a": torch.ones(3)}, path, _use_new_zipfile_serialization=False)

    def read():
        import_torch.from_pysot(model, torch_files.read(path), path)

    return [(path, whole), (path, path.read_bytes())], read


@reader("siamjax.integrations.convert:to_siamjax", examples=20)
def arrays_of_other_programs(folder):
    """The tensors of an .npz file as PySOT's, torchvision's, NanoTrack's."""
    from siamjax.integrations import convert
    from siamjax.models import build, import_torch

    path = folder / "arrays.npz"
    config = tiny_config()
    model = build(config)
    tensors = import_torch.to_pysot(model, tiny_variables(config))
    np.savez(path, **tensors)
    whole = path.read_bytes()
    few = io.BytesIO()
    np.savez(few, **{name: tensors[name] for name in list(tensors)[:3]})

    def read():
        kinds = ("pysot", *convert.BACKBONES)
        out = str(folder / "out.npz")
        attempt(*(lambda k=k: convert.to_siamjax(k, str(path), out, config) for k in kinds))

    return [(path, whole), (path, few.getvalue())], read


def write_run(folder):
    from siamjax.config import to_json
    from siamjax.training import metrics, optimizer, saving, state

    config = tiny_config()
    variables = tiny_variables(config)
    labels = optimizer.label(variables["params"], config.train.unfreeze_layers)
    made = state.create(variables, optimizer.make(config.train, labels), False)
    checkpoints = saving.Checkpoints(folder, 3, 0)
    checkpoints.save(made, config, {"window": metrics.Window().state()}, {})
    checkpoints.close()
    (folder / "config.json").write_text(to_json(config))
    (folder / "metrics.jsonl").write_text('{"step": 1, "loss": 0.5}\n{"step": 2, "scores": {}}\n')
    return config


@reader(
    "siamjax.training.checkpoint:read_meta",
    "siamjax.training.saving:_scored",
    "siamjax.training.metrics:JsonLines.__init__",
    "siamjax.training.metrics:is_line",
    "siamjax.training.metrics:read_lines",
    examples=20,
)
def run_texts(folder):
    from siamjax.training import checkpoint, metrics, resume, saving

    config = write_run(folder)
    step = folder / "checkpoints" / "0"
    (step / "score.json").write_text('{"score": 0.5}')
    meta = step / "meta" / "metadata"
    unsealed = json.loads(meta.read_text())  # as 0.1 wrote them: any change is read
    del unsealed["crc32c"]["meta"]
    seeds = seeds_of(folder, "metrics.jsonl", "checkpoints/0/score.json")
    seeds += [(meta, meta.read_bytes()), *[(meta, json.dumps(unsealed).encode())] * 3]

    def read():
        lines = folder / "metrics.jsonl"
        metrics.read_lines(lines)
        text = lines.read_bytes()
        metrics.JsonLines(lines, 1, scores=False).close()
        lines.write_bytes(text)
        saving._score(step)
        with contextlib.suppress(Exception):  # each means that it cannot be read
            found = checkpoint.read_meta(step)
            metrics.Window((found.get("extra") or {}).get("window"))
        resume.check(folder, config, {})

    return seeds, read


@reader(
    "siamjax.training.checkpoint:read",
    "siamjax.integrations.verify:_config",
    "siamjax.integrations.verify:_metrics",
    examples=0,
)
def runs(folder):
    from siamjax.integrations import verify

    write_run(folder)
    seeds = seeds_of(folder, "*.json*", "checkpoints/0/**/*")
    return seeds, lambda: verify.run(folder)


ARCHIVES = """
import sys
from siamjax.integrations import verify
from siamjax.errors import UserError

for line in sys.stdin:
    try:
        verify.archive(line.rstrip("\\n"))
        said = "read"
    except UserError:
        said = "refused"
    except BaseException as error:
        said = repr(error)
    print(said.replace("\\n", " "), flush=True)
"""


@reader(
    "siamjax.tracking.exported:read",
    "siamjax.tracking.exported:arrays",
    "siamjax.tracking.exported:programs",
    examples=0,
)
def archives(folder):
    """In a process of its own: what an archive holds is a program."""
    from siamjax.tracking import export

    path = folder / "tracker.zip"
    config = tiny_config()
    export.export(path, config, tiny_variables(config))
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as file:  # so that its head can be damaged
        for name, content in members.items():
            file.writestr(name, content)
    worker = subprocess.Popen(
        [sys.executable, "-c", ARCHIVES],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        cwd=Path(__file__).resolve().parents[1],
    )

    def read():
        worker.stdin.write(f"{path}\n")
        worker.stdin.flush()
        said = worker.stdout.readline().strip()
        assert said in ("read", "refused"), said or f"the process ended: {worker.wait()}"

    return [(path, path.read_bytes()), (path, stored.getvalue())], read


# --- data sets of crops


def crops(folder):
    return write_set(folder, "toy", videos=2, frames=2, side=64)


@reader(
    "siamjax.data.index:read_manifest",
    "siamjax.data.index:_check_sizes",
    "siamjax.data.columns:_map",
    "siamjax.data.columns:checksum",
    "siamjax.data.tfds_metadata:faults",
    "siamjax.data.tfrecord:locate_records",
    "siamjax.data.tfrecord:read_record",
    examples=20,
)
def data_sets(folder):
    from siamjax.data import shards

    crops(folder)
    seeds = seeds_of(folder, "*", "index/*.npy")
    old = manifest_of_format_1(folder).encode()  # without checksums: values are read
    return [*seeds, *[(folder / "manifest.json", old)] * 4], lambda: shards.verify(folder)


@reader(examples=20)
def data_sets_of_format_1(folder):
    """Without checksums: damaged columns are told by their values."""
    from siamjax.data import shards

    to_format_1(crops(folder))
    return seeds_of(folder, "index/*.npy"), lambda: shards.verify(folder)


@reader("siamjax.data.reindex:_manifest", examples=20)
def data_sets_written_anew(folder):
    from siamjax.data.reindex import reindex

    crops(folder)
    return seeds_of(folder, "*.json", "*tfrecord*"), lambda: reindex(folder)


@reader(
    "siamjax.data.tfrecord:decode_example",
    "siamjax.data.tfrecord:payload_length",
    "siamjax.data.jpeg:decode",
    "siamjax.data.jpeg:_cut",
    "siamjax.data.jpeg:_header",
)
def records(folder):
    from siamjax.data import jpeg, tfrecord

    path = folder / "record"
    image = jpeg.encode(cv2.resize(picture(), (96, 96)), 90)
    record = tfrecord.encode_example(tfrecord.Record(image, "v", "0", 3, (20.0, 30.0)))

    def read():
        data = path.read_bytes()
        for call in (
            lambda: tfrecord.payload_length(data[:12].ljust(12)),
            lambda: tfrecord.decode_example(data),
            lambda: jpeg.decode(data),
            lambda: jpeg.decode_rows(data, 20, 40),
        ):
            with contextlib.suppress(tfrecord.BadRecord):
                call()

    return [(path, record), (path, image), (path, tfrecord.frame_record(record))], read


# --- benchmarks and results


@reader("siamjax.datasets.annotations:_parse", examples=100)
def annotations(folder):
    from siamjax.datasets import annotations

    path = folder / "OTB100.json"
    video = {"video_dir": "a", "init_rect": [1, 2, 3, 4], "img_names": ["a/1.jpg", "a/2.jpg"]}
    video |= {"gt_rect": [[1, 2, 3, 4], [1, 2, 3, 4]], "attr": ["IV"], "absent": [0, 1]}
    video |= {"camera_motion": [0, 1], "width": 16, "height": 12}
    polygon = video | {"gt_rect": [[1, 2, 3, 2, 3, 4, 1, 4], []]}
    content = json.dumps({"a": video, "b": polygon}).encode()
    return [(path, content)], lambda: attempt(
        lambda: annotations.load(path, "a").boxes, lambda: annotations.load(path, "b").boxes
    )


@reader(
    "siamjax.datasets.attributes:read",
    "siamjax.datasets.dataset:Dataset.names",
    "siamjax.datasets.got10k:_text",
    "siamjax.datasets.vot:_size",
    "siamjax.datasets.vot:_values",
    examples=20,
)
def benchmarks(folder):
    from siamjax.datasets import got10k, lasot, nfs, otb, uav123, vot

    places = {
        otb.DATASETS[0]: ("Basketball", {"groundtruth_rect.txt": "1,2,3,4\n1,2,3,4\n"}),
        lasot.DATASETS[0]: (
            "airplane-1",
            {"groundtruth.txt": "1,2,3,4\n1,2,3,4\n", "full_occlusion.txt": "0,1"},
        ),
        nfs.DATASETS[0]: ("a", {"30/a.txt": '0 1 2 9 8 0 0 0 0 "a"\n' * 9}),
        got10k.DATASETS[0]: (
            "GOT-10k_Val_000001",
            {
                "groundtruth.txt": "1,2,3,4\n1,2,3,4\n",
                "cover.label": "8\n0\n",
                "meta_info.ini": "[METAINFO]\nresolution: (16, 12)\nobject_class: dog\n",
            },
        ),
        vot.DATASETS[0]: (
            "a",
            {
                "groundtruth.txt": "1,2,3,2,3,4,1,4\n1,2,3,2,3,4,1,4\n",
                "occlusion.tag": "0\n1\n",
                "sequence": "width=16\nheight=12\n",
                "anchor.value": "1\n0\n",
            },
        ),
        uav123.DATASETS[0]: ("../anno/UAV123", {"bike1.txt": "1,2,3,4\nNaN,NaN,NaN,NaN\n"}),
    }
    for dataset, (name, files) in places.items():
        for file, text in files.items():
            path = folder / dataset.name / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        if dataset.list_file:
            (folder / dataset.name / dataset.list_file).write_text(f"{name}\n")
    att = folder / "UAV123" / "anno" / "UAV123" / "att"
    att.mkdir(parents=True)
    (folder / "UAV123" / "anno" / "UAV123" / "bike1.txt").write_text("1,2,3,4\n1,2,3,4\n")
    (att / "bike1.txt").write_text("0,1,0,0,0,0,0,0,0,0,0,1")
    seeds = seeds_of(folder, "*/*.txt", "*/*/*", "*/*/*/*", "*/*/*/*/*")

    def read():
        attempt(
            *(
                lambda dataset=dataset, name=name: (
                    dataset.names(folder / dataset.name),
                    dataset.load(folder / dataset.name, name.replace("../anno/UAV123", "bike1")),
                )
                for dataset, (name, _) in places.items()
            )
        )

    return seeds, read


def sequence(count=4):
    from siamjax.datasets.sequence import NoFrames, Sequence

    boxes = np.array([[10.0, 20, 30, 40]] * count)
    return Sequence("a", NoFrames(count, Path("nowhere")), boxes, image_size=(160, 120))


def run_of(count=4):
    from siamjax.datasets.forms import base

    codes = np.array([base.START, *[base.REGION] * (count - 1)], np.int8)
    regions = np.array([[10.0, 20, 30, 40]] * count)
    regions[0] = np.nan
    return base.Run(regions, codes, np.array([np.nan, *[0.5] * (count - 1)]))


@reader(
    "siamjax.datasets.forms.confidence:parse",
    "siamjax.datasets.forms.vot_toolkit:_binary",
    examples=20,
)
def results(folder):
    from siamjax.datasets.results import FORMATS

    forms = {name: importlib.import_module(module).FORM for name, module in FORMATS.items()}
    for name, form in forms.items():
        form.write(folder / name, sequence(), run_of())
    for path in [*folder.glob("flat/*.txt")]:
        path.with_name("a_time.txt").write_text("0.1\n" * 4)
        path.with_name("a_object_presence_scores.txt").write_text("0.1\n" * 4)
    binary = folder / "binary" / "baseline" / "a" / "a_001.bin"
    binary.parent.mkdir(parents=True)
    rows = struct.pack("<BI", 0, 1) + struct.pack("<B4f", 1, 10, 20, 30, 40) * 2
    rows += struct.pack("<BH8f", 2, 4, 1, 2, 3, 2, 3, 4, 1, 4)
    binary.write_bytes(struct.pack("<hI", 1, 4) + rows)
    seeds = seeds_of(folder, "*/*", "*/*/*", "*/*/*/*")

    def read():
        attempt(
            *(
                lambda n=name, f=form: f.read(folder / n, sequence())
                for name, form in forms.items()
            ),
            lambda: forms["vot_toolkit"].read(folder / "binary", sequence()),
        )

    return seeds, read


@reader(
    "siamjax.datasets.result_folders:_unpack",
    "siamjax.datasets.forms.mmtracking:_rows",
    "siamjax.evaluation.submission:faults",
    examples=20,
)
def result_archives(folder):
    from siamjax.datasets import otb, result_folders
    from siamjax.datasets.registry import Benchmark
    from siamjax.evaluation import submission

    text = b"10,20,30,40\n" * 4
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("mine/a.txt", text)
    tarred = io.BytesIO()
    with tarfile.open(fileobj=tarred, mode="w:gz") as file:
        info = tarfile.TarInfo("mine/a.txt")
        info.size = len(text)
        file.addfile(info, io.BytesIO(text))
    rows = [np.array([11.0, 21, 41, 61, 0.5], np.float32)] * 4
    pickles = [pickle.dumps({"track_bboxes": rows}, protocol) for protocol in (2, 4)]
    seeds = [(folder / "a.zip", packed.getvalue()), (folder / "a.tgz", tarred.getvalue())]
    seeds += [(folder / "a.pkl", content) for content in pickles]
    dataset = otb.DATASETS[0]
    benchmark = Benchmark(dataset, (sequence(),), 1, {})

    def read():
        attempt(
            *(
                lambda name=name: result_folders.find(folder / name, dataset, (sequence(),))
                for name in ("a.zip", "a.tgz", "a.pkl")
            ),
            lambda: submission.faults(folder / "a.zip", benchmark),
        )

    return seeds, read


# --- what siamjax wrote itself, perhaps elsewhere


@reader(
    "siamjax.checksums:first_damaged",
    "siamjax.files:read_json",
    "siamjax.evaluation.finished:read",
    "siamjax.evaluation.search:_read",
    "siamjax.evaluation.claims:_read",
    "siamjax.finetuning.plan:read",
    "siamjax.studies.displaced:kept",
    "siamjax.studies.kept:arrays",
    "siamjax.studies.report:_section",
    examples=20,
)
def own_records(folder):
    from siamjax import checksums
    from siamjax.evaluation import claims, finished, search
    from siamjax.finetuning import plan
    from siamjax.studies import displaced, kept, report

    (folder / "results" / "static").mkdir(parents=True)
    (folder / "results" / "static" / "a.txt").touch()
    claims.claim(folder, "static", "static")
    evaluation = {"dataset": "OTB100", "data_root": None, "sequences": ["a"], "results": "results"}
    files = {
        finished.FILE: json.dumps(evaluation),
        "search/scores/a.json": json.dumps({"key": "k", "success_auc": [0.5]}),
        plan.FILE: json.dumps({"trained": ["a"], "left_out": ["b"]}),
        "studies/a/study.json": json.dumps(
            {
                "about": {
                    **{"config": "c", "pairs": 8, "runs": ["r"], "scored_on": ["s"]},
                    "siamjax": "0.2",
                },
                **{"name": "a", "question": "q", "source": "s"},
            }
        ),
        "studies/a/table.md": "| a | b |\n|---|--:|\n| c | 1 |\n",
        "displaced.json": json.dumps({"key": "k", "found": 1, "searches": 2}),
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    np.savez(folder / "answers.npz", key=np.array("k"), response=np.zeros((3, 3)))
    checksums.write(folder / "sums.txt", folder, files)
    seeds = seeds_of(folder, *files, "results/*.json", "answers.npz", "sums.txt")

    def read():
        attempt(
            lambda: finished.read(str(folder)),
            lambda: search._read(folder / "search/scores/a.json", "k"),
            lambda: claims.claim(folder, "static", "static"),
            lambda: claims.notes("static", folder / "results" / "static"),
            lambda: plan.read(folder),
            lambda: displaced.kept(folder / "displaced.json", "k", lambda: (1, 2)),
            lambda: report.write(folder / "studies"),
            lambda: kept.arrays(folder / "answers.npz", "k", ["response"], dict),
            lambda: checksums.first_damaged(folder / "sums.txt", folder),
        )

    return seeds, read


@reader("siamjax.media.journal:read")
def journals(folder):
    from siamjax.media import journal
    from siamjax.media.tracks import Row

    path = folder / "out.rows.csv"
    written = journal.Journal(path, {"names": ["a"], "video": "v"})
    for frame in range(3):
        row = Row(frame, 0, 1.0, 2.0, 3.0, 4.0, 0.5, 0.1, False)
        written.append([row], [journal.State(1.0, 2.0, 3.0, 4.0, False, 2.0)])
    written.close()

    def read():
        past = journal.read(path)
        journal.Journal(folder / "next.csv", {}, past).close()

    return seeds_of(folder, "out.rows.csv"), read


@reader("siamjax.locks:_read", "siamjax.training.watch:Watch._read")
def locks_and_heartbeats(folder):
    from siamjax import locks
    from siamjax.training.watch import Watch

    held = locks.Lock(folder)
    content = (folder / ".lock").read_bytes()
    held.close()
    record = {"run": "r", "host": "h", "beat": 1, "ended": ""}
    (folder / "1").write_text(json.dumps(record))

    def read():
        found = locks._read(folder / "lock")
        if found is not None:
            held._by(found)
        Watch(folder, "r", 0, 2, 30.0).verdict()

    return [(folder / "lock", content), *seeds_of(folder, "1")], read


@reader(
    "siamjax.integrations.serving.orders:read_order",
    "siamjax.integrations.serving.orders:read_names",
    "siamjax.integrations.serving.orders:read_given",
)
def orders_of_the_page(folder):
    """Boxes, corrections and names, of videos and of a camera."""
    orders = pytest.importorskip("siamjax.integrations.serving.orders")
    limits = orders.Limits()
    start = b'{"frame": 3, "target": 1, "box": [10, 20, 30, 40]}'
    order = b'{"starts": [%s], "names": ["a", "b"], "heatmap": true, "after": "x"}' % start
    (folder / "message").write_bytes(b'{"box": [10, 20, 30, 40], "heatmap": true}')
    (folder / "starts").write_bytes(order)
    (folder / "names").write_bytes(b'{"names": ["dog", "cat"]}')
    (folder / "given").write_bytes(b'[%s, {"target": 0, "box": null}]' % start)

    def read():
        def text(name):
            return (folder / name).read_bytes()

        attempt(
            lambda: orders.read_order(text("message"), (160, 120)),
            lambda: orders.read_order(text("starts"), (160, 120), limits),
            lambda: orders.read_names(text("names"), limits),
            lambda: orders.read_given(text("given").decode("utf-8", "replace"), (160, 120), limits),
        )

    return seeds_of(folder, "message", "starts", "names", "given"), read


@reader("siamjax.integrations.serving.cameras:read_picture")
def pictures_of_a_camera(folder):
    cameras = pytest.importorskip("siamjax.integrations.serving.cameras")
    path = folder / "frame.jpg"
    content = cv2.imencode(".jpg", np.arange(48 * 64 * 3).reshape(48, 64, 3) % 251)[1].tobytes()
    return [(path, content)], lambda: cameras.read_picture(path.read_bytes(), 1 << 20)


@reader(
    "siamjax.remote.cache:_size",
    "siamjax.remote.cache:_is_complete",
    "siamjax.remote.lists:_decoded",
    "siamjax.data.index:parse_manifest",
    examples=20,
)
def remote_lists(folder):
    """What lies at an address, and in the cache beside copies of it."""
    from siamjax.data import staging
    from siamjax.remote import cache, lists

    place = types.SimpleNamespace(shown="there", shown_file=lambda name: f"there/{name}")
    body = json.dumps({"format": lists._FORMAT, "count": 3, "files": {"a.json": [3, "0" * 64]}})
    sealed = hashlib.sha256(body.encode()).hexdigest() + "\n" + body + "\n"
    (folder / "list").write_text(sealed)
    counts = dict.fromkeys(("version", "crop", "crops", "tracks", "videos"), 1)
    shards = [{"file": "a", "bytes": 3}]
    (folder / "manifest").write_text(json.dumps(counts | {"shards": shards}))
    (folder / cache._ABOUT).write_text('{"bytes": 3}')
    (folder / cache._COMPLETE).write_text('{"a": 3}')
    seeds = seeds_of(folder, "list", "manifest", cache._ABOUT, cache._COMPLETE)

    def resealed():  # as a stranger would
        text = (folder / "list").read_bytes().partition(b"\n")[2]
        digest = hashlib.sha256(text.removesuffix(b"\n")).hexdigest().encode()
        lists._decoded(place, digest + b"\n" + text)

    def read():
        cache._size(folder)
        cache._is_complete(folder)
        attempt(resealed, lambda: staging._wanted(place, (folder / "manifest").read_bytes()))

    return seeds, read


# --- data preparation


def targets_of(source) -> None:
    """All boxes of all videos."""
    skipped: Counter[str] = Counter()
    for video in source.first_videos():
        for _ in source.targets(video, skipped):
            pass


VOC = (
    "<annotation><object><trackid>0</trackid><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>9</xmax>"
    "<ymax>8</ymax></bndbox></object></annotation>"
)


@reader(
    "data_prep.coco:Coco.instances",
    "data_prep.ilsvrc:Ilsvrc.objects",
    "data_prep.lasot:Lasot.videos",
    "data_prep.youtubebb:Youtubebb.videos",
    examples=20,
)
def sources(folder):
    from data_prep import coco, composite, det, got10k, lasot, trackingnet, vid, youtubebb

    outline = [[1, 2, 9, 2, 9, 8, 1, 8]]
    note = {"id": 5, "image_id": 1, "iscrowd": 0, "bbox": [1, 2, 8, 6], "category_id": 1}
    image = {"id": 1, "file_name": "a.jpg", "width": 16, "height": 12}
    content = {"images": [image], "annotations": [note | {"segmentation": outline}]}
    row = "a,0,3,cat,0,present,0.25,0.5,0.25,0.75\n"
    boxes = "1,2,8,6\n2,2,8,6\n"
    texts = {
        "coco/annotations/instances_train2017.json": json.dumps(content),
        "vid/Annotations/VID/train/a/one/000000.xml": VOC,
        "det/Annotations/DET/train/x/a.xml": VOC,
        "lasot/training_set.txt": "cat-1\n",
        "lasot/cat/cat-1/groundtruth.txt": boxes,
        "lasot/cat/cat-1/full_occlusion.txt": "0,1",
        "got10k/train/GOT-10k_Train_000001/groundtruth.txt": boxes,
        "got10k/train/GOT-10k_Train_000001/absence.label": "0\n1\n",
        "trackingnet/TRAIN_0/anno/a.txt": boxes,
        "ytbb/yt_bb_detection_train.csv": row * 2,
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    save_images(folder / "coco/train2017", 1, "a.jpg")
    save_images(folder / "vid/Data/VID/train/a/one", 1, "{:06d}.JPEG")
    save_images(folder / "det/Data/DET/train/x", 1, "a.JPEG")
    save_images(folder / "lasot/cat/cat-1/img", 2, "{:08d}.jpg", 1)
    save_images(folder / "got10k/train/GOT-10k_Train_000001", 2, "{:08d}.jpg", 1)
    save_images(folder / "trackingnet/TRAIN_0/frames/a", 2, "{}.jpg")
    (folder / "ytbb/yt_bb_detection_train").mkdir()
    kinds = {
        "coco": coco.Coco,
        "vid": vid.Vid,
        "det": det.Det,
        "lasot": lasot.Lasot,
        "got10k": got10k.Got10k,
        "trackingnet": trackingnet.Trackingnet,
        "ytbb": youtubebb.Youtubebb,
    }
    seeds = [(folder / name, text.encode()) for name, text in texts.items()]
    calls = [lambda n=n, kind=kind: targets_of(kind(folder / n)) for n, kind in kinds.items()]
    calls.append(lambda: targets_of(composite.Composite(folder / "coco")))
    return seeds, lambda: attempt(*calls)


@reader("data_prep.source:read_image", "data_prep.parts:join_parts", examples=100)
def parts_of_a_preparation(folder):
    from data_prep import parts, source

    part = parts.part_folder(folder, 0)
    part.mkdir()
    columns = {"videos": ["v"], "tracks": ["0"], "track_video": [0], "crop_track": [0]}
    columns["track_category"] = [""]
    columns |= {name: [1] for name in ("frame", "shard", "offset", "length")}
    np.savez(part / "columns.npz", size=np.ones(2), **columns)
    files = [{"path": "records-00000.part", "bytes": 10, "records": 1}]
    (part / "counts.json").write_text(json.dumps({"skipped": {"a": 1}, "files": files}))
    (folder / "image.jpg").write_bytes(cv2.imencode(".jpg", picture())[1].tobytes())
    seeds = seeds_of(folder, "part-*/*", "image.jpg")

    def read():
        source.read_image(folder / "image.jpg")
        parts.join_parts(folder, 1)

    return seeds, read
