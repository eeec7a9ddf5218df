import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import siamjax
from siamjax import cli
from siamjax.errors import UserError
from siamjax.media import VideoWriter, read_video
from siamjax.models import weights
from siamjax.tracking import session

BOX = "--box=40,50,30,24"
ROOT = Path(__file__).resolve().parents[2]


def test_load_gives_a_tracker(checkpoint, tiny, clip):
    loaded = siamjax.load(checkpoint)
    made = session.Tracker(tiny.config, tiny.variables)
    for tracker in (loaded, made):
        tracker.init(clip.frames[0], clip.boxes[0])
    for frame in clip.frames[1:4]:
        assert loaded.update(frame) == made.update(frame)


def test_load_of_what_is_no_checkpoint(tmp_path):
    with pytest.raises(UserError, match="nothing: no such checkpoint"):
        siamjax.load(tmp_path / "nothing")
    (tmp_path / "text.npz").write_text("no weights")
    with pytest.raises(UserError, match=r"text\.npz: not a siamjax weights file"):
        siamjax.load(tmp_path / "text.npz")
    with pytest.raises(UserError, match="no checkpoint"):
        siamjax.load(tmp_path)


def test_load_of_another_architecture(tiny, tmp_path):
    config = tiny.config.copy_and_resolve_references().unlock()
    config.model.adjust_channels = (16,)
    weights.save(tmp_path / "other.npz", config, tiny.variables)
    with pytest.raises(UserError, match=r"other\.npz: weights of another architecture"):
        siamjax.load(tmp_path / "other.npz")


def test_all_outputs_agree(track, folder, clip, checkpoint, tmp_path):
    outputs = ("--out=out.webm", "--csv=out.csv", "--json=out.json", "--txt=out.txt", "--mot=o.mot")
    assert track(folder, BOX, *outputs) is None
    tracker = siamjax.load(checkpoint)
    tracker.init(clip.frames[0], (40, 50, 30, 24))
    expected = [(40.0, 50.0, 30.0, 24.0)] + [tracker.update(f).box for f in clip.frames[1:]]

    with open("out.csv") as file:
        rows = list(csv.DictReader(file))
    boxes = [[float(row[key]) for key in "xywh"] for row in rows]
    np.testing.assert_allclose(boxes, expected)
    assert [int(row["frame"]) for row in rows] == list(range(12))
    target = json.loads((tmp_path / "out.json").read_text())["targets"][0]
    np.testing.assert_allclose([frame["box"] for frame in target["frames"]], expected)
    np.testing.assert_allclose(np.loadtxt("out.txt", delimiter=","), expected, atol=1e-4)
    mot = np.loadtxt("o.mot", delimiter=",")
    assert mot.shape == (12, 10)
    np.testing.assert_array_equal(mot[:, :2], [[i + 1, 1] for i in range(12)])
    np.testing.assert_allclose(mot[:, 2:6] - [1, 1, 0, 0], expected, atol=1e-4)
    video = list(read_video("out.webm"))
    assert len(video) == 12
    assert video[0].shape == (120, 160, 3)
    assert (
        np.abs(video[5].astype(int) - clip.frames[5]).max(-1) > 60
    ).sum() > 50  # it was drawn on
    assert sorted(os.listdir()) == ["o.mot", "out.csv", "out.json", "out.txt", "out.webm"]


def test_video_file_several_boxes_and_heatmap(track, clip, tmp_path):
    with VideoWriter("in.webm", 30) as writer:
        for frame in clip.frames:
            writer.write(frame)
    (tmp_path / "boxes.txt").write_text("100,20,40,40\n\n10 10 20 20\n")
    track("in.webm", BOX, "--box_file=boxes.txt", "--frames=5", "--csv=b.csv", "--heatmap")
    with open("b.csv") as file:
        rows = list(csv.DictReader(file))
    assert [(int(row["frame"]), int(row["target"])) for row in rows] == [
        (frame, target) for frame in range(5) for target in range(3)
    ]
    assert [float(rows[2][key]) for key in "xywh"] == [10, 10, 20, 20]
    assert not os.path.exists("in_tracked.mp4")  # the table was asked for, not the video


