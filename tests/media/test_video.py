import os

import cv2
import numpy as np
import pytest

from siamjax.errors import UserError
from siamjax.media import VideoWriter, read_video


def frames(count=12, height=48, width=64):
    """Plain frames that get brighter: video codecs keep that."""
    return [np.full((height, width, 3), 20 + 15 * i, np.uint8) for i in range(count)]


def write(path, images, fps=25):
    with VideoWriter(path, fps) as writer:
        for image in images:
            writer.write(image)


@pytest.mark.parametrize("suffix", [".webm", ".mp4", ".avi"])
def test_what_is_written_is_read(tmp_path, suffix):
    path = tmp_path / f"clip{suffix}"
    write(path, frames(), fps=20)
    video = read_video(path)
    got = list(video)
    assert len(got) == 12
    assert abs(video.count - 12) <= 1
    assert video.fps == pytest.approx(20)
    assert video.name == "clip"
    for image, expected in zip(got, frames()):
        assert image.shape == expected.shape
        assert abs(float(image.mean()) - float(expected.mean())) < 4
    assert os.listdir(tmp_path) == [f"clip{suffix}"]


def test_odd_sizes_lose_a_row_and_a_column(tmp_path):
    write(tmp_path / "odd.webm", frames(5, 47, 63))
    assert next(iter(read_video(tmp_path / "odd.webm"))).shape == (46, 62, 3)


def test_an_error_leaves_nothing_behind(tmp_path):
    def fail():
        with VideoWriter(tmp_path / "clip.webm") as writer:
            writer.write(frames()[0])
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert os.listdir(tmp_path) == []


def test_image_folder_in_the_order_of_names(tmp_path):
    for name, value in (("b.png", 20), ("a.jpg", 10), ("c.png", 30)):
        cv2.imwrite(str(tmp_path / name), np.full((8, 8, 3), value, np.uint8))
    (tmp_path / "notes.txt").write_text("no image")
    video = read_video(tmp_path)
    assert video.count == len(video) == 3
    assert [int(f.mean().round()) for f in video] == [10, 20, 30]
    assert int(video[1].mean()) == 20


def test_corrupt_frame_of_a_folder_is_named(tmp_path):
    cv2.imwrite(str(tmp_path / "0001.jpg"), frames()[0])
    (tmp_path / "0002.jpg").write_bytes(b"\xff\xd8 not a jpeg")
    with pytest.raises(UserError, match=r"0002\.jpg: not a readable image"):
        list(read_video(tmp_path))


def test_video_that_ends_early(tmp_path, caplog):
    """Before: `siamjax track cut.avi` gave 'the video ends early', exit code 2, no output."""
    noise = np.random.default_rng(0).integers(0, 256, (60, 48, 64, 3), dtype=np.uint8)
    write(tmp_path / "whole.avi", noise)
    content = (tmp_path / "whole.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(content[: len(content) // 2])
    video = read_video(tmp_path / "cut.avi")
    count = len(list(video))
    assert 20 <= count < 35
    assert f"announces about 60 frames, {count} could be decoded" in caplog.text


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("text.mp4", b"no video at all", "not a video"),
        ("empty.webm", b"", "not a video"),
    ],
)
def test_unreadable_video(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_video(tmp_path / name)


def test_missing_source_and_empty_folder(tmp_path):
    with pytest.raises(UserError, match=r"nothing\.mp4: no such video"):
        read_video(tmp_path / "nothing.mp4")
    with pytest.raises(UserError, match="no images there"):
        read_video(tmp_path)


def test_missing_camera():
    with pytest.raises(UserError, match="camera 73 cannot be opened"):
        read_video("73")


def test_outputs_that_cannot_be(tmp_path):
    with pytest.raises(UserError, match=r"\.webm plays in browsers"):
        VideoWriter(tmp_path / "clip.gif")
    (tmp_path / "dir.webm").mkdir()
    with pytest.raises(UserError, match="is a folder"):
        VideoWriter(tmp_path / "dir.webm")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot make this folder"):
        VideoWriter(tmp_path / "file" / "clip.webm")
