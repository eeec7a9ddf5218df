"""Result files as other toolkits write them, each by hand from the toolkit's code or pages."""

import json
import pickle
import struct
import tarfile
import zipfile

import numpy as np
import pytest

from siamjax.datasets import registry, result_folders
from siamjax.datasets.forms import vot_toolkit
from siamjax.datasets.forms.base import REGION, START
from siamjax.datasets.results import Store
from siamjax.errors import UserError
from siamjax.evaluation import report, runner, scoring

PERFECT = 20 / 21  # success AUC of a result that is the truth


def truth(count, start=10):
    """A box that moves 2 px to the right in each frame; whole numbers, as pytracking writes."""
    i = np.arange(count)
    return np.stack([start + 2 * i, 0 * i + 12, 0 * i + 40, 0 * i + 30], 1).astype(float)


def rows(table, separator=",", form="{:.3f}"):
    return "".join(separator.join(form.format(v) for v in row) + "\n" for row in table)


def write(folder, texts):
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text) if isinstance(text, bytes) else path.write_text(text)


def benchmark(tmp_path, dataset, videos, file=None, **more):
    """A benchmark from an annotation file."""
    described = {
        name: {"gt_rect": boxes.tolist(), "width": 400, "height": 300} | more
        for name, boxes in videos.items()
    }
    write(tmp_path / "data", {f"{file or dataset}.json": json.dumps(described)})
    return registry.load(dataset, tmp_path / "data", images=False)


def score(loaded, folder, **more):
    found = result_folders.find(folder, loaded.dataset, loaded.sequences)
    scores = scoring.score(loaded, found.trackers, **more)
    scores.without = [*found.without]
    return scores


# --- got10k-toolkit: %.3f with commas, `<name>.<k>.txt`, `times/<name>_time.txt` with %.8f


@pytest.fixture
def otb(tmp_path):
    videos = {"Tiger1": truth(349, 30), "Human4.2": truth(30), "Jogging.1": truth(20)}
    return benchmark(tmp_path, "OTB100", videos, "OTB2015")


def test_got10k_toolkit_on_otb(otb, tmp_path):
    """Before: `eval --dataset=OTB100 --results=DIR` gave "Tiger1.txt: 354 rows for 349 frames", and
    without that file left Human4.2 out in silence."""
    folder = tmp_path / "results/OTB2015/SiamFC"
    write(
        folder,
        {
            "Tiger1.txt": rows(truth(354, 20)),  # from the first box on, five frames earlier
            "Human4.txt": rows(truth(30)),
            "Jogging.1.txt": rows(truth(20)),
            **{f"times/{n}_time.txt": "0.05000000\n" * 354 for n in ("Tiger1",)},
            **{"times/Human4_time.txt": "0.05000000\n" * 30},
            **{"times/Jogging.1_time.txt": "0.05000000\n" * 20},
        },
    )
    scores = score(otb, tmp_path / "results")  # a level up
    assert [*scores.trackers] == ["SiamFC"]
    assert scores.trackers["SiamFC"]["success_auc"] == pytest.approx(PERFECT)
    assert scores.trackers["SiamFC"]["fps"] == pytest.approx(20)
    assert scores.sequences == (3, 100)
    (note,) = scores.problems
    assert note.endswith(
        "354 rows for 349 frames: the first 5, before the benchmark's first frame, are left out"
    )


# --- PySOT and SiamTrackers: floats with commas, the whole name or with a small first letter


@pytest.mark.parametrize("name", ["Jogging.1", "Jogging-1", "jogging_1"])
def test_pysot_on_otb(otb, tmp_path, name):
    texts = {f"{name}.txt": rows(truth(20), form="{}"), "Human4-2.txt": rows(truth(30))}
    write(tmp_path / "results/OTB100/model", texts | {"tiger1.txt": rows(truth(349, 30))})
    for place in ("results", "results/OTB100", "results/OTB100/model"):
        scores = score(otb, tmp_path / place)
        assert scores.trackers["model"]["success_auc"] == pytest.approx(PERFECT)


