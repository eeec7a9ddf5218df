"""`siamjax render`."""

import cv2
import numpy as np
import pytest

from siamjax import media
from siamjax.cli import dispatch
from siamjax.errors import UserError
from siamjax.synthetic import SyntheticVideo, video


def test_video(tmp_path):
    out = tmp_path / "clip.webm"
    dispatch(["render", "--seed=3", "--length=6", f"--out={out}"])
    frames = list(media.read_video(out))
    video = SyntheticVideo(3, length=6, split="test")
    assert len(frames) == 6
    for coded, frame in zip(frames, video.frames):
        assert np.corrcoef(coded.ravel(), frame.ravel())[0, 1] > 0.97


def test_folder_holds_frames_and_boxes(tmp_path):
    out = tmp_path / "clip"
    dispatch(
        ["render", "--split=train", "--seed=2", "--length=4", "--size=200x180", f"--out={out}"]
    )
    video = SyntheticVideo(2, length=4, height=180, width=200, split="train")
    files = sorted((out / "img").iterdir())
    assert [f.name for f in files] == [f"{i:08d}.png" for i in range(1, 5)]
    for file, frame in zip(files, video.frames):
        np.testing.assert_array_equal(cv2.imread(str(file)), frame)
    boxes = np.loadtxt(out / "groundtruth_rect.txt", delimiter=",")
    np.testing.assert_allclose(boxes - [1, 1, 0, 0], video.boxes[0], atol=1e-4)
    assert list(tmp_path.iterdir()) == [out]


def test_boxes_are_drawn(tmp_path):
    for name, flags in (("plain", []), ("boxes", ["--boxes"])):
        dispatch(["render", "--length=1", f"--out={tmp_path / name}", *flags])
    plain, boxes = (
        cv2.imread(str(tmp_path / n / "img" / "00000001.png")) for n in ("plain", "boxes")
    )
    x, y, _, h = SyntheticVideo(0, length=1, split="test").boxes[0, 0].round().astype(int)
    changed = (plain != boxes).any(-1)
    assert changed[y : y + h, x].mean() > 0.9
    assert 0 < changed.mean() < 0.1


@pytest.mark.parametrize(
    "flags",
    [["--seed=-1"], ["--length=0"], ["--size=100x100"], ["--size=big"], ["--fps=0"]],
)
def test_bad_flags(tmp_path, flags):
    with pytest.raises(UserError, match=flags[0].split("=")[0]):
        dispatch(["render", f"--out={tmp_path / 'clip'}", *flags])
    assert not list(tmp_path.iterdir())


def test_a_bad_number_is_named_alone(tmp_path):
    """Before: "--seed, --length, --size, --categories, --zoom: need seed >= 0, ..."."""
    with pytest.raises(UserError, match=r"^--seed=-1: must be at least 0$"):
        dispatch(["render", f"--out={tmp_path / 'clip'}", "--seed=-1"])


def test_a_clip_that_cannot_be_made(tmp_path, monkeypatch):
    """Before: `siamjax render --seed=5 --length=600 --out=long.mp4` gave 'RuntimeError: no valid
    plan for seed 5 of test, 600 frames' after 108 s."""
    flags = ["--seed=0", "--length=120", f"--out={tmp_path / 'clip'}"]
    monkeypatch.setattr(video, "FRAMES", 120 * 13)  # the 14th plan is the first that holds
    with pytest.raises(UserError, match="no clip of 120 frames with seed 0; try another --seed"):
        dispatch(["render", *flags])
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(video, "FRAMES", 120 * 14)
    assert len(SyntheticVideo(0, split="test").frames) == 120


def test_another_suffix_is_refused_before_anything_is_planned(tmp_path, monkeypatch):
    monkeypatch.setattr(video, "Plan", None)
    with pytest.raises(UserError, match=r"clip\.mov: write to one of \.mp4, \.webm"):
        dispatch(["render", f"--out={tmp_path / 'clip.mov'}"])


def test_existing_folder_is_left_alone(tmp_path):
    (tmp_path / "clip").mkdir()
    with pytest.raises(UserError, match="exists already"):
        dispatch(["render", "--length=1", f"--out={tmp_path / 'clip'}"])
    assert not list((tmp_path / "clip").iterdir())


def test_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        dispatch(["render", "--length=1", f"--out={tmp_path / 'file' / 'clip'}"])
