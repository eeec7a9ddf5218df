"""One layout of own videos, whatever the labels; what is written never replaces what is read."""

import json
import subprocess
import sys
from collections import Counter

import cv2
import numpy as np
import pytest

from data_prep.folder import Folder
from siamjax.cli import dispatch
from siamjax.data.index import Index
from siamjax.datasets import registry
from siamjax.errors import UserError
from siamjax.measures import ope
from siamjax.media import decoded, labels
from siamjax.media.labels import Shape, Video, track
from siamjax.media.labels.check import faults
from siamjax.media.tracks import Row, Tracks
from siamjax.synthetic import SyntheticVideo

from .test_formats import BOX, CVAT, cvat, image, put, rows, shape, studio


def film(path, count=5, size=(64, 48)):
    """A video whose frame i has the value 40 * i."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, size)
    for i in range(count):
        writer.write(np.full((size[1], size[0], 3), 40 * i % 256, np.uint8))
    writer.release()
    return path


def pictures(folder, count=5, name="{:04d}.jpg"):
    for i in range(count):
        image(folder / name.format(i), value=40 * i)


@pytest.fixture
def mine(tmp_path):
    """A video for each way to have labels; the box of frame i begins at x = 5 + i."""
    root = tmp_path / "mine"
    root.mkdir()
    lines = [f"{5 + i},5,20,20\n" for i in range(5)]
    film(root / "beside.avi")
    cvat(root / "beside.xml", [(0, 0, 5), (4, 0, 9)], more="<stop_frame>4</stop_frame>")
    pictures(root / "frames")
    put(root / "frames.txt", "".join(lines))
    pictures(root / "inside", name="{}.jpg")
    put(root / "inside" / "groundtruth.txt", "".join(lines))
    put(root / "inside" / "notes.txt", "what I thought")
    pictures(root / "deeper" / "img")
    put(
        root / "deeper" / "boxes.csv",
        "frame,x,y,w,h\n" + "".join(f"{i},{r}" for i, r in enumerate(lines)),
    )
    pictures(root / "each")
    for i in range(5):
        box = shape([[5 + i, 5], [25 + i, 25]], label="cat")
        put(root / "each" / f"{i:04d}.json", {"shapes": [box], "imageWidth": 64, "imageHeight": 48})
    pictures(root / "mot" / "img1", name="{:06d}.jpg")
    put(root / "mot" / "gt" / "gt.txt", "".join(f"{i + 1},1,{6 + i},6,20,20,1\n" for i in range(5)))
    film(root / "shared.avi")
    task = studio([{"frame": 1 + i, "enabled": True, "x": (5 + i) / 0.64, "y": 5 / 0.48,
                    "width": 20 / 0.64, "height": 20 / 0.48} for i in range(5)], 5, 0.5,
                  "/data/upload/1/0a1b2c3d-shared.avi")  # fmt: skip
    del task[0]["annotations"][0]["result"][0]["original_width"]
    put(root / "export.json", task)
    put(root / ".DS_Store", "hidden")
    put(root / "._frames.txt", "hidden")
    return root


NAMES = ["beside", "deeper", "each", "frames", "inside", "mot", "shared"]


def test_labels_of_every_kind_are_found(mine):
    videos = labels.read(mine)
    assert [video.name for video in videos] == NAMES
    for video in videos:
        assert len(video.tracks) == 1, video.name
        size = [2, 10, 10] if video.name == "beside" else [5, 20, 20]
        expected = {i: [5 + i, *size] for i in range(5)}
        assert rows(video.tracks[0]) == expected, video.name
        middle = video.frames()[3].mean()
        assert middle == pytest.approx(120, abs=3), video.name


def test_the_layout_serves_training_and_evaluation(mine, tmp_path):
    """Before: `python -m data_prep.folder` wanted TensorFlow ("apache_beam is not installed"), and
    of these layouts knew `frames.txt` alone; `--dataset=folder` knew `inside` alone ("0 text files;
    put the boxes, a row x,y,w,h per frame, into groundtruth.txt")."""
    dispatch(["prepare", "folder", f"--source={mine}", f"--out={tmp_path / 'set'}", "--crop=127"])
    index = Index(tmp_path / "set")
    assert [index.video_name(i) for i in range(index.videos)] == NAMES
    assert index.crops == 5 * len(NAMES)
    assert index.manifest["skipped"] == {}
    assert index.manifest["categories"] == {"": 4, "ball": 1, "car": 1, "cat": 1}
    names = {index.video_name(i): index.track_name(i) for i in range(index.tracks)}
    assert names["shared"] == "Bo"
    benchmark = registry.load("folder", mine)
    assert [sequence.name for sequence in benchmark.sequences] == NAMES
    assert benchmark.left_out == {}
    for sequence in benchmark.sequences:
        np.testing.assert_allclose(sequence.boxes[:, 0], 5 + np.arange(5), atol=1e-9)
        assert sequence.frames[4].mean() == pytest.approx(160, abs=3)
        assert sequence.frames[1].mean() == pytest.approx(40, abs=3)


def test_a_target_is_a_sequence_from_its_first_box_on(tmp_path):
    film(tmp_path / "a.avi", 10)
    cvat(tmp_path / "a.xml", [(1, 0, 5), (3, 1, 5)], [(2, 0, 7), (3, 1, 7), (4, 0, 9)])
    first, second = registry.load("folder", tmp_path).sequences
    assert [first.name, second.name] == ["a.0", "a.1"]
    assert len(first) == len(first.boxes) == 2
    assert first.frames[0].mean() == pytest.approx(40, abs=3)
    assert np.isnan(second.boxes).all(1).tolist() == [False, True] + [False] * 6
    assert second.labelled.tolist() == [True, False] + [True] * 6


def test_frames_without_a_label_are_not_scored(tmp_path):
    """Before: `siamjax eval --dataset=folder --baselines=static` counted frames whose row is NaN as
    misses of every tracker: success AUC 0.571 for boxes that are right wherever there are labels.
    """
    pictures(tmp_path / "a")
    put(tmp_path / "a" / "groundtruth.txt", "5,5,20,20\n\nnan,nan,nan,nan\n5,5,20,20\n5,5,20,20\n")
    (sequence,) = registry.load("folder", tmp_path).sequences
    curves = ope.of_run(sequence, np.tile([5.0, 5, 20, 20], (5, 1)))
    assert ope.summary(curves)["success_auc"] == pytest.approx(20 / 21)  # thresholds
    curves = ope.of_run(sequence, np.tile([5.0, 5, 20, 20], (5, 1)) + [[40, 0, 0, 0]], missing=2)
    assert ope.summary(curves)["success_auc"] == 0
    assert sequence.notes == ("a: 2 of 5 frames without a label, not scored",)
    assert sequence.first(2).labelled.tolist() == [True, False]


def test_a_faulty_video_leaves_the_others_alone_in_evaluation(mine, tmp_path):
    put(mine / "frames.txt", "1,2,3,4\n" * 3)
    benchmark = registry.load("folder", mine)
    assert len(benchmark.sequences) == len(NAMES) - 1
    assert "3 rows for 5 images" in benchmark.left_out["frames"]
    with pytest.raises(UserError, match=r"frames\.txt: 3 rows for 5 images in .*frames; restore"):
        dispatch(["prepare", "folder", f"--source={mine}", f"--out={tmp_path / 'set'}"])
    assert not (tmp_path / "set").exists()


def test_what_may_be_meant_twice_is_refused(tmp_path):
    film(tmp_path / "a.avi")
    put(tmp_path / "a.csv", "frame,x,y,w,h\n0,1,2,3,4\n")
    cvat(tmp_path / "a.xml", [(0, 0, 5)])
    with pytest.raises(UserError, match=r"a\.xml: a has other labels in .*a\.csv; leave one"):
        labels.read(tmp_path)
    (tmp_path / "a.xml").unlink()
    film(tmp_path / "a.mkv.avi").rename(tmp_path / "a.mkv")
    with pytest.raises(UserError, match="two videos are called a; rename one"):
        labels.read(tmp_path)
    pictures(tmp_path / "b" / "c")
    for name in ("x.txt", "y.txt"):
        put(tmp_path / "b" / "c" / name, "1,2,3,4\n" * 5)
    with pytest.raises(UserError, match=r"c: 2 files may hold the labels \(x\.txt, y\.txt\); call"):
        labels.read(tmp_path / "b")


def test_labels_without_their_video(tmp_path):
    film(tmp_path / "a.avi")
    put(tmp_path / "b.csv", "frame,x,y,w,h\n0,1,2,3,4\n")
    with pytest.raises(UserError, match=r"b\.csv: boxes of a video b, but .* found a"):
        labels.read(tmp_path)
    with pytest.raises(UserError, match="no video in it; expected are videos, or folders of"):
        labels.read(put(tmp_path / "empty" / "readme.md", "").parent)


def test_one_target_of_a_label_that_no_frame_has_twice(tmp_path):
    """In a folder that is a video a label is an identity where it can be; pictures have none."""
    pictures(tmp_path / "v", 3)
    for i, shapes in enumerate(("cat dog", "cat", "cat dog dog")):
        made = [
            shape([[k, 5], [k + 9 + i, 25]], label=label) for k, label in enumerate(shapes.split())
        ]
        put(tmp_path / "v" / f"{i:04d}.json", {"shapes": made})
    (video,) = labels.read(tmp_path)
    assert len(labels.read(tmp_path / "v")) == 3
    assert {each.id: len(each) for each in video.tracks} == {
        "cat": 3,
        "dog 0": 1,
        "dog 1": 1,
        "dog 2": 1,
    }


def test_names_of_other_scripts(tmp_path):
    film(tmp_path / "кошка 猫.avi")
    video = Video("кошка 猫", [track("1", [Shape(0, (1, 2, 30, 20))], "Мурка", "猫")])
    put(tmp_path / "кошка 猫.json", next(iter(labels.contents([video], "json").values())))
    (back,) = labels.read(tmp_path)
    assert (back.name, back.tracks[0].name, back.tracks[0].category) == ("кошка 猫", "Мурка", "猫")
    (sequence,) = registry.load("folder", tmp_path).sequences
    assert sequence.name == "кошка 猫"


# --- what is written


def test_no_output_replaces_an_input(mine, tmp_path):
    before = {path: path.read_bytes() for path in mine.rglob("*") if path.is_file()}
    videos = [video for video in labels.read(mine) if video.name in ("beside", "frames")]
    with pytest.raises(UserError, match=r"would replace .*beside\.xml, an input; choose another"):
        labels.write(videos, "cvat", mine)
    with pytest.raises(UserError, match=r"would replace .*frames\.txt, an input"):
        dispatch(["labels", str(mine / "frames.txt"), "--to=txt", f"--out={mine / 'frames.txt'}"])
    assert {p: p.read_bytes() for p in mine.rglob("*") if p.is_file()} == before
    # before: the file that was written was read in the place of the labels from then on
    with pytest.raises(UserError, match=r"mine: the labels that are read lie there"):
        dispatch(["labels", str(mine), "--to=coco", f"--out={mine}"])
    assert {p: p.read_bytes() for p in mine.rglob("*") if p.is_file()} == before
    labels.write(videos, "csv", tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["beside.csv", "frames.csv"]


@pytest.mark.parametrize(
    ("name", "out", "message"),
    [
        ("coco", "README.md", r"README\.md: coco is written as a \.json file, or in a folder"),
        ("cvat", "notes.txt", "cvat is written as a .xml file"),
        ("mot", "gt.txt", r"gt\.txt exists already; move it away"),
        ("csv", "corrected.csv", r"corrected\.csv exists already; move it away"),
    ],
)
def test_no_output_replaces_another_file(mine, tmp_path, monkeypatch, name, out, message):
    """Before: `--out=README.md` replaced that file by JSON."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / out).write_text("precious")
    with pytest.raises(UserError, match=message):
        dispatch(["labels", str(mine / "frames.txt"), f"--to={name}", f"--out={out}"])
    assert (tmp_path / out).read_text() == "precious"


def test_frames_of_an_earlier_call_are_not_replaced(mine, tmp_path):
    """As labels are not."""
    (video,) = (video for video in labels.read(mine) if video.name == "frames")
    picture, *_ = labels.write([video], "coco", tmp_path / "first", images=True)[1:]
    (tmp_path / "out" / picture.relative_to(tmp_path / "first")).parent.mkdir(parents=True)
    (tmp_path / "out" / picture.relative_to(tmp_path / "first")).write_text("precious")
    with pytest.raises(UserError, match=rf"{picture.name} exists already; move it away"):
        labels.write([video], "coco", tmp_path / "out", images=True)


def test_labels_of_no_video_are_an_empty_file(tmp_path):
    """Before: IndexError."""
    labels.write([], "csv", tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text() == ""


def test_two_videos_of_one_name_are_refused(tmp_path):
    one = Video("a", [track("1", [Shape(0, (1, 2, 3, 4))])])
    with pytest.raises(UserError, match="two videos are called a; rename one"):
        labels.write([one, one], "csv", tmp_path)
    with pytest.raises(UserError, match="csv makes 2 files; name a folder"):
        labels.write([one, one.replace(name="b")], "csv", tmp_path / "x.csv")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["txt", "vot"])
def test_formats_of_one_target_say_so(tmp_path, name):
    shapes = [Shape(0, (1, 2, 3, 4))]
    video = Video("a", [track("1", shapes), track("2", shapes)], stated_size=(64, 48))
    with pytest.raises(UserError, match=r"a: 2 targets, and .* one; write c"):
        labels.write([video], name, tmp_path)


def test_the_size_of_the_frames_is_asked_for(tmp_path):
    video = Video("a", [track("1", [Shape(0, (1, 2, 3, 4))])])
    with pytest.raises(UserError, match="give their folder as --media=FOLDER"):
        labels.write([video], "yolo", tmp_path)


# --- the command


def test_the_command_says_what_is_there(mine, capsys):
    dispatch(["labels", str(mine)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "7 videos, 7 targets, 35 boxes (1 car, 1 cat, 1 ball, 4 without a category)"
    assert "  Bo: frames 0..4, 5 boxes" in lines
    assert lines[-1] == "nothing looks wrong"


def test_the_command_converts(mine, tmp_path, capsys):
    out = tmp_path / "out.json"
    dispatch(["labels", str(mine / "beside.xml"), "--to=coco", f"--out={out}"])
    assert capsys.readouterr().out == f"1 video, 1 target, 5 boxes (1 car) -> 1 file, {out}\n"
    assert [a["bbox"][0] for a in json.loads(out.read_text())["annotations"]] == [5, 6, 7, 8, 9]


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--to=csv"], "--to and --out: give both"),
        (["--to=pdf", "--out=x"], "pdf: no such label format; choose one of csv, json, cvat,"),
        (["--to=masks", "--out=x"], "--to=masks: this format is read only; choose one of csv,"),
        (["--media=nowhere"], "--media=nowhere: no such file or folder"),
        (["--from=pdf"], "pdf: no such label format"),
    ],
)
def test_the_command_refuses(mine, flags, message):
    with pytest.raises(UserError, match=message):
        dispatch(["labels", str(mine / "beside.xml"), *flags])


def test_what_looks_wrong_is_named(tmp_path):
    boxes = {0: (5, 5, 10, 10), 1: (6, 5, 10, 10), 2: (600, 5, 10, 10), 3: (60, 40, 20, 30)}
    boxes |= {4: (50, 40, 0, 5), 5: (5, 5, 0.5, 9), 9: (5, 5, 10, 10)}
    each = track("1", [Shape(frame, box) for frame, box in boxes.items()], "Bo")
    video = Video("a", [each], stated_size=(64, 48), length=8)
    found = faults(video)
    expected = [
        "frame 9 has a box, but there are 8 frames",
        "frame 4: the box is empty or inverted",
        "frame 5: the box is a pixel wide or high",
        "frame 2: the box is outside of the frame",
        "frame 3: more than half of the box is outside of the frame",
        "frame 2 and 2 more: the box jumps; is it another target?",
    ]
    for line in expected:
        assert sum(line in fault for fault in found) == 1, line
    good = track("1", [Shape(i, (5 + i, 5, 10, 10)) for i in range(4)])
    images = [image(tmp_path / f"{i}.png") for i in range(4)]
    assert faults(Video("a", [good], images=images)) == []
    assert faults(Video("a", [])) == ["a: no labels"]


def test_boxes_of_a_project_are_not_mixed(tmp_path):
    """Two tracks of one id, as in files that were put together by hand."""
    inner = "".join(
        f'<track id="0" label="x">{BOX.format(0, 0, x, x + 10)}</track>' for x in (1, 30)
    )
    path = put(tmp_path / "a.xml", CVAT.format(tracks=inner, more="<stop_frame>0</stop_frame>"))
    (video,) = labels.read(path)
    assert [rows(each)[0][0] for each in video.tracks] == [1, 30]
    assert len({each.id for each in video.tracks}) == 2


@pytest.mark.parametrize(
    "name, place",
    [
        ("yolo", "images/beside/000003.jpg"),
        ("motchallenge", "beside/img1/000004.jpg"),
        ("vot", "beside/color/00000004.jpg"),
        ("csv", "beside/000003.jpg"),
    ],
)
def test_frames_are_written_where_the_format_expects_them(mine, tmp_path, name, place):
    """A set that other programs open, and that is read back without its first media."""
    source = mine / "beside.xml"
    out = tmp_path / "out"
    dispatch(["labels", str(source), f"--to={name}", f"--out={out}", "--images"])
    assert cv2.imread(str(out / place)).mean() == pytest.approx(120, abs=3)
    back = labels.read(out)
    assert sum(video.boxes for video in back) == 5
    assert all(video.has_frames for video in back)


def test_frames_of_folders_are_copied_as_they_are(mine, tmp_path):
    (video,) = (video for video in labels.read(mine) if video.name == "frames")
    labels.write([video], "coco", tmp_path / "out", images=True)
    copy = tmp_path / "out" / "images" / "frames" / "0002.jpg"
    assert copy.read_bytes() == (mine / "frames" / "0002.jpg").read_bytes()
    before = copy.read_bytes()
    with pytest.raises(UserError, match=r"would replace .*frames/0000\.jpg, an input"):
        labels.write([video], "csv", mine, images=True)
    assert not (mine / "frames.csv").exists()
    assert copy.read_bytes() == before
    with pytest.raises(UserError, match="--images: needs a folder as --out"):
        labels.write([video], "csv", tmp_path / "x.csv", images=True)


@pytest.mark.parametrize("name", ["csv", "json", "txt", "mot"])
def test_what_track_writes_is_read_as_labels(tmp_path, name):
    """Before: `siamjax track --mot=v.mot` read back by `python -m data_prep.folder` gave boxes one
    pixel to the lower right, `--csv` "its first line must be frame,track,left,top,width,height",
    and `--json` was no file with labels."""
    boxes = [(10.0, 20.0, 8.0, 6.0), (10.25, 20.5, 8.0, 6.0)]
    tracked = [Row(i, 0, *box, 0.75, 0.0, False) for i, box in enumerate(boxes)]
    tracks = Tracks(tracked, boxes[:1], "v", 25.0, "small.npz")
    pictures(tmp_path / "v", 2)
    put(tmp_path / f"v.{name}", labels.text(name, tracks))
    source = Folder(tmp_path)
    (video,) = source.videos()
    found = [target.box for target in source.targets(video, Counter())]
    np.testing.assert_allclose(found, [(x, y, x + w, y + h) for x, y, w, h in boxes], atol=1e-9)


@pytest.mark.parametrize("name", ["../out", "/tmp/out", "a/../../out"])
def test_names_do_not_lead_out_of_the_output(tmp_path, name):
    video = Video(name, [track("1", [Shape(0, (1, 2, 3, 4))])])
    with pytest.raises(UserError, match="leads out of it; rename"):
        labels.write([video], "csv", tmp_path / "in")
    assert not (tmp_path / "in").exists()


def test_names_that_are_no_text(tmp_path):
    """Bytes that are not UTF-8, and characters that XML does not have."""
    video = Video("caf\udce9", [track("1", [Shape(0, (1, 2, 3, 4))], "a\x00\x0bb<&>")])
    video = video.replace(stated_size=(64, 48))
    for name in labels.writable():
        made = labels.write([video], name, tmp_path / name)
        assert all("caf\udce9" not in str(path) for path in made), name
    (back,) = labels.read(tmp_path / "cvat")[0].tracks  # a folder of labels alone
    assert back.name == "a\ufffd\ufffdb<&>"
    (back,) = labels.read(tmp_path / "json" / "caf_.json")[0].tracks
    assert back.name == "a\x00\x0bb<&>"


def test_videos_without_labels_are_named(tmp_path, capsys):
    film(tmp_path / "mine.avi")
    film(tmp_path / "other.avi")
    put(tmp_path / "mine.csv", "frame,x,y,w,h\n0,1,2,30,40\n")
    out = tmp_path / "set"
    dispatch(
        ["prepare", "folder", f"--source={tmp_path}", f"--out={out}", "--crop=31", "--exemplar=7"]
    )
    assert "videos without labels: 1, the first: other" in capsys.readouterr().out
    benchmark = registry.load("folder", tmp_path)
    assert "no labels of other" in benchmark.left_out["other"]


def test_a_check_names_videos_without_labels_and_counts_files_and_frames(tmp_path, capsys):
    """Before: `python -m data_prep folder --check` said "nothing is missing", and counted a video
    file and five frames as six images."""
    film(tmp_path / "mine.avi")
    pictures(tmp_path / "frames")
    for name in ("mine", "frames"):
        put(
            tmp_path / f"{name}.csv",
            "frame,x,y,w,h\n" + "".join(f"{i},1,2,30,40\n" for i in range(5)),
        )
    check = ["prepare", "folder", f"--source={tmp_path}", "--check"]
    dispatch(check)
    lines = capsys.readouterr().out.splitlines()
    assert "  images: 5" in lines
    assert "  video files: 1" in lines
    assert lines[-1] == "  nothing is missing"
    film(tmp_path / "other.avi")
    dispatch(check)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "  videos without labels: 1, the first: other"


def test_counts_of_categories_sum_to_the_targets(tmp_path, capsys):
    """Before: "5 videos, 5 targets, ... (2 object, 1 couple)", and "1 boxes"."""
    film(tmp_path / "film.avi", 1)
    rows = [(0, "a", "object"), (0, "b", "object"), (0, "c", "couple"), (0, "d", ""), (0, "e", "")]
    lines = [f"{frame},{target},1,2,30,40,{category}\n" for frame, target, category in rows]
    put(tmp_path / "film.csv", "frame,target,x,y,w,h,category\n" + "".join(lines))
    dispatch(["labels", str(tmp_path)])
    lines = capsys.readouterr().out.splitlines()
    counts = "(2 object, 1 couple, 2 without a category)"
    assert lines[0] == f"1 video, 5 targets, 5 boxes {counts}"
    assert lines[1] == "film: 1 frame"
    assert lines[2].endswith("frames 0..0, 1 box")


def test_a_folder_that_has_nothing_to_do_with_it_is_not_taken(tmp_path, monkeypatch):
    """Without --data_root a folder ./data is looked into."""
    put(tmp_path / "data" / "vid" / "index" / "frame.npy", "")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="folder was not found; give its folder as --data_root=DIR"):
        registry.load("folder")


def test_what_render_writes_is_read_from_1(tmp_path):
    """Before: `siamjax eval --dataset=folder` on what `siamjax render --out=r --length=3` wrote
    took 124.3683,105.5876 for the first box, one pixel to the lower right of where the target is.
    """
    dispatch(["render", f"--out={tmp_path / 'r'}", "--length=3", "--size=160x160"])
    truth = SyntheticVideo(0, 3, 160, 160, "test").boxes[0]
    (video,) = labels.read(tmp_path / "r")
    np.testing.assert_allclose(video.tracks[0].boxes, truth, atol=1e-4)
    (sequence,) = registry.load("folder", tmp_path / "r").sequences
    np.testing.assert_allclose(sequence.boxes, truth, atol=1e-4)


def test_a_look_says_what_cannot_be_read(mine, capsys):
    put(mine / "frames.txt", "1,2,3,4\n" * 3)
    put(mine / "beside.xml", "<annotations>")
    with pytest.raises(UserError, match=r"frames\.txt: 3 rows for 5 images"):
        dispatch(["labels", str(mine)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("5 videos")
    assert "nothing looks wrong" not in lines
    assert lines[-1].startswith(f"cannot be used: {mine / 'beside.xml'}: ")


def test_the_only_labels_cannot_be_read(tmp_path, capsys):
    """Before: "0 videos, 0 targets, 0 boxes", and exit code 0."""
    film(tmp_path / "a.avi")
    put(tmp_path / "a.json", '{"images": [')
    with pytest.raises(UserError, match=r"a\.json: not a JSON file .* export it again"):
        dispatch(["labels", str(tmp_path)])
    assert capsys.readouterr().out == ""
    command = [sys.executable, "-m", "siamjax", "labels", str(tmp_path)]
    assert subprocess.run(command, capture_output=True).returncode == 2


@pytest.mark.parametrize("count", [3, 7])
def test_rows_of_a_video_file_are_counted(mine, tmp_path, capsys, count):
    """Before: `siamjax labels` took 3 rows beside a file of 5 frames for 3 frames, and
    `siamjax eval` with 7 rows ended in a traceback."""
    put(mine / "film.txt", "5,5,20,20\n" * count)
    film(mine / "film.avi")
    with pytest.raises(UserError, match=rf"film\.txt: {count} rows for 5 frames in .*film\.avi;"):
        labels.read(mine)
    with pytest.raises(UserError, match=f"{count} rows for 5 frames"):
        dispatch(["labels", str(mine)])
    assert "nothing looks wrong" not in capsys.readouterr().out
    benchmark = registry.load("folder", mine)
    assert f"{count} rows for 5 frames" in benchmark.left_out["film"]
    put(mine / "film.txt", "5,5,20,20\n" * 5)
    assert {video.name: video.count for video in labels.read(mine)}["film"] == 5


def test_a_container_that_claims_another_number_is_counted(tmp_path, monkeypatch):
    claimed = property(lambda self: 9, lambda self, value: None)
    monkeypatch.setattr("siamjax.media.decoder.Decoder.announced", claimed, raising=False)
    film(tmp_path / "film.avi", 5)
    assert decoded.frame_count(tmp_path / "film.avi", 5) == 5
    assert decoded.frame_count(tmp_path / "film.avi", 6) == 5


def test_a_table_with_a_frame_behind_the_end_of_a_video_file(tmp_path):
    """Before: `siamjax eval` ended in a traceback, and `siamjax labels` found nothing."""
    film(tmp_path / "film.avi", 5)
    put(tmp_path / "film.csv", "frame,x,y,w,h\n0,5,5,20,20\n6,5,5,20,20\n")
    message = r"film\.csv: frame 6 of film .* has a box, but there are 5 fr"
    with pytest.raises(UserError, match=message):
        dispatch(["labels", str(tmp_path)])
    with pytest.raises(UserError, match=message):
        registry.load("folder", tmp_path)


def test_decomposed_names_of_macos_meet_composed_ones(tmp_path):
    """Before: `python -m data_prep.folder` said "boxes of a video Zoë, but there is nothing"."""
    decomposed, composed = "Zoe\u0308", "Zo\u00eb"
    film(tmp_path / f"{decomposed}.avi")
    put(tmp_path / f"{composed}.csv", "frame,x,y,w,h\n0,1,2,30,40\n")
    pictures(tmp_path / f"a{decomposed}", 2)
    put(tmp_path / f"a{decomposed}" / "groundtruth.txt", "1,2,3,4\n1,2,3,4\n")
    videos = labels.read(tmp_path)
    assert [(video.name, video.boxes) for video in videos] == [(composed, 1), (f"a{composed}", 2)]
    assert all(video.has_frames for video in videos)
    (video,) = labels.read(tmp_path / f"{composed}.csv")
    assert video.media == tmp_path / f"{decomposed}.avi"


def test_an_unpacked_export_beside_its_video(tmp_path):
    film(tmp_path / "bat.avi", 10)
    cvat(tmp_path / "bat" / "annotations.xml", [(0, 0, 5), (1, 1, 5)])
    (video,) = labels.read(tmp_path)
    assert (video.name, video.boxes, video.media) == ("bat", 1, tmp_path / "bat.avi")