def test_numbered_repetitions_in_a_folder_per_sequence(otb, tmp_path):
    texts = {
        f"Jogging.1/Jogging.1_00{k}.txt": rows(truth(20) + [20 * (k > 1), 0, 0, 0]) for k in (1, 2)
    }
    write(tmp_path / "r/a", texts)
    # overlap 1/3 is above 7 of 21 thresholds
    value = score(otb, tmp_path / "r").trackers["a"]["success_auc"]
    assert value == pytest.approx((PERFECT + 7 / 21) / 2)


# --- pytracking: whole numbers and tabs, prefixes, a folder per run


@pytest.mark.parametrize(
    "dataset, prefix, video",
    [("NFS30", "nfs_", "ball"), ("UAV123", "uav_", "bike1"), ("OTB100", "otb_", "Boy")],
)
def test_pytracking_prefixes_and_runs(tmp_path, dataset, prefix, video):
    """Before: "no results of these sequences in it"."""
    loaded = benchmark(tmp_path, "OTB100", {"Boy": truth(20)}, "OTB2015")
    if dataset == "NFS30":
        i = range(20)
        lines = (f'0 {10 + 2 * k} 12 {50 + 2 * k} 42 {k} 0 0 0 "x"\n' for k in i)
        write(tmp_path / "nfs/ball/30", {"ball.txt": "".join(lines)})
        write(tmp_path / "nfs/ball/30/ball", {f"{k:05d}.jpg": "" for k in range(1, 21)})
        loaded = registry.load("NFS30", tmp_path / "nfs", images=False)
    elif dataset == "UAV123":
        write(tmp_path / "uav/anno/UAV123", {"bike1.txt": rows(truth(20))})
        loaded = registry.load("UAV123", tmp_path / "uav", images=False)
    folder = tmp_path / "tracking_results/dimp"
    for run, shift in enumerate((0, 20)):
        moved = truth(20) + [shift, 0, 0, 0]
        write(
            folder / f"default_{run:03d}",
            {
                f"{prefix}{video}.txt": rows(moved, "\t", "{:.0f}"),
                f"{prefix}{video}_time.txt": "0.100000\n" * 20,
                f"{prefix}{video}_object_presence_scores.txt": "0.9\n" * 20,
            },
        )
    # 20 px to the right a third is common: overlap 1/3 is above 0, .05 .. .3
    expected = (PERFECT + 7 / 21) / 2
    for place in ("tracking_results", "tracking_results/dimp"):
        scores = score(loaded, tmp_path / place)
        assert scores.trackers["dimp"]["success_auc"] == pytest.approx(expected)
        assert scores.trackers["dimp"]["fps"] == pytest.approx(10)
        assert "dimp: mean of 2 runs, default_000 .. default_001" in scores.assumptions
    alone = score(loaded, folder / "default_000")
    assert alone.trackers["dimp"]["success_auc"] == pytest.approx(PERFECT)


def test_numbered_folders_that_are_no_runs_are_trackers_each(otb, tmp_path):
    names = ("epoch_000", "epoch_001", "mine_001", "mine_002", "dimp50_000", "dimp50_001")
    for name in names:
        write(tmp_path / "r" / name, {"Jogging.1.txt": rows(truth(20))})
    found = result_folders.find(tmp_path / "r", otb.dataset, otb.sequences).trackers
    assert {name: len(folders) for name, folders in found.items()} == {
        "dimp50": 2,
        **dict.fromkeys(names[:4], 1),
    }


def test_trackers_lie_up_to_four_folders_deep(otb, tmp_path):
    for place in ("x/mine", "x/y/z/other"):
        write(tmp_path / "r" / place, {"Jogging.1.txt": rows(truth(20))})
    found = result_folders.find(tmp_path / "r", otb.dataset, otb.sequences)
    assert set(found.trackers) == {"mine", "other"}
    write(tmp_path / "far/a/b/c/d/e", {"Jogging.1.txt": rows(truth(20))})
    with pytest.raises(UserError, match="no results of these sequences in it"):
        result_folders.find(tmp_path / "far", otb.dataset, otb.sequences)


