"""FFmpeg and OpenCV print nothing, and nobody touches the process's standard error for that."""

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from siamjax.errors import UserError
from siamjax.media import VideoWriter, read_video

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def movie(tmp_path_factory):
    path = tmp_path_factory.mktemp("movie") / "noise.mp4"
    rng = np.random.default_rng(0)
    with VideoWriter(path, 25) as writer:
        for _ in range(8):
            writer.write(rng.integers(0, 256, (48, 64, 3), np.uint8))
    return path


def test_standard_error_is_the_same_after_videos_were_opened_at_once(movie, tmp_path):
    """Before: after `read_video` in two threads, 200 times each, descriptor 2 was /dev/null: each
    call put that in its place for a moment, and one of them put back what the other had put."""
    before = os.fstat(2)

    def work(number):
        for _ in range(20):
            assert len(list(read_video(movie))) == 8
            with VideoWriter(tmp_path / f"{number}.webm", 25) as writer:
                writer.write(np.zeros((48, 64, 3), np.uint8))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert os.path.samestat(os.fstat(2), before)


DECODE = """
import sys
from siamjax.errors import UserError
from siamjax.media import read_video
from siamjax.media.frames import decode_image
print(len(list(read_video(sys.argv[1]))))
try:
    read_video(sys.argv[2])
except UserError:
    print("refused")
print(decode_image(open(sys.argv[2], "rb").read()))
"""


def test_damaged_files_print_nothing(movie, tmp_path):
    damaged = bytearray(movie.read_bytes())
    middle = len(damaged) // 2
    damaged[middle : middle + 40] = bytes(40)  # in the pictures
    (tmp_path / "damaged.mp4").write_bytes(damaged)
    (tmp_path / "none.avi").write_bytes(b"RIFF\0\0\0\0AVI LIST" + bytes(300))
    files = [str(tmp_path / name) for name in ("damaged.mp4", "none.avi")]
    command = [sys.executable, "-c", DECODE, *files]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    count, *rest = ran.stdout.split()
    assert 1 <= int(count) <= 8
    assert rest == ["refused", "None"]
    assert "frames, " in ran.stderr or ran.stderr == ""  # siamjax's own line, where one is lost
    assert len(ran.stderr.splitlines()) <= 1


def test_no_module_replaces_descriptors():
    sources = [p for room in ("siamjax", "data_prep") for p in (ROOT / room).rglob("*.py")]
    found = [p for p in sources if re.search(r"\bdup2\(|redirect_stderr", p.read_text())]
    assert found == []


def test_a_video_that_is_none_is_said_in_a_line(tmp_path):
    """Before: "encode it again" of a text file, too."""
    for content, words in (
        ("no video, größer\n".encode() * 400, "a text file, not a video"),
        (b"", "an empty file, not a video"),
        (b"no\0video", "not a video that FFmpeg can read; encode it again"),
    ):
        (tmp_path / "text.mp4").write_bytes(content)
        with pytest.raises(UserError, match=f"text.mp4: {words}$"):
            read_video(tmp_path / "text.mp4")


def test_frames_are_freed_without_the_collector(movie):
    """Before: each decoded frame and its side data held each other, until a full collection."""
    import gc

    import av

    list(read_video(movie))
    gc.collect()
    gc.disable()
    try:
        list(read_video(movie))
        left = [one for one in gc.get_objects() if isinstance(one, av.VideoFrame)]
    finally:
        gc.enable()
    assert left == []
