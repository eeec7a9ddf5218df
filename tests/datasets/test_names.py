"""Which sequence is meant by a name, and which files are its own."""

import json
import unicodedata

import numpy as np
import pytest

from siamjax.datasets import registry
from siamjax.datasets.results import Store
from siamjax.datasets.sequence import alike, key
from siamjax.errors import UserError
from siamjax.media import read_video

NFC, NFD = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
VIDEO = {"gt_rect": [[1, 2, 3, 4]] * 2, "init_rect": [1, 2, 3, 4]}


@pytest.fixture
def folders(tmp_path, write_images, rows, boxes):
    """Folders of three frames with boxes, a video each."""

    def make(*names):
        for name in names:
            write_images(tmp_path / "videos" / name, range(1, 4))
            (tmp_path / "videos" / name / "groundtruth.txt").write_text(rows(boxes(3)))
        return tmp_path / "videos"

    return make


def results(tmp_path, benchmark, *files):
    """Which sequences have results, where a tracker wrote these files."""
    (tmp_path / "results/t").mkdir(parents=True)
    for name in files:
        (tmp_path / "results/t" / f"{name}.txt").write_text("1,2,3,4\n" * 3)
    store = Store(tmp_path / "results", benchmark.dataset)
    return {s.name: len(store.read("t", s)) for s in benchmark.sequences}


def test_keys():
    assert key("Jogging.1") == key("jogging_1") == key("Jogging-1") == "jogging1"
    assert key("猫") != key("犬")
    assert key(NFC) == key(NFD)
    assert key("कि") != key("का")  # vowel signs are marks
    assert key("---") == "---"
    assert key("🐱") != key("🐶")
    assert key("STRASSE") == key("straße")
    assert alike("ab", ["a-b", "ab"]) == ["ab"]
    assert alike("a_b", ["a-b", "ab", "c"]) == ["a-b", "ab"]


@pytest.mark.parametrize(
    ("names", "files", "expected"),
    [
        (("猫", "犬"), ("犬",), {"猫": 0, "犬": 1}),
        (("a-b", "ab"), ("ab",), {"a-b": 0, "ab": 1}),
        (("a-b",), ("a_b", "ab"), {"a-b": 0}),
        (("a-b", "ab"), ("a_b",), {"a-b": 0, "ab": 0}),
        (("a-b", "c"), ("a_b", "C"), {"a-b": 1, "c": 1}),
        ((NFD,), (NFC,), {NFC: 1}),
        (("clip [720p]", "clip 7"), ("clip 7",), {"clip [720p]": 0, "clip 7": 1}),
        (("a*", "ab"), ("ab",), {"a*": 0, "ab": 1}),
    ],
)
def test_results_are_those_of_the_sequence(tmp_path, folders, names, files, expected):
    """Before: the one file of 猫 and 犬, and of a-b and ab, was read for both sequences ("2 of 2");
    of two files that were alike the last in order was read; a name in Unicode's other form was not
    found."""
    benchmark = registry.load("folder", folders(*names))
    assert results(tmp_path, benchmark, *files) == expected


def test_two_sequences_of_one_name_are_refused(folders):
    """Before: two sequences, and one file of results for both."""
    with pytest.raises(UserError, match="two videos are called café; rename one"):
        registry.load("folder", folders(NFC, NFD))
    with pytest.raises(UserError, match="two sequences are called café; rename or remove one"):
        registry.load("VOT2018", folders(NFC, NFD))


def test_sequences_are_named_exactly_first(folders):
    """Before: --sequences=a-b gave ab, and ab,ab the same sequence twice."""
    root = folders("a-b", "ab", "c")

    def names(*wanted):
        return [s.name for s in registry.load("folder", root, sequences=wanted).sequences]

    assert names("a-b") == ["a-b"]
    assert names("ab", "C") == ["ab", "c"]
    with pytest.raises(UserError, match="'a_b' may be any of a-b, ab; write one"):
        names("a_b")
    with pytest.raises(UserError, match="ab is named twice"):
        names("ab", "ab")