def test_pytracking_on_got10k(tmp_path):
    loaded = got10k(tmp_path)
    write(tmp_path / "r/atom/default_000", {f"{LONG}.txt": rows(truth(20), "\t", "{:.0f}")})
    assert score(loaded, tmp_path / "r").trackers["atom"]["ao"] == pytest.approx(1)


def test_corners_in_one_pass_results(tmp_path):
    """Of a rotated box: the upright box of the same area about its centre is compared."""
    loaded = benchmark(tmp_path, "OTB100", {"Couple": truth(20)}, "OTB2015")
    x, y, w, h = truth(20).T
    corners = np.column_stack([x, y, x + w, y, x + w, y + h, x, y + h])
    write(tmp_path / "r/t", {"Couple.txt": rows(corners)})
    found = score(loaded, tmp_path / "r").trackers["t"]["success_auc"]
    assert found == pytest.approx(PERFECT, abs=0.06)


# --- GOT-10k as its toolkit and mmtracking write it

LONG = "GOT-10k_Val_000001"


def got10k(tmp_path):
    write(
        tmp_path / "got/val",
        {
            "list.txt": LONG,
            f"{LONG}/groundtruth.txt": rows(truth(20)),
            f"{LONG}/cover.label": "8\n" * 20,
            f"{LONG}/meta_info.ini": "[METAINFO]\nresolution: (400, 300)\n",
        },
    )
    return registry.load("GOT-10k-val", tmp_path / "got", images=False)


def test_got10k_toolkit_with_a_column_of_times_per_repetition(tmp_path):
    loaded = got10k(tmp_path)
    texts = {f"{LONG}_00{k}.txt": rows(truth(20) + [20 * (k > 1), 0, 0, 0]) for k in (1, 2)}
    times = "0.05000000,0.15000000\n" * 20
    write(tmp_path / "r/GOT-10k/SiamFC" / LONG, texts | {f"{LONG}_time.txt": times})
    row = score(loaded, tmp_path / "r").trackers["SiamFC"]
    assert row["ao"] == pytest.approx((1 + 1 / 3) / 2)
    assert row["fps"] == pytest.approx(10)


def test_got10ks_own_form_comes_first(tmp_path):
    loaded = got10k(tmp_path)
    write(tmp_path / "r/t", {f"{LONG}.txt": rows(truth(20, 300))})
    assert score(loaded, tmp_path / "r").trackers["t"]["ao"] == 0
    write(tmp_path / "r/t", {f"{LONG}/{LONG}_001.txt": rows(truth(20))})
    assert score(loaded, tmp_path / "r").trackers["t"]["ao"] == pytest.approx(1)


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_mmtracking_packs_its_results(tmp_path, kind):
    """Before: "no such folder"."""
    loaded = got10k(tmp_path)
    names = {f"{LONG}/{LONG}_001.txt": rows(truth(20), form="{:.4f}")}
    names |= {f"{LONG}/{LONG}_time.txt": "0.04\n" * 20}
    write(tmp_path / "stark", names)
    path = tmp_path / f"packed/stark.{kind}"
    path.parent.mkdir()
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.write(tmp_path / "stark" / name, name)
    else:
        with tarfile.open(path, "w:gz") as archive:
            archive.add(tmp_path / "stark", "stark")
    for place in (path, path.parent):
        row = score(loaded, place).trackers["stark"]
        assert row["ao"] == pytest.approx(1)
        assert row["fps"] == pytest.approx(25)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="cannot be unpacked"):
        score(loaded, path)


# --- mmtracking's file of all sequences: left, top, right, bottom, score of all frames, float32


