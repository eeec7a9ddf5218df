"""What `siamjax track` writes never replaces what it reads, or what else it writes."""

import csv
import json
import os
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest

from siamjax import files, media
from siamjax.commands.track_outputs import Outputs
from siamjax.errors import UserError
from siamjax.media import VideoWriter, labels, read_video
from siamjax.media.selection import Selection
from siamjax.media.source import Video
from siamjax.tracking import session, steps

BOX = "--box=40,50,30,24"


@pytest.fixture
def source(clip, tmp_path):
    """A video file in the folder that the command runs in."""
    with VideoWriter(tmp_path / "a.webm", 30) as writer:
        for frame in clip.frames:
            writer.write(frame)
    return tmp_path / "a.webm"


def table(path):
    with open(path) as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("flag", ["--out", "--csv", "--json", "--txt", "--mot", "--out_labels"])
@pytest.mark.parametrize("spelling", ["a.webm", "./x/../a.webm", "link.webm", "hard.webm"])
def test_no_output_replaces_the_video(track, source, flag, spelling):
    """Before: `siamjax track a.mp4 --box=... --out=a.mp4` gave '3 frames -> a.mp4' and exit code 0,
    and the source was the annotated video; `--csv=a.mp4` left the table in its place."""
    os.mkdir("x")
    os.symlink("a.webm", "link.webm")
    os.link("a.webm", "hard.webm")
    before = source.read_bytes()
    more = ["--labels=cvat"] if flag == "--out_labels" else []
    with pytest.raises(UserError, match=f"{flag}=.*webm: is the video; choose another place"):
        track("a.webm", BOX, f"{flag}={spelling}", *more)
    assert source.read_bytes() == before
    assert sorted(os.listdir()) == ["a.webm", "hard.webm", "link.webm", "x"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("--csv=x", "--json=x"),
        ("--csv=x", "--json=./x"),
        ("--mot=y/x", "--txt=link/x"),
        ("--csv=X", "--mot=x"),  # one file where the file system ignores case
        ("--csv=\u00e4", "--mot=a\u0308"),  # or how letters are composed
        ("--out=x.webm", "--csv=y/../x.webm"),
        ("--out=x.webm", "--out_labels=x.webm"),
        ("--csv=x", "--mot=x.rows.csv"),
    ],
)
def test_no_output_replaces_another(track, source, one, other):
    """Before: `--csv=x --json=x` gave '3 frames -> x, x', and the table was lost."""
    os.mkdir("y")
    os.symlink("y", "link")
    more = ["--labels=cvat"] if "labels" in other else []
    with pytest.raises(UserError, match="are one file; choose another place for one"):
        track("a.webm", BOX, one, other, *more)
    assert sorted(os.listdir()) == ["a.webm", "link", "y"]
    assert os.listdir("y") == []


def test_no_output_replaces_the_boxes_or_the_weights(track, source, checkpoint):
    """Before: `--box_file=b.txt --txt=b.txt` left the track in b.txt, and
    `--checkpoint=w.npz --csv=w.npz` a table in w.npz, both with exit code 0."""
    Path("b.txt").write_text("40,50,30,24\n")
    with pytest.raises(UserError, match=r"--txt=\./b\.txt: is --box_file; choose another place"):
        track("a.webm", "--box_file=b.txt", "--txt=./b.txt")
    assert Path("b.txt").read_text() == "40,50,30,24\n"
    before = checkpoint.read_bytes()
    with pytest.raises(UserError, match="is --checkpoint; choose another place"):
        track("a.webm", BOX, f"--csv={checkpoint}")
    assert checkpoint.read_bytes() == before


def test_no_output_replaces_a_frame(track, folder, tmp_path):
    """Before: `siamjax track frames --csv=frames/00000003.png` replaced that frame by the table."""
    shutil.copytree(folder, "frames")
    os.symlink("frames", "link")
    for place in ("frames/0003.png", "link/0003.png", "frames/new.jpg"):
        with pytest.raises(UserError, match=f"--csv={place}: a frame of the video"):
            track("frames", BOX, f"--csv={place}")
    assert len(os.listdir("frames")) == 12
    shutil.copytree(folder, "otb/img")
    with pytest.raises(UserError, match=r"--csv=otb/img/0003\.png: a frame of the video"):
        track("otb", BOX, "--csv=otb/img/0003.png")
    track("frames", BOX, "--frames=2", "--csv=frames/boxes.csv")  # beside them is a place
    assert len(table("frames/boxes.csv")) == 2


@pytest.mark.parametrize("flag", ["--out", "--record"])
def test_a_video_that_is_not_written_is_refused_first(source, tmp_path, flag):
    """Before: `siamjax track video.mp4 --out=out.mov` loaded the tracker, then refused."""
    made = Outputs(str(tmp_path / "out.mov") if flag == "--out" else None, {}, None)
    with pytest.raises(UserError, match=r"out\.mov: write to one of \.mp4, \.webm, \.mkv, \.avi"):
        made.check(str(source), {}, str(tmp_path / "out.mov") if flag == "--record" else None)