def test_a_list_of_names(tmp_path, folders):
    """Before: "my clip" was two sequences, "\\ufeffmy" and "clip", and b was run twice."""
    root = folders("my clip", "b")
    (root / "list.txt").write_text("\ufeffmy clip\r\nb\r\n\r\n", encoding="utf-8", newline="")
    benchmark = registry.load("VOT2018", root)
    assert [s.name for s in benchmark.sequences] == ["my clip", "b"]
    assert not benchmark.left_out
    (root / "list.txt").write_text("b\nb\n")
    with pytest.raises(UserError, match="two sequences are called b"):
        registry.load("VOT2018", root)


def annotated(tmp_path, content, **more):
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / "VOT2019.json").write_text(text, encoding=more.pop("code", "utf-8"))
    return registry.load("VOT2019", tmp_path, images=False, **more).sequences


def test_annotation_files_by_name(tmp_path):
    """Before: of a name that stood twice the last counted without a word, a byte order mark was
    "not a readable JSON file", --sequences=a-b gave ab, a name could lead out of the results'
    folder, and a row [] was refused."""
    other = VIDEO | {"gt_rect": [[9, 9, 9, 9]] * 2}
    (one,) = annotated(tmp_path, {"a-b": VIDEO, "ab": other}, sequences=["a-b"])
    np.testing.assert_array_equal(one.boxes[0], [1, 2, 3, 4])
    assert not one.loose
    assert len(annotated(tmp_path, {"bag": VIDEO}, code="utf-8-sig")) == 1
    twice = json.dumps({"bag": VIDEO})[:-1] + ', "bag": ' + json.dumps(other) + "}"
    with pytest.raises(UserError, match="'bag' stands twice in it"):
        annotated(tmp_path, twice)
    for name in ("../bag", "a/b", "..", ""):
        with pytest.raises(UserError, match="cannot be a sequence's name"):
            annotated(tmp_path, {name: VIDEO})
    (gaps,) = annotated(tmp_path, {"bag": VIDEO | {"gt_rect": [[1, 2, 3, 4], [], None]}})
    assert np.isnan(gaps.boxes).any(1).tolist() == [False, True, True]


def test_official_names_differ_by_more_than_punctuation():
    for dataset in registry.datasets().values():
        assert len({*map(key, dataset.listed)}) == len(dataset.listed)


def test_hidden_files_are_no_sequences(tmp_path, write_images, rows, boxes):
    """Before: ._bike1.txt, which macOS leaves beside bike1.txt, was a sequence left out."""
    write_images(tmp_path / "data_seq/UAV123/bike1", range(1, 4), "{:06d}.jpg")
    (tmp_path / "anno/UAV123").mkdir(parents=True)
    (tmp_path / "anno/UAV123/bike1.txt").write_text(rows(boxes(3)))
    (tmp_path / "anno/UAV123/._bike1.txt").write_bytes(b"\0\5\x16\7Mac OS X")
    benchmark = registry.load("UAV123", tmp_path)
    assert [s.name for s in benchmark.sequences] == ["bike1"]
    assert not benchmark.left_out


def test_of_two_folders_the_one_of_the_exact_name_counts(tmp_path, folders):
    """Before: the last in the order of the file system."""
    folders("../DTB70/a/img", "../dtb70/b/img")
    for name in ("DTB70/a", "dtb70/b"):
        text = tmp_path / name / "img/groundtruth.txt"
        text.rename(tmp_path / name / "groundtruth_rect.txt")
    (sequence,) = registry.load("DTB70", tmp_path).sequences
    assert sequence.name == "a"


def test_links_keep_their_names(tmp_path, write_images, rows, boxes):
    """Before: both were called "images", and one file of results was scored for both."""
    for number, name in enumerate(("cat", "dog")):
        images = write_images(tmp_path / f"store/{number}/images", range(1, 4))
        (images / "groundtruth.txt").write_text(rows(boxes(3)))
        (tmp_path / "videos").mkdir(exist_ok=True)
        (tmp_path / "videos" / name).symlink_to(images)
    benchmark = registry.load("folder", tmp_path / "videos")
    assert [s.name for s in benchmark.sequences] == ["cat", "dog"]
    assert results(tmp_path, benchmark, "dog") == {"cat": 0, "dog": 1}
    (one,) = registry.load("folder", tmp_path / "videos/cat").sequences
    assert one.name == "cat"
    assert read_video(str(tmp_path / "videos/dog")).name == "dog"