def as_pickle(videos, protocol=2, key="track_bboxes"):
    """One array a frame, the videos one after the other; the first frame has the score -1."""
    frames = []
    for boxes in videos:
        table = np.column_stack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:], boxes[:, 0] / 999])
        table[0, 4] = -1
        frames += [*table.astype(np.float32)]
    return pickle.dumps({key: frames}, protocol)


@pytest.mark.parametrize("protocol", [2, 4])
def test_mmtracking_pickles_all_sequences(tmp_path, protocol):
    """Before: "no results of these sequences in it". The order is that of its own list."""
    named = {"Tiger1": truth(349, 30), "Human4.2": truth(30, 20), "Jogging.1": truth(20)}
    otb = benchmark(tmp_path, "OTB100", named, "OTB2015")
    videos = [truth(20), truth(349, 30), truth(30, 90)]
    write(tmp_path / "bad", {"r.pkl": as_pickle(videos)})
    with pytest.raises(UserError, match="row 370 is the first box of none of the sequences"):
        score(otb, tmp_path / "bad")
    videos[2][0] = truth(1, 20)  # the other 29 boxes do not touch the target
    packed = as_pickle(videos, protocol)
    write(tmp_path / "results", {"siamese_rpn_r50.pkl": packed})
    for place in (tmp_path / "results", tmp_path / "results/siamese_rpn_r50.pkl"):
        row = score(otb, place).trackers["siamese_rpn_r50"]
        assert row["success_auc"] == pytest.approx(PERFECT * (2 + 1 / 30) / 3)
    found = result_folders.find(tmp_path / "results", otb.dataset, otb.sequences)
    (run,) = Store(tmp_path, otb.dataset).form.read(
        found.folders["siamese_rpn_r50"], otb.sequences[0]
    )
    assert np.isnan(run.scores[0])
    np.testing.assert_allclose(run.scores[1:], videos[2][1:, 0] / 999, atol=1e-6)


def test_mmtracking_marks_of_supervised_runs(tmp_path):
    """Rows of two: a mark and a score."""
    videos = {"bag": truth(20), "ball1": truth(12, 200)}
    corners = {}
    for name, boxes in videos.items():
        x, y, w, h = boxes.T
        corners[name] = np.column_stack([x, y, x + w - 1, y, x + w - 1, y + h - 1, x, y + h - 1])
    loaded = benchmark(tmp_path, "VOT2018", corners)
    box = [10, 12, 50, 42, 0.9]
    first = [[1, -1], *[box] * 3, [2, 0.1], *[[0, 0.0]] * 4, [1, -1], *[box] * 10]
    second = [[1, -1], *[box] * 11]
    frames = [np.array(row, np.float32) for row in first + second]
    write(tmp_path / "r", {"siam.pkl": pickle.dumps({"track_results": frames})})
    found = result_folders.find(tmp_path / "r", loaded.dataset, loaded.sequences)
    text = (found.folders["siam"] / "baseline/bag/bag_001.txt").read_text().splitlines()
    assert text[:11] == ["1", *["10.0000,12.0000,40.0000,30.0000"] * 3, "2", *"0000", "1", text[1]]
    assert score(loaded, tmp_path / "r").trackers["siam"]["robustness"] == pytest.approx(100 / 32)


class Program:
    def __reduce__(self):
        return (print, ("ran",))


@pytest.mark.parametrize(
    ("damaged", "why"),
    [
        (pickle.dumps({"track_bboxes": [Program()]}), "it wants to run builtins.print"),
        (pickle.dumps({"boxes": []}), "not results of mmtracking"),
        (pickle.dumps({"track_bboxes": [np.zeros(4)]}), "row 1 is neither a box"),
        (pickle.dumps({"track_bboxes": [np.array([7.0, 1])]}), "row 1 is neither a box"),
        (pickle.dumps({"track_bboxes": [np.zeros(5)] * 3}), "3 rows for the 399 frames"),
        (as_pickle([truth(399)])[:-3000], "not results of mmtracking"),
        (b"", "not results of mmtracking"),
    ],
)
def test_what_is_not_mmtrackings(otb, tmp_path, damaged, why, capsys):
    write(tmp_path / "r", {"mine.pkl": damaged})
    with pytest.raises(UserError, match=why):
        score(otb, tmp_path / "r")
    assert "ran" not in capsys.readouterr().out


