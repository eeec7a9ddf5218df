"""What each benchmark states of itself: sizes, first pixels, intervals, protocols; rows of truth in
annotation files, and what result files are read by."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest

from siamjax.datasets import (
    attributes,
    folder,
    lasot,
    otb,
    registry,
    result_folders,
    results,
    synthetic,
    uav123,
    vot,
)
from siamjax.datasets.forms import confidence, multistart
from siamjax.datasets.forms.base import (
    REGION,
    Run,
    fitted,
    numbered,
    rows_text,
    seconds,
    unscored,
)
from siamjax.datasets.sequence import NoFrames, Sequence
from siamjax.errors import UserError
from siamjax.synthetic import SyntheticVideo

FLAT = ("ope", "ope", "flat")
VOT = ("supervised", "vot", "vot")
# sequences; what its files count the first pixel as; protocol, measures, form of results; lengths
# that the expected overlap averages over; whether tuning on it spoils it; whether a server scores
STATED = {
    "synthetic": (16, 0, FLAT, None, False, False),
    "OTB100": (100, 1, FLAT, None, True, False),
    "OTB50": (50, 1, FLAT, None, True, False),
    "OTB2013": (51, 1, FLAT, None, True, False),
    "VOT2016": (60, 0, VOT, (108, 371), True, False),
    "VOT2017": (60, 0, VOT, (100, 356), True, False),
    "VOT2018": (60, 0, VOT, (100, 356), True, False),
    "VOT2019": (60, 0, VOT, (46, 291), True, False),
    "VOT2018-LT": (35, 0, ("longterm",) * 3, None, True, False),
    "UAV123": (123, 1, FLAT, None, True, False),
    "UAV20L": (20, 1, FLAT, None, True, False),
    "LaSOT": (280, 0, FLAT, None, True, False),
    "TrackingNet": (511, 0, FLAT, None, True, True),
    "GOT-10k-val": (180, 0, ("ope", "got10k", "got10k"), None, False, False),
    "GOT-10k-test": (180, 0, ("ope", "got10k", "got10k"), None, True, True),
    "NFS30": (100, 0, FLAT, None, True, False),
    "NFS240": (100, 0, FLAT, None, True, False),
    "DTB70": (70, 1, FLAT, None, True, False),
    "folder": (0, 0, FLAT, None, False, False),
}


def test_all_are_stated():
    assert set(registry.datasets()) == set(STATED)


@pytest.mark.parametrize("name", STATED)
def test_what_a_benchmark_states(name):
    d = registry.get(name)
    ways = (d.protocol, d.measures, d.results)
    assert (d.total, d.base, ways, d.interval, d.test, d.server) == STATED[name]


def test_first_images_of_parts_and_late_annotations():
    assert uav123._FIRST_IMAGE["car6_5"] == 3925
    assert uav123._FIRST_IMAGE["bird1_2"] == 775
    assert uav123._FIRST_IMAGE["uav1_3"] == 2473
    assert otb._FIRST_IMAGE == {"BlurCar1": 247, "BlurCar3": 3, "BlurCar4": 18, "David": 300}
    assert otb._SKIPPED_BOXES == {"Tiger1": 5}
    assert len(lasot.ATTRIBUTES) == 14


def test_clips_of_the_synthetic_benchmark():
    assert (synthetic.CLIPS, synthetic.LENGTH) == (16, 120)
    (clip,) = registry.load("synthetic", sequences=["clip003"]).sequences
    video = SyntheticVideo(3, length=120, split="test")
    np.testing.assert_array_equal(clip.groundtruth, video.boxes[0])


def test_otb_may_have_images_after_its_last_box(tmp_path):
    images = tmp_path / "Boy/img"
    images.mkdir(parents=True)
    for number in range(1, 7):
        (images / f"{number:04d}.jpg").write_text("")
    (tmp_path / "Boy/groundtruth_rect.txt").write_text("2,3,10,8\n" * 4)
    (boy,) = registry.load("OTB100", tmp_path).sequences
    names = [path.name for path in boy.frames.paths]
    assert names == ["0001.jpg", "0002.jpg", "0003.jpg", "0004.jpg"]


def test_rows_of_truth_in_annotation_files(tmp_path):
    def truth(rows):
        (tmp_path / "OTB2015.json").write_text(json.dumps({"Boy": {"gt_rect": rows}}))
        (boy,) = registry.load("OTB100", tmp_path, images=False).sequences
        return boy.groundtruth

    box, polygon = [2, 3, 10, 8], [2, 3, 12, 3, 12, 11, 2, 11]
    np.testing.assert_array_equal(truth([box, box]), [[1, 2, 10, 8]] * 2)
    np.testing.assert_array_equal(truth([polygon]), [np.subtract(polygon, 1)])
    for unknown in (None, []):  # no target: still boxes
        found = truth([box, unknown])
        np.testing.assert_array_equal(found, [[1, 2, 10, 8], [np.nan] * 4])
    # a box among polygons is the polygon of its outermost pixels
    mixed = truth([polygon, box])
    np.testing.assert_array_equal(mixed[1], np.subtract([2, 3, 11, 3, 11, 10, 2, 10], 1))


def test_a_run_by_default():
    run = unscored(np.ones((3, 4)))
    assert run.codes.tolist() == [REGION] * 3
    assert np.isnan(run.scores).all()
    assert (run.missing, run.notes, len(run.seconds), len(run.reading)) == (0, (), 0, 0)
    first = dataclasses.replace(run, seconds=np.arange(3.0), missing=1).first(2)
    assert (len(first.codes), len(first.seconds), len(first.reading), first.missing) == (2, 2, 0, 0)
    assert dataclasses.replace(run, missing=2).first(2).missing == 1


def test_runs_are_fitted_to_their_sequence(tmp_path):
    run = Run(np.arange(20.0).reshape(5, 4), np.full(5, REGION, np.int8), np.arange(5.0))
    path = tmp_path / "a.txt"
    assert fitted(path, run, 5) is run
    longer = fitted(path, run, 7)
    np.testing.assert_array_equal(longer.regions[:5], run.regions)
    assert np.isnan(longer.regions[5:]).all()
    assert longer.codes.tolist() == [REGION] * 7
    np.testing.assert_array_equal(longer.scores, [0, 1, 2, 3, 4, np.nan, np.nan])
    assert longer.missing == 2
    shorter = fitted(path, run, 3)
    np.testing.assert_array_equal(shorter.scores, [0, 1, 2])
    assert shorter.missing == 0
    assert shorter.notes[0].text.endswith("a.txt: 5 rows for 3 frames: the last 2 are left out")
    skipping = fitted(path, run, 3, skipped=2)
    np.testing.assert_array_equal(skipping.scores, [2, 3, 4])
    np.testing.assert_array_equal(skipping.regions, run.regions[2:])
    assert fitted(path, run, 4).scores.tolist() == [0, 1, 2, 3]
    assert fitted(path, run, 4, skipped=2).scores.tolist() == [0, 1, 2, 3]


PATHS = {
    "flat": ["a.txt"],
    "vot": ["baseline/a/a_001.txt"],
    "vot_toolkit": ["baseline/a/a_001.txt"],
    "longterm": ["longterm/a/a_001_confidence.value", "longterm/a/a_001.txt"],
    "multistart": ["multistart/a/a_00000001.txt"],
    "got10k": ["a/a_time.txt", "a/a_001.txt"],
}


@pytest.mark.parametrize("name", results.FORMATS)
def test_the_first_repetition_is_meant_by_default(name):
    dataset = dataclasses.replace(registry.get("OTB100"), results=name)
    form = results.Store("", dataset).form
    one = Sequence("a", NoFrames(3, "none"), np.ones((3, 4)))
    assert form.paths(one) == PATHS[name]


def test_multistart_results_are_found_and_run_to_the_farther_end(tmp_path):
    one = Sequence("a", NoFrames(100, "none"), np.ones((100, 4)))
    assert multistart.multistart_anchors(one) == [(0, 1), (50, -1), (99, -1)]
    dataset = dataclasses.replace(registry.get("VOT2018"), results="multistart")
    place = tmp_path / "r/mine/multistart/a"
    place.mkdir(parents=True)
    assert [*result_folders.find(tmp_path / "r", dataset, (one,)).trackers] == ["mine"]
    store = results.Store(tmp_path / "r", dataset)
    for anchor, count in ((0, 100), (50, 51), (99, 100)):
        assert store.read("mine", one) == []  # not all are there
        (place / f"a_{anchor:08d}.txt").write_text("1\n" + "1,2,3,4\n" * (count - 1))
    assert [len(run.codes) for run in store.read("mine", one)] == [100, 51, 100]


def test_labels_without_frames_begin_at_their_first_box(tmp_path):
    video = SimpleNamespace(
        source=tmp_path,
        name="a",
        per_frame=False,
        length=None,
        has_frames=False,
        images=(),
        count=9,
        known=lambda frame: None,
        stated_size=(64, 48),
    )
    each = SimpleNamespace(frames=np.array([3, 4, 6]), boxes=np.ones((3, 4)), polygons=[None] * 3)
    each = type("Track", (), {"__len__": lambda self: 3} | vars(each))()
    found = folder._sequence("a", video, each)
    assert len(found) == 4
    assert np.isnan(found.groundtruth).any(1).tolist() == [False, False, True, False]


def test_scores_are_written_where_they_differ(tmp_path):
    path = tmp_path / "a.txt"
    confidence.write(path, np.array([np.nan, 0.5, 0.25]))
    assert confidence.beside(path).read_text() == "\n0.500000\n0.250000\n"
    for same in ([np.nan, 0.5, 0.5], [np.nan, 0.5], [np.nan, np.nan]):
        confidence.write(path, np.array(same))
        assert not confidence.beside(path).exists()


def test_a_gap_in_numbered_images_is_named(tmp_path):
    frames = tmp_path / "TEST/frames/abc"
    frames.mkdir(parents=True)
    for number in (0, 1, 3, 4):
        (frames / f"{number}.jpg").write_text("")
    (tmp_path / "TEST/anno").mkdir()
    (tmp_path / "TEST/anno/abc.txt").write_text("1,2,10,8\n" * 5)
    with pytest.raises(UserError, match=r"frame number 2 of 0\.\.4 is missing"):
        registry.load("TrackingNet", tmp_path)


def test_the_toolkits_file_of_sizes(tmp_path):
    path = tmp_path / "sequence"
    assert vot._size(path) is None
    path.write_text("width=640\nheight = 480\n")
    assert vot._size(path) == (640, 480)
    path.write_text("name=bag\nwidth=640\nnote=a=b\nheight=480\nx\n")
    assert vot._size(path) == (640, 480)
    path.write_text("width=640\n")
    assert vot._size(path) is None


def test_numbers_and_names_of_attributes(tmp_path):
    (tmp_path / "att").mkdir()
    path, order = tmp_path / "att/a.txt", ("SV", "OCC", "FM", "BC")

    def read(text):
        path.write_text(text)
        return attributes.read(tmp_path, tmp_path / "a.txt", "a", "Mine", order)

    assert read("0,1,0.0,1.0") == ("OCC", "BC")
    assert read("1 1 0 0") == ("SV", "OCC")
    assert read("FM, SV FM") == ("FM", "SV")
    with pytest.raises(UserError, match="3 numbers, Mine has 4 attributes"):
        read("1,0,0")


def test_rows_as_text():
    flags = np.zeros(40, bool)
    assert rows_text(flags) == ""
    flags[4] = True
    assert rows_text(flags) == "row 5"
    flags[6:9] = True
    assert rows_text(flags) == "rows 5, 7-9"
    flags[[11, 13]] = True
    assert rows_text(flags, most=2) == "rows 5, 7-9 and 2 more"
    assert rows_text(flags, most=3) == "rows 5, 7-9, 12 and 1 more"
    many = np.arange(40) % 2 == 0
    assert rows_text(many) == "rows 1, 3, 5, 7, 9, 11, 13, 15 and 12 more"


def test_numbered_files(tmp_path):
    for name in ("car_002.txt", "car_001.bin", "car_001.txt", "car1_001.txt", "car_01.txt"):
        (tmp_path / name).write_text("")
    (tmp_path / "car [1]_001.txt").write_text("")
    found = numbered(tmp_path, "car", 3, (".txt", ".bin"))
    assert [path.name for path in found] == ["car_001.txt", "car_002.txt"]
    assert numbered(tmp_path, "car", 3, (".bin", ".txt"))[0].name == "car_001.bin"
    assert [p.name for p in numbered(tmp_path, "car [1]", 3, (".txt",))] == ["car [1]_001.txt"]
    assert numbered(tmp_path / "none", "car", 3, (".txt",)) == []


def test_seconds_that_do_not_fit_are_not_taken(tmp_path):
    path = tmp_path / "car_001.txt"
    assert seconds(path, 2).size == 0
    (tmp_path / "car_time.txt").write_text("0.5,1.5\n0.25\n")
    np.testing.assert_array_equal(seconds(path, 2), [1, 0.25])
    assert seconds(path, 3).size == 0
    (tmp_path / "car_001_time.value").write_text("\n0.125\n")
    np.testing.assert_array_equal(seconds(path, 2), [np.nan, 0.125])
