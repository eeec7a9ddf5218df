"""Cameras and streams with a camera that gives frames when the test says so."""

import errno
import threading
import time

import cv2
import numpy as np
import pytest

from siamjax.errors import UserError
from siamjax.media import VideoWriter, camera, live, read_video


class FakeCamera:
    """Stands for `cv2.VideoCapture`: each connection gives the frames that the test hands to it.

    A frame is a number, the grey of the picture; None ends the connection.
    """

    def __init__(self):
        self.connections = 0
        self.opened = []  # the arguments of each
        self.refused = 0  # how many of the next connections fail
        self.size = (64, 48)
        self.released = threading.Event()
        self._frames = []
        self._changed = threading.Condition()
        self._waiting = False

    def feed(self, *frames):
        """Has them taken as fast as the reader can."""
        with self._changed:
            self._frames += frames
            self._changed.notify_all()

    def give(self, *frames):
        """Waits until the reader has taken all frames and asks for the next one."""
        self.feed(*frames)
        with self._changed:
            assert self._changed.wait_for(lambda: self._waiting and not self._frames, 10)

    def __call__(self, *arguments):
        self.connections += 1
        self.opened.append(arguments)
        self._is_open = not self.refused
        self.refused = max(0, self.refused - 1)
        return self

    def isOpened(self):
        return self._is_open

    def read(self):
        with self._changed:
            self._waiting = True
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._frames, 10)
            self._waiting = False
            frame = self._frames.pop(0)
        if frame is None:
            return False, None
        return True, np.full((*self.size[::-1], 3), frame, np.uint8)

    def release(self):
        self.released.set()

    def set(self, name, value):
        return True

    def get(self, name):
        sizes = (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        return dict(zip(sizes, self.size, strict=True)).get(name, 20.0)


@pytest.fixture
def device(monkeypatch):
    fake = FakeCamera()
    monkeypatch.setattr(camera.cv2, "VideoCapture", fake)
    monkeypatch.setattr(live, "WAIT", 0.3)
    monkeypatch.setattr(live, "_PAUSE", 0.05)
    return fake


def grey(pair):
    number, frame = pair
    return number, int(frame[0, 0, 0])


def test_the_newest_frame_is_given_and_the_others_are_counted(device):
    """Before: frames were read one after the other, so that a slow tracker fell behind."""
    video = read_video("0")
    assert (video.live, video.count, video.fps, video.name) == (True, None, 20.0, "camera0")
    frames = video.numbered()
    device.feed(10)
    assert grey(next(frames)) == (0, 10)
    device.give(11)
    device.give(12)
    device.give(13, 14, 15)
    assert grey(next(frames)) == (5, 15)
    assert video.dropped == 4
    device.give(16)
    assert grey(next(frames)) == (6, 16)
    assert video.dropped == 4
    device.feed(None)
    frames.close()
    assert device.released.wait(5)


def test_stride_and_start_count_frames_as_they_come(device):
    video = read_video("0", start=2, stride=3, frames=2)
    frames = video.numbered()
    device.feed(0, 1, 2)
    assert grey(next(frames)) == (2, 2)
    device.give(3, 4)
    device.feed(5)
    assert grey(next(frames)) == (5, 5)
    assert video.dropped == 0
    assert next(frames, None) is None


def test_a_recording_holds_every_frame(device, tmp_path):
    """Also those that were dropped, so that a frame's number is that of the recording."""
    video = read_video("0", record=tmp_path / "all.avi")
    frames = video.numbered()
    device.feed(40)
    assert grey(next(frames)) == (0, 40)
    device.give(60, 80, 100)
    assert grey(next(frames)) == (3, 100)
    frames.close()  # as after an interrupt: what came until then is kept
    recorded = [int(frame.mean().round()) for frame in read_video(tmp_path / "all.avi")]
    assert recorded == pytest.approx([40, 60, 80, 100], abs=3)


def test_one_break_is_mended_and_the_second_is_the_end(device, caplog):
    """Before: "camera 0 stopped giving frames", exit code 2, and no output."""
    video = read_video("0")
    frames = video.numbered()
    device.feed(1)
    assert grey(next(frames)) == (0, 1)
    device.refused = 2  # while the camera starts again
    device.feed(None, 2)
    assert grey(next(frames)) == (1, 2)
    device.feed(None)
    assert next(frames, None) is None
    assert device.connections == 4
    assert caplog.messages == [
        "camera 0: broke off after 1 frames; connecting again",
        "camera 0: ended after 2 frames",
    ]


def test_a_connection_that_waited_is_made_anew(device, monkeypatch):
    """So that the first frame is not as old as the checkpoint took to load."""
    monkeypatch.setattr(live, "_FRESH", 0.05)
    video = read_video("0")
    time.sleep(0.1)
    device.feed(7)
    frames = video.numbered()
    assert grey(next(frames)) == (0, 7)
    assert device.connections == 2
    device.feed(None)


def test_a_break_that_is_not_mended_is_the_end(device, caplog):
    video = read_video("0")
    frames = video.numbered()
    device.feed(1)
    assert grey(next(frames)) == (0, 1)
    device.refused = 1000
    device.feed(None)
    began = time.monotonic()
    assert next(frames, None) is None
    assert time.monotonic() - began < 5
    assert caplog.messages[-1] == "camera 0: ended after 1 frames"


def test_a_camera_without_a_frame_is_an_error(device):
    video = read_video("0")
    device.refused = 1000
    device.feed(None)
    with pytest.raises(UserError, match="camera 0: no frame came"):
        list(video)


def test_devices_and_resolution(device, caplog):
    device.size = (1280, 720)
    read_video("/dev/null", resolution="1280x720")  # a character device, as cameras are
    assert device.opened == [("/dev/null", cv2.CAP_V4L2)]
    assert not caplog.messages
    assert read_video("3", resolution="1920x1080").name == "camera3"
    assert caplog.messages == ["camera 3: gives 1280x720 px, not 1920x1080"]
    for text in ("big", "0x10", "12", "10x"):
        with pytest.raises(UserError, match=f"--resolution={text}: give width x height"):
            read_video("0", resolution=text)


def test_a_recording_that_cannot_be_is_refused_at_once(device, tmp_path):
    with pytest.raises(UserError, match=r"\.mp4 and \.webm play in browsers"):
        read_video("0", record=tmp_path / "all.gif")
    (tmp_path / "all.webm").mkdir()
    with pytest.raises(UserError, match="is a folder"):
        read_video("0", record=tmp_path / "all.webm")


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".avi"])
def test_what_a_kill_leaves_of_a_recording_plays(tmp_path, suffix, device, caplog):
    """Before: a killed `siamjax track 0 --record=all.mkv`, or .mp4, left a file without a frame."""
    writer = VideoWriter(tmp_path / f"all{suffix}", 25, once=True)
    for k in range(60):
        writer.write(np.full((48, 64, 3), 4 * k, np.uint8))
    while not writer._waiting.empty():
        time.sleep(0.01)
    (partial,) = tmp_path.iterdir()
    (tmp_path / f"left{suffix}").write_bytes(partial.read_bytes())
    frames = [int(frame.mean().round()) for frame in read_video(tmp_path / f"left{suffix}")]
    assert len(frames) >= 60 - 25 - 3
    assert frames == pytest.approx([4 * k for k in range(len(frames))], abs=4)
    read_video("0", record=tmp_path / f"all{suffix}")
    assert f"{partial}: what a run recorded that was killed; give it another" in caplog.text
    writer.close()
    assert len(list(read_video(tmp_path / f"all{suffix}"))) == 60


def test_what_a_full_disk_leaves_of_a_recording_plays(tmp_path):
    """Before: the whole recording was removed."""
    path = tmp_path / "all.mkv"
    writer = VideoWriter(path, 25, once=True)
    for k in range(30):
        writer.write(np.full((48, 64, 3), 4 * k, np.uint8))
    writer._error = OSError(errno.ENOSPC, "No space left on device", str(path))
    with pytest.raises(UserError, match=r"all\.mkv: no space left; free some and run again"):
        writer.close()
    assert [each.name for each in tmp_path.iterdir()] == ["all.mkv"]
    assert len(list(read_video(path))) >= 20


def test_an_error_of_the_recording_reaches_the_reader(device, tmp_path):
    device.size = (1, 1)
    frames = read_video("0", record=tmp_path / "all.webm").numbered()
    device.feed(1)
    with pytest.raises(UserError, match="1x1 px are too small for a video"):
        next(frames)