# --- LaSOT: folders by class, its toolkit's annotations and folder names


@pytest.fixture
def lasot_toolkit(tmp_path):
    boxes = truth(20)
    write(
        tmp_path / "LaSOT_Evaluation_Toolkit/annos",
        {
            "airplane-1.txt": rows(boxes, form="{:.0f}"),
            "absent/airplane-1.txt": "0\n" * 15 + "1\n" * 5,
            "att/airplane-1.txt": "0,1,0,0,0,1,0,0,1,0,0,0,1,0\n",
        },
    )
    return tmp_path / "LaSOT_Evaluation_Toolkit"


@pytest.mark.parametrize("below", ["", "annos"])
def test_lasot_toolkit(lasot_toolkit, tmp_path, below):
    """Before: `--data_root=LaSOT_Evaluation_Toolkit` gave "LaSOT was not found"."""
    loaded = registry.load("LaSOT", lasot_toolkit / below, images=False)
    assert [s.name for s in loaded.sequences] == ["airplane-1"]
    (airplane,) = loaded.sequences
    assert airplane.attributes == ("POC", "ROT", "SV", "LR")
    write(lasot_toolkit, {"tracking_results/ECO_tracking_result/airplane-1.txt": rows(truth(20))})
    scores = score(loaded, lasot_toolkit / "tracking_results")
    # five of twenty frames are absent: left out, but in the divisor
    assert scores.trackers["ECO"]["success_auc"] == pytest.approx(PERFECT * 15 / 20)
    assert scores.assumptions == []


def test_lasot_by_class_folders(lasot_toolkit, tmp_path):
    loaded = registry.load("LaSOT", lasot_toolkit, images=False)
    write(tmp_path / "r/mine", {"airplane/airplane-1.txt": rows(truth(20))})
    for place in ("r", "r/mine"):
        scores = score(loaded, tmp_path / place)
        assert [*scores.trackers] == ["mine"]
        assert scores.trackers["mine"]["success_auc"] == pytest.approx(PERFECT * 15 / 20)


def test_lasot_without_absent_frames_says_so(lasot_toolkit, tmp_path):
    """Before: precision .505 became .519 without a word."""
    (lasot_toolkit / "annos/absent/airplane-1.txt").unlink()
    loaded = registry.load("LaSOT", lasot_toolkit, images=False)
    write(tmp_path / "r/mine", {"airplane-1.txt": rows(truth(20))})
    scores = score(loaded, tmp_path / "r")
    assert scores.trackers["mine"]["success_auc"] == pytest.approx(PERFECT)
    expected = "no files of occlusion and view: frames without the target are scored as all others"
    assert scores.assumptions == [expected]
    assert f"assumed: {expected}" in report.terminal(scores)
    assert f"assumed: {expected}" in report.markdown(scores)
    saved = scores.to_dict()
    assert saved["assumptions"] == [expected]
    assert saved["schema"] == scoring.SCHEMA


def test_got10k_without_cover_says_so(tmp_path):
    loaded = got10k(tmp_path)
    (tmp_path / f"got/val/{LONG}/cover.label").unlink()
    loaded = registry.load("GOT-10k-val", tmp_path / "got", images=False)
    write(tmp_path / "r/a", {f"{LONG}/{LONG}_001.txt": rows(truth(20))})
    (assumed,) = score(loaded, tmp_path / "r").assumptions
    assert assumed == "no cover.label: frames without the target are scored as others"


# --- VOT: text and binary files of vot-toolkit, PySOT's, long-term scores


@pytest.fixture
def vot(tmp_path):
    return benchmark(tmp_path, "VOT2018", {"bag": truth(20), "ball1": truth(20)})