def test_default_output(track, folder):
    track(folder, BOX, "--frames=3", "--heatmap")
    assert len(list(read_video(f"{folder.name}_tracked.mp4"))) == 3


def test_interrupt_keeps_what_there_is(track, folder, monkeypatch, capsys):
    search, calls = session.Tracker.search, []

    def interrupted(self, frame):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return search(self, frame)

    monkeypatch.setattr(session.Tracker, "search", interrupted)
    assert track(folder, BOX, "--out=out.webm", "--txt=out.txt") == 130
    assert len(np.loadtxt("out.txt", delimiter=",")) == 5
    assert len(list(read_video("out.webm"))) == 5
    assert "interrupted after 5 frames" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--box=200,50,30,24"], "outside the frame of 160x120"),
        (["--box=10,10,0,24"], "width and height have to be positive"),
        (["--box=10,nan,5,24"], "four finite numbers"),
        (["--box=10,10,5"], "--box=10,10,5: give four numbers"),
        (["--box=a,b,c,d"], "give four numbers"),
        ([], "--box=x,y,w,h: give the target.s place .* siamjax serve .*, in the browser"),
        (["--box_file=none.txt"], "none.txt: no such file"),
        ([BOX, "--frames=0"], "--frames=0"),
        ([BOX, "--out=out.gif"], "webm play in browsers"),
        ([BOX, "--csv=/proc/nowhere/a.csv"], "cannot make this folder"),
        ([BOX, BOX, "--txt=a.txt"], "--txt holds one target"),
        # before: an empty folder was left
        ([BOX, "--csv=new/er/a.csv", "--start=600"], "--start=600"),
        (["--box=200,50,30,24", "--csv=new/a.csv"], "outside the frame of 160x120"),
        ([BOX, "--bogus=1"], "unknown argument --bogus=1"),
    ],
)
def test_bad_input_leaves_nothing(track, folder, arguments, message):
    with pytest.raises(UserError, match=message):
        track(folder, *arguments)
    assert os.listdir() == []


def test_bad_frames_keep_what_was_tracked(track, clip, tmp_path):
    (tmp_path / "in").mkdir()
    for i, frame in enumerate(clip.frames[:6]):
        cv2.imwrite(f"in/{i:04d}.png", frame)
    (tmp_path / "in/0004.png").write_bytes(b"broken")
    kept = r"; 4 frames are kept in out\.csv\.rows\.csv, --resume continues them"
    with pytest.raises(UserError, match=r"0004\.png: not a readable image.*" + kept):
        track("in", BOX, "--out=out.webm", "--csv=out.csv")
    assert sorted(os.listdir()) == ["in", "out.csv.rows.csv"]
    os.remove("out.csv.rows.csv")
    (tmp_path / "in/0001.png").write_bytes(b"broken")
    with pytest.raises(UserError, match=r"0001\.png: not a readable image"):
        track("in", BOX, "--out=out.webm", "--csv=out.csv")
    assert os.listdir() == ["in"]


def test_names_that_are_not_utf8(checkpoint, clip, tmp_path):
    """Of input and output.

    Before: `siamjax track $'caf\xe9.mp4' --box=40,50,30,24` was a segmentation fault, code 139.
    """
    name = os.fsdecode(b"caf\xe9")
    with VideoWriter(tmp_path / f"{name}.avi") as writer:
        for frame in clip.frames[:3]:
            writer.write(frame)
    command = [sys.executable, "-m", "siamjax", "track", f"{name}.avi", BOX]
    command += [f"--checkpoint={checkpoint}", "--frames=2", f"--csv={name}.csv"]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8:strict", "PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout == "2 frames -> caf\\udce9.csv\n"
    assert len((tmp_path / f"{name}.csv").read_text().splitlines()) == 3