def test_pipes_and_devices_are_no_places(track, source):
    """Before: `mkfifo p; siamjax track ... --csv=p` replaced the pipe by a file; as root,
    `--csv=/dev/null` would have replaced the device of the whole machine."""
    os.mkfifo("p")
    for place in ("p", "/dev/null"):
        with pytest.raises(UserError, match=f"{place}: is a device or a pipe; name a file"):
            track("a.webm", BOX, f"--csv={place}")
    assert stat.S_ISFIFO(os.stat("p").st_mode)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_table_that_cannot_be_written_leaves_the_others(track, source):
    """Before: an error of the first table ended the command; the others were never written and
    what had been tracked was lost."""
    written = files.write_whole

    def fails(path, content):
        if str(path) == "a.csv":
            raise UserError("a.csv: no space left; free some and run again")
        return written(path, content)

    kept = r"a\.csv: no space left.*; 12 frames are kept in a\.csv\.rows\.csv, --resume continues"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "write_whole", fails)
        with pytest.raises(UserError, match=kept):
            track("a.webm", BOX, "--csv=a.csv", "--txt=a.txt")
    assert len(np.loadtxt("a.txt", delimiter=",")) == 12
    track(source, BOX, "--csv=a.csv", "--txt=a.txt", "--resume")
    assert len(table("a.csv")) == 12
    assert sorted(os.listdir()) == ["a.csv", "a.txt", "a.webm"]


def test_labels_of_another_tool(track, source):
    boxes = ["--box=40,50,30,24:left fish", "--add=3:100,20,40,40:ente"]
    assert track("a.webm", *boxes, "--labels=cvat", "--out_labels=out.xml", "--csv=a.csv") is None
    assert not os.path.exists("a_tracked.mp4")
    (video,) = labels.read("out.xml")
    assert [each.name for each in video.tracks] == ["left fish", "ente"]
    rows = table("a.csv")
    assert [row["name"] for row in rows[2:6]] == ["left fish", "left fish", "ente", "left fish"]
    # frames in which the target was lost are not labelled
    seen = {
        (int(row["frame"]), row["name"]): [float(row[k]) for k in "xywh"]
        for row in rows
        if row["lost"] == "0"
    }
    assert {(f, each.name) for each in video.tracks for f in each.frames.tolist()} == {*seen}
    for each in video.tracks:
        for frame, box in zip(each.frames.tolist(), each.boxes):
            np.testing.assert_allclose(box, seen[frame, each.name], atol=0.01)


def test_files_of_a_folder_of_labels_replace_nothing(track, source):
    """As the other outputs: the names of these files are the format's."""
    os.mkdir("x")
    Path("x/a.csv").write_text("40,50,30,24\n")
    wanted = ("--labels=csv", "--out_labels=x")
    with pytest.raises(UserError, match=r"--out_labels=x/a\.csv: is --box_file"):
        track("a.webm", "--box_file=x/a.csv", *wanted)
    with pytest.raises(UserError, match=r"--txt=x/a\.csv and --out_labels=x/a\.csv are one file"):
        track("a.webm", BOX, "--txt=x/a.csv", *wanted)
    # before: labels that had been corrected by hand were replaced by those of a second run
    with pytest.raises(UserError, match=r"--out_labels=x: x/a\.csv exists already; move it away"):
        track("a.webm", BOX, *wanted)
    with pytest.raises(UserError, match=r"--out_labels=x/a\.csv: x/a\.csv exists already"):
        track("a.webm", BOX, "--labels=csv", "--out_labels=x/a.csv")
    assert Path("x/a.csv").read_text() == "40,50,30,24\n"
    Path("x/a.csv").unlink()
    track("a.webm", BOX, *wanted)
    assert len(table("x/a.csv")) == 12


def test_labels_of_frames_in_a_folder_of_the_folder(track, folder):
    shutil.copytree(folder, "otb/img")
    track("otb", BOX, "--frames=2", "--labels=yolo", "--out_labels=made")
    track("otb/img", BOX, "--frames=2", "--labels=yolo", "--out_labels=same")
    made, same = (sorted(Path(place).rglob("*.txt")) for place in ("made", "same"))
    assert len(made) > 1
    assert [path.read_text() for path in made] == [path.read_text() for path in same]


def test_labels_in_a_folder(track, folder):
    track(folder, BOX, "--frames=4", "--labels=yolo", "--out_labels=yolo")
    found = labels.read("yolo", media=folder)
    assert sum(len(each) for video in found for each in video.tracks) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--labels=cvat"], "--labels=FORMAT and --out_labels=PLACE: give both"),
        (["--out_labels=x"], "give both, or neither"),
        (
            ["--labels=nothing", "--out_labels=x"],
            "--labels=nothing: no such label format; choose on",
        ),
        # before: when everything was tracked
        (
            ["--labels=cvat", "--out_labels=x.txt"],
            r"--out_labels=x\.txt: cvat is written as a \.xml",
        ),
        (["--labels=masks", "--out_labels=x"], "--labels=masks: this format is read only; choose"),
        (["--labels=txt", "--out_labels=x.txt", "--add=3:1,1,20,20"], "2 targets"),
        (["--set", "penalty=1", "--csv=x"], "no constant 'penalty'; did you mean penalty_k"),
        (["--csv=x", "--start=100"], "--start=100: the video ends before"),
        (["--csv=x", "--stride=0"], "--stride=0: must be at least 1"),
        (["--csv=x", "--record=y.avi"], "--record=y.avi: only for cameras and streams"),
    ],
)
def test_bad_flags_leave_nothing(track, source, arguments, message):
    with pytest.raises(UserError, match=message):
        track("a.webm", BOX, *arguments)
    assert os.listdir() == ["a.webm"]


