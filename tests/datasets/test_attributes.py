"""Attributes of sequences, from each benchmark's files.

Before: LaSOT, DTB70, NFS and GOT-10k had none.
"""

import json
import re

import pytest

from siamjax.datasets import registry
from siamjax.errors import UserError

BOXES = "5,6,20,16\n" * 4
# how the ground truth of a sequence lies, and of another
TRUTH = {
    "LaSOT": ("airplane/airplane-1/groundtruth.txt", "boat/boat-3/groundtruth.txt"),
    "DTB70": ("Car2/groundtruth_rect.txt", "Car4/groundtruth_rect.txt"),
    "UAV123": ("anno/UAV123/bike1.txt", "anno/UAV123/bike2.txt"),
    "UAV20L": ("anno/UAV20L/bike1.txt", "anno/UAV20L/bike2.txt"),
    "OTB100": ("Boy/groundtruth_rect.txt", "Girl/groundtruth_rect.txt"),
    "NFS30": ("ball/30/ball.txt", "car/30/car.txt"),
    "GOT-10k-val": (
        "val/GOT-10k_Val_000001/groundtruth.txt",
        "val/GOT-10k_Val_000002/groundtruth.txt",
    ),
}
FLAGS = {"LaSOT": "1,0,0,0,0,0,0,0,1,0,0,0,0,1", "DTB70": "1,0,0,0,1,0,0,0,0,0,1"}
FLAGS |= {"UAV123": "1 0 0 0 0 0 0 0 0 0 1 0", "UAV20L": "0,1,0,0,0,0,0,0,0,0,0,1"}


def write(root, **files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def attributes(tmp_path):
    """Attributes of both sequences of a benchmark, with more files for the first."""

    def load(dataset, **files):
        row = "1 5 6 25 22 1 0 0 0 name\n" * 4 if dataset == "NFS30" else BOXES
        write(tmp_path, **dict.fromkeys(TRUTH[dataset], row), **files)
        loaded = registry.load(dataset, tmp_path, images=False)
        return [sequence.attributes for sequence in loaded.sequences]

    return load


@pytest.mark.parametrize(
    "dataset, place, expected",
    [
        ("LaSOT", "annos/att/airplane-1.txt", ("IV", "SV", "ARC")),
        ("LaSOT", "att/airplane-1.txt", ("IV", "SV", "ARC")),
        ("DTB70", "anno/att/Car2.txt", ("SV", "FCM", "MB")),
        ("DTB70", "anno/DTB70/att/Car2.txt", ("SV", "FCM", "MB")),
        ("UAV123", "anno/UAV123/att/bike1.txt", ("SV", "CM")),
        ("UAV20L", "anno/UAV20L/att/bike1.txt", ("ARC", "SOB")),
    ],
)
def test_flags_in_the_benchmarks_order(attributes, dataset, place, expected):
    assert attributes(dataset, **{place: FLAGS[dataset] + "\n"}) == [expected, ()]


@pytest.mark.parametrize(
    "dataset, place",
    [
        ("OTB100", "Boy/attrs.txt"),
        ("OTB100", "Boy/attributes.txt"),
        ("NFS30", "ball/30/attributes.txt"),
        ("LaSOT", "airplane/airplane-1/attributes.txt"),
    ],
)
def test_names(attributes, dataset, place):
    assert attributes(dataset, **{place: "OCC, SV\nOCC IPR\n"}) == [("OCC", "SV", "IPR"), ()]


def test_got10k_by_class(attributes):
    info = "[METAINFO]\nobject_class: steam locomotive \nmotion_class: running\n"
    found = attributes("GOT-10k-val", **{"val/GOT-10k_Val_000001/meta_info.ini": info})
    assert found == [("steam locomotive",), ()]


def test_nfs_as_pysot_has_it(tmp_path):
    video = {"video_dir": "ball", "init_rect": [5, 6, 20, 16], "img_names": []}
    video |= {"gt_rect": [[5, 6, 20, 16]] * 4, "attr": ["Occlusion", "Fast motion"]}
    (tmp_path / "NFS30.json").write_text(json.dumps({"ball": video}))
    (ball,) = registry.load("NFS30", tmp_path, images=False).sequences
    assert ball.attributes == ("Occlusion", "Fast motion")
    assert ball.boxes[0].tolist() == [5, 6, 20, 16]


@pytest.mark.parametrize("dataset, place", [("DTB70", "att/Car2.txt"), ("NFS30", "att/ball.txt")])
def test_flags_of_another_benchmark_are_named(attributes, tmp_path, dataset, place):
    assert attributes(dataset, **{place: "1,0,0,0,1,0,0,0,0\n"}) == [()]
    name = place.removeprefix("att/").removesuffix(".txt")
    reason = registry.load(dataset, tmp_path, images=False).left_out[name]
    assert re.search(r"\.txt: 9 numbers, .* has (11|0) attributes; restore the file", reason)
    with pytest.raises(UserError, match="9 numbers"):
        registry.load(dataset, tmp_path, [name], images=False)


def test_files_above_the_benchmark_are_not_its_own(tmp_path):
    write(tmp_path, **{"att/Car2.txt": FLAGS["DTB70"], "DTB70/Car2/groundtruth_rect.txt": BOXES})
    (car,) = registry.load("DTB70", tmp_path / "DTB70", images=False).sequences
    assert car.attributes == ()