def binary(regions):
    """vot-toolkit's form: version and count, then kind and numbers per frame, little-endian."""
    parts = [struct.pack("<hI", 1, len(regions))]
    for region in regions:
        if isinstance(region, int):
            parts.append(struct.pack("<BI", 0, region))
        elif len(region) == 4:
            parts.append(struct.pack("<B4f", 1, *region))
        else:
            parts.append(struct.pack("<BH", 2, len(region) // 2))
            parts.append(struct.pack(f"<{len(region)}f", *region))
    return b"".join(parts)


def test_corners_with_decimal_commas(tmp_path):
    path = tmp_path / "a_001.txt"
    path.write_text("1\n" + " ".join(f"{i},5" for i in range(8)) + "\n")
    regions, codes = vot_toolkit._text(path)
    assert codes.tolist() == [START, REGION]
    np.testing.assert_array_equal(regions[1], np.arange(8) + 0.5)


def test_vot_toolkit_binary(vot, tmp_path):
    """Before: "no results of these sequences in it"."""
    boxes = [1, *map(tuple, truth(20)[1:].tolist())]
    x, y, w, h = truth(20)[3].tolist()
    boxes[3] = (x, y, x + w, y, x + w, y + h, x, y + h)  # a polygon among boxes
    for name in ("bag", "ball1"):
        place = tmp_path / "ws/results/mine/baseline" / name
        write(
            place,
            {
                f"{name}_001.bin": binary(boxes),
                f"{name}_001_time.value": "\n" + "0.125\n" * 19,
            },
        )
    text = "1\n" + rows(truth(20)[1:], form="{:.4f}")
    write(place, {f"{name}_001.txt": text})  # the toolkit prefers the text
    scores = score(vot, tmp_path / "ws/results")
    assert scores.trackers["mine"]["accuracy"] == pytest.approx(1)
    assert scores.trackers["mine"]["lost"] == 0
    assert scores.trackers["mine"]["fps"] == pytest.approx(8)


@pytest.mark.parametrize(
    "data, message",
    [
        (binary([1, (1, 2, 3, 4)])[:-3], "not a whole file of vot-toolkit"),
        (struct.pack("<hIB", 1, 1, 3), "frame 1 holds a mask"),
        (struct.pack("<hIB", 1, 1, 9), "frame 1 holds a region of kind 9"),
        (binary([(1, 2, 3, 4, 5, 6)]), "polygons of other than four corners"),
        (b"", "not a whole file"),
        (struct.pack("<hIBI", 1, 1, 0, 1 << 30), "holds the code 1073741824, not 0, 1 or 2"),
    ],
)
def test_binary_files_that_cannot_be_scored(vot, tmp_path, data, message):
    write(tmp_path / "r/a/baseline/bag", {"bag_001.bin": data})
    with pytest.raises(UserError, match=message):
        score(vot, tmp_path / "r")


def test_masks_in_text_are_named(vot, tmp_path):
    write(tmp_path / "r/a/baseline/bag", {"bag_001.txt": "1\nm0,0,3,3,1,2,3\n"})
    with pytest.raises(UserError, match=r"bag_001\.txt:2: a region of 4 or 8 numbers or a code"):
        score(vot, tmp_path / "r")


def longterm(tmp_path):
    return benchmark(tmp_path, "VOT2018-LT", {"bag": truth(6)})


def test_longterm_scores(tmp_path):
    loaded = longterm(tmp_path)
    place = tmp_path / "r/a/longterm/bag"
    regions = "1\n" + rows(truth(6)[1:])
    write(place, {"bag_001.txt": regions, "bag_001_confidence.value": "\n0.9\n.8\nnan\n.7\n.6\n"})
    scores = score(loaded, tmp_path / "r")
    # five boxes of six visible frames, one of which has no score
    assert scores.trackers["a"]["precision"] == pytest.approx(1)
    assert scores.trackers["a"]["recall"] == pytest.approx(4 / 6)
    assert scores.problems[0].endswith("row 4 without a score: score 0")


@pytest.mark.parametrize("texts", [{}, {"bag_001_confidence.value": "\n"}])
def test_longterm_without_scores_is_sure_and_said(tmp_path, texts):
    """SiamTrackers' NanoTrack writes one empty line for all frames."""
    loaded = longterm(tmp_path)
    place = tmp_path / "r/a/longterm/bag"
    write(place, {"bag_001.txt": "1\n" + rows(truth(6)[1:])} | texts)
    scores = score(loaded, tmp_path / "r")
    assert scores.trackers["a"]["recall"] == pytest.approx(5 / 6)
    assert "no scores, so all are 1" in scores.problems[0]


# --- TrackingNet: flat files, whose truth the server has


def test_trackingnet_archives(tmp_path):
    data = tmp_path / "TrackingNet/TEST"
    write(data, {"anno/abc.txt": "10,12,40,30\n", **{f"frames/abc/{i}.jpg": "" for i in range(5)}})
    loaded = registry.load("TrackingNet", tmp_path / "TrackingNet", images=False)
    with zipfile.ZipFile(tmp_path / "mine.zip", "w") as archive:
        archive.writestr("abc.txt", rows(truth(5), form="{:.4f}"))
    scores = score(loaded, tmp_path / "mine.zip")
    assert scores.sequences == (1, 511)
    assert "no public ground truth" in scores.overlap


# --- files that do not fit


def test_all_problems_of_all_files_are_listed(otb, tmp_path):
    """Before: one file per attempt."""
    write(tmp_path / "r/a", {"Jogging.1.txt": rows(truth(19)), "Human4.2.txt": "1,2,3\n"})
    write(tmp_path / "r/b", {"Jogging.1.txt": "1,2,x,4\n", "Human4.2.txt": rows(truth(30))})
    with pytest.raises(UserError) as caught:
        score(otb, tmp_path / "r", length="strict")
    lines = str(caught.value).splitlines()
    assert lines[0] == "3 result files cannot be scored:"
    for text in ("Jogging.1.txt: 19 rows for 20", "Human4.2.txt:1: 3 numbers", "'x' is not a"):
        assert text in str(caught.value)
    with pytest.raises(UserError, match="--length=longest: choose one of pad, cut, strict"):
        score(otb, tmp_path / "r", length="longest")


def test_files_of_another_length(otb, tmp_path):
    """Before: `eval` scored nothing: "19 rows for 20 frames of Jogging.1"."""
    write(tmp_path / "r/a", {"Jogging.1.txt": rows(truth(15)), "Human4.2.txt": rows(truth(31))})
    write(tmp_path / "r/b", {"Jogging.1.txt": rows(truth(20)), "Human4.2.txt": rows(truth(30))})
    padded = score(otb, tmp_path / "r")
    assert padded.per_sequence["a"]["Jogging.1"]["success_auc"] == pytest.approx(PERFECT * 15 / 20)
    assert padded.per_sequence["a"]["Human4.2"]["success_auc"] == pytest.approx(PERFECT)
    assert padded.assumptions == [
        "2 result files of another length than the sequence: rows after the last frame are left"
        " out, missing rows are misses"
    ]
    assert [problem.rpartition("/")[2] for problem in padded.problems] == [
        "Human4.2.txt: 31 rows for 30 frames: the last 1 are left out",
        "Jogging.1.txt: 15 rows for 20 frames: the 5 missing at the end are misses",
    ]
    cut = score(otb, tmp_path / "r", length="cut")
    for tracker in "ab":
        row = cut.per_sequence[tracker]["Jogging.1"]
        assert row["success_auc"] == pytest.approx(PERFECT)


def test_rows_without_a_region_are_named(otb, tmp_path):
    boxes = truth(20)
    boxes[[2, 3, 4, 9]] = [[np.nan] * 4, [1, 2, np.inf, 4], [0, 0, 0, 0], [5, 5, 0, 9]]
    write(tmp_path / "r/a", {"Jogging.1.txt": rows(boxes)})
    scores = score(otb, tmp_path / "r")
    assert scores.trackers["a"]["success_auc"] == pytest.approx(PERFECT * 16 / 20)
    assert scores.trackers["a"]["precision_20"] == pytest.approx(16 / 20)
    assert scores.problems[0].endswith("Jogging.1.txt: rows 3-5, 10 without a region: misses")
    assert "found: " + scores.problems[0] in report.terminal(scores)


def test_sequences_and_folders_without_results_are_named(otb, tmp_path):
    """Before: neither was said on the terminal."""
    write(tmp_path / "r/a", {"Jogging.1.txt": rows(truth(20)), "Human4.2.txt": rows(truth(30))})
    write(tmp_path / "r/b", {"Jogging.1.txt": rows(truth(20)), "notes.txt": "none"})
    write(tmp_path / "r/c", {"notes.txt": "none"})
    text = report.terminal(score(otb, tmp_path / "r"))
    assert "not scored, no result of b: Human4.2" in text
    assert "not scored, no result of a, b: Tiger1" in text
    assert "no results in: c" in text


def test_a_first_row_that_is_not_the_truth_is_said(otb, tmp_path):
    """Before: a file that begins with corners lost .003 of success AUC without a word."""
    boxes = truth(20)
    boxes[0, 2:] += boxes[0, :2]
    write(tmp_path / "r/a", {"Jogging.1.txt": rows(boxes)})
    (assumed,) = score(otb, tmp_path / "r").assumptions
    assert assumed.startswith("1 result file whose first row is not the true box (the first: Jogg")
    assert score(otb, tmp_path / "r", convention="otb").assumptions == []
    write(tmp_path / "r/a", {"Jogging.1.txt": rows(truth(20) + 0.5)})
    assert score(otb, tmp_path / "r").assumptions == []


# --- annotation files


def test_tags_that_are_all_empty_are_scored(tmp_path):
    """Before: `eval --dataset=VOT2019` ended in an IndexError of the plots."""
    loaded = benchmark(tmp_path, "VOT2019", {"bag": truth(60)}, occlusion=[], camera_motion=[])
    write(tmp_path / "r/a/baseline/bag", {"bag_001.txt": "1\n" + rows(truth(60)[1:])})
    scores = score(loaded, tmp_path / "r")
    assert scores.trackers["a"]["accuracy"] == pytest.approx(1)
    assert scores.attributes["accuracy"]["empty"]["a"] == pytest.approx(1)


def test_sizes_that_are_missing_are_asked_for_or_taken_from_the_toolkit(tmp_path):
    """Before: "the images are not there; a tracker cannot be run on it"."""
    described = {name: {"gt_rect": truth(20).tolist()} for name in ("bag", "ball1")}
    write(tmp_path / "data", {"VOT2018.json": json.dumps(described)})
    loaded = registry.load("VOT2018", tmp_path / "data", images=False)
    for name in described:
        text = "1\n" + rows(truth(20)[1:])
        write(tmp_path / "r/a/baseline" / name, {f"{name}_001.txt": text})
    with pytest.raises(UserError, match="VOT2018: 'width' and 'height' of 2 sequences are not kno"):
        score(loaded, tmp_path / "r")
    # the official toolkit's own file beside the annotations
    for name in described:
        write(tmp_path / "data" / name, {"sequence": "name=bag\nwidth=400\nheight=300\n"})
    loaded = registry.load("VOT2018", tmp_path / "data", images=False)
    assert score(loaded, tmp_path / "r").trackers["a"]["accuracy"] == pytest.approx(1)
    one_pass = runner.with_protocol(loaded, "ope")
    write(tmp_path / "flat/a", {f"{name}.txt": rows(truth(20)) for name in described})
    assert score(one_pass, tmp_path / "flat").trackers["a"]["success_auc"] == pytest.approx(PERFECT)