def test_a_target_behind_the_end_is_named(track, source, capsys):
    track("a.webm", BOX, "--add=50:10,10,20,20", "--csv=a.csv")
    assert "--add in frame 50: not reached, frame 11 was the last one" in capsys.readouterr().out
    assert len(table("a.csv")) == 12
    with pytest.raises(UserError, match=r"frame 50: not reached, .*; nothing done"):
        track("a.webm", "--add=50:10,10,20,20", "--out=b.webm", "--json=b.json")
    assert sorted(os.listdir()) == ["a.csv", "a.webm"]


def test_nothing_is_followed_before_the_first_box(track, source):
    track("a.webm", "--add=8:10,10,20,20", "--csv=a.csv", "--out=o.webm")
    assert [row["frame"] for row in table("a.csv")] == ["8", "9", "10", "11"]
    assert len(list(read_video("o.webm"))) == 12


def test_ctrl_c_before_the_first_row(track, source, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(session.Tracker, "init", interrupted)
    with pytest.raises(KeyboardInterrupt):  # exit code 130
        track("a.webm", BOX, "--csv=a.csv", "--out=o.webm")
    assert os.listdir() == ["a.webm"]


class Fake(Video):
    """A camera that gives the clip, every other frame of it in time."""

    live = True

    def __init__(self, clip):
        super().__init__("fake", Selection())
        self._clip, self.asked = clip, []

    def numbered(self, skip=()):
        for number in range(0, 12, 2):
            self.asked.append(len(steps.answer_together.programs))
            yield number, self._clip.frames[number]
            self.dropped += 1

    def _grabs(self):
        return iter(())


def test_a_live_source(track, clip, monkeypatch, capsys):
    camera = Fake(clip)
    monkeypatch.setattr(media, "read_video", lambda *_, **__: camera)
    assert track("0", BOX, "--box=100,20,40,40", "--csv=a.csv") is None
    # nothing is compiled behind the first frame
    assert len(set(camera.asked)) == 1
    assert [row["frame"] for row in table("a.csv")[::2]] == ["0", "2", "4", "6", "8", "10"]
    assert "6 frames came while the tracker was busy" in capsys.readouterr().out
    for flag in ("--add=4:10,10,20,20", "--resume"):
        with pytest.raises(UserError, match="only for video files and folders, 0 is live"):
            track("0", BOX, flag, "--csv=b.csv")
    assert os.listdir() == ["a.csv"]


def test_ctrl_c_is_how_a_live_source_ends(track, clip, monkeypatch, capsys):
    camera = Fake(clip)
    monkeypatch.setattr(media, "read_video", lambda *_, **__: camera)
    search, seen = session.Tracker.search, []

    def interrupted(self, frame):
        seen.append(1)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return search(self, frame)

    monkeypatch.setattr(session.Tracker, "search", interrupted)
    assert track("0", BOX, "--csv=a.csv") == 130
    assert "interrupted after 3 frames; they are kept\n" in capsys.readouterr().out
    assert len(table("a.csv")) == 3
    assert os.listdir() == ["a.csv"]


def test_constants_may_be_set(track, source):
    track("a.webm", BOX, "--csv=a.csv", "--frames=3")
    track("a.webm", BOX, "--csv=b.csv", "--frames=3", "--set", "lr=0,penalty_k=0.1")
    first, second = table("a.csv"), table("b.csv")
    assert (second[2]["w"], second[2]["h"]) == ("30.0", "24.0")  # a rate of 0 keeps the size
    assert first[2]["w"] != "30.0"


def test_start_stride_and_frames_keep_the_numbers_of_the_video(track, source):
    track(
        "a.webm", BOX, "--add=8:10,10,20,20", "--start=2", "--stride=3", "--frames=3", "--mot=m.mot"
    )
    rows = np.loadtxt("m.mot", delimiter=",")
    np.testing.assert_array_equal(rows[:, :2], [[3, 1], [6, 1], [9, 1], [9, 2]])
    track("a.webm", BOX, "--start=2", "--stride=3", "--json=j.json", "--out=o.webm")
    tree = json.loads(Path("j.json").read_text())
    assert [row["frame"] for row in tree["targets"][0]["frames"]] == [2, 5, 8, 11]
    assert tree["fps"] == pytest.approx(30)  # of those numbers
    assert len(list(read_video("o.webm"))) == 4
    assert read_video("o.webm").fps == pytest.approx(10)