def test_video_that_ends_early(track, tmp_path, caplog):
    noise = np.random.default_rng(0).integers(0, 256, (40, 120, 160, 3), dtype=np.uint8)
    with VideoWriter("whole.avi", fps=10) as writer:
        for frame in noise:
            writer.write(frame)
    content = (tmp_path / "whole.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(content[: len(content) // 2])
    assert not track("cut.avi", BOX, "--out=out.webm")
    assert f"40 frames, {len(list(read_video('out.webm')))} could be decoded" in caplog.text
    track("cut.avi", BOX, "--out=out.webm", "--frames=10")
    assert len(list(read_video("out.webm"))) == 10


def test_missing_checkpoint(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="runs/none: no such checkpoint"):
        cli.dispatch(["track", str(folder), BOX, "--checkpoint=runs/none"])
    assert os.listdir() == []


def test_without_a_checkpoint_the_shipped_one_is_used(folder, checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("siamjax.remote.weights.ASSETS", tmp_path / "empty")
    with pytest.raises(UserError, match="came without weights; give --checkpoint"):
        cli.dispatch(["track", str(folder), BOX])
    assert os.listdir() == []
    monkeypatch.setattr("siamjax.remote.weights.ASSETS", checkpoint.parent)
    cli.dispatch(["track", str(folder), BOX, "--frames=3", "--json=given.json"])
    shipped = json.loads((tmp_path / "given.json").read_text())
    assert shipped["checkpoint"] == checkpoint.name
    cli.dispatch(
        ["track", str(folder), BOX, "--frames=3", "--json=said.json", f"--checkpoint={checkpoint}"]
    )
    assert json.loads((tmp_path / "said.json").read_text())["targets"] == shipped["targets"]


def test_show_without_windows(track, folder):
    with pytest.raises(UserError, match="--show: this OpenCV has no windows"):
        track(folder, BOX, "--show")


@pytest.mark.parametrize("box", ["0,0,50000,40000", "0,0,1e300,1e300", "0.2,0.3,0.1,0.1"])
def test_boxes_without_sense(track, folder, box):
    """Before: `siamjax track clip --box=0,0,50000,40000` was killed for memory; with a limit on it
    'Failed to allocate 24224997963 bytes'."""
    with pytest.raises(UserError, match=f"box {box.replace('1e300', r'1e.300')}: "):
        track(folder, f"--box={box}")


def test_a_box_in_corners_is_doubted(track, folder, caplog):
    """Before: `--box=90,60,130,100`, the corners of a box, was tracked without a word."""
    track(folder, "--box=90,60,130,100", "--frames=2", "--csv=a.csv")
    assert ["was x1,y1,x2,y2 meant?" in message for message in caplog.messages] == [True]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff40,50,30,24\r\n\r\n100,20,40,40\r\n",
        "x;y;w;h\n40;50;30;24\n100;20;40;40\n",
        "1,1,41,51,30,24,1,-1,-1,-1\n1.0,2,101,21,40,40,1,-1,-1,-1\n2,2,9,9,9,9,1,-1,-1,-1\n",
        "40,50,69,50,69,73,40,73\n100,20,40,40\n",
    ],
)
def test_files_of_first_boxes(track, folder, tmp_path, text):
    """Before: a byte order mark, a header, MOT rows and polygons were refused."""
    (tmp_path / "boxes.txt").write_text(text, encoding="utf-8", newline="")
    track(folder, "--box_file=boxes.txt", "--frames=1", "--csv=a.csv")
    with open("a.csv") as file:
        rows = [[float(row[key]) for key in "xywh"] for row in csv.DictReader(file)]
    np.testing.assert_allclose(rows, [(40, 50, 30, 24), (100, 20, 40, 40)], atol=0.5)
