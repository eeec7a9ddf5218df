import os
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


def test_mp4_plays_in_browsers(tmp_path):
    """Before: .mp4 held MPEG-4 part 2, which browsers do not play."""
    write(tmp_path / "clip.mp4", frames())
    with av.open(str(tmp_path / "clip.mp4")) as container:
        codec = container.streams.video[0].codec_context
        assert (codec.name, codec.pix_fmt) == ("h264", "yuv420p")
    content = (tmp_path / "clip.mp4").read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat")  # it plays before all has come


def test_mp4_of_an_ffmpeg_without_h264(tmp_path, monkeypatch):
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libx264"})
    write(tmp_path / "clip.mp4", frames())
    assert len(list(read_video(tmp_path / "clip.mp4"))) == 12


def test_a_frame_may_be_reused_behind_write(tmp_path):
    with VideoWriter(tmp_path / "clip.mp4") as writer:
        frame = np.empty((48, 64, 3), np.uint8)
        for image in frames():
            frame[:] = image
            writer.write(frame)
            frame[:] = 0
    for image, expected in zip(read_video(tmp_path / "clip.mp4"), frames(), strict=True):
        assert abs(float(image.mean()) - float(expected.mean())) < 4


@pytest.mark.parametrize("at_the_end", [False, True])
def test_an_error_of_the_encoder_is_raised(tmp_path, monkeypatch, at_the_end):
    def full(self, stream):
        while True:
            picture = self._waiting.get()
            if (picture is None) is at_the_end:
                self._error = self._error or OSError(28, "No space left on device", str(made))
            if picture is None:
                return

    made = tmp_path / "clip.mp4"
    monkeypatch.setattr(VideoWriter, "_encode", full)
    with pytest.raises(UserError, match=r"clip\.mp4: no space left; free some and run again"):
        write(made, frames(15))
    assert os.listdir(tmp_path) == []


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


def test_frames_in_a_folder_of_the_folder(tmp_path):
    """Before: `siamjax render --out=clip`, then `siamjax track clip` gave 'no images there'."""
    (tmp_path / "clip" / "img").mkdir(parents=True)
    for number in (2, 10, 1):
        cv2.imwrite(str(tmp_path / "clip/img" / f"{number}.png"), np.full((8, 8, 3), number))
    video = read_video(tmp_path / "clip")
    assert (video.name, [int(frame[0, 0, 0]) for frame in video]) == ("clip", [1, 2, 10])
    cv2.imwrite(str(tmp_path / "clip/5.png"), np.full((8, 8, 3), 5))  # its own come first
    assert [int(frame[0, 0, 0]) for frame in read_video(tmp_path / "clip")] == [5]


def test_missing_camera():
    with pytest.raises(UserError, match="camera 73 cannot be opened"):
        read_video("73")


def test_outputs_that_cannot_be(tmp_path):
    with pytest.raises(UserError, match=r"\.mp4 and \.webm play in browsers"):
        VideoWriter(tmp_path / "clip.gif")
    (tmp_path / "dir.webm").mkdir()
    with pytest.raises(UserError, match="is a folder"):
        VideoWriter(tmp_path / "dir.webm")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot make this folder"):
        VideoWriter(tmp_path / "file" / "clip.webm")


# --- what real files do


DATA = Path(__file__).parent / "data"


@pytest.mark.parametrize(
    "name, announced, count",
    [("cut.mp4", 20, 10), ("variable_rate.mkv", 29, 11), ("longer_sound.mkv", 46, 30)],
)
def test_a_container_counts_by_estimate(name, announced, count, caplog):
    """A file cut by `ffmpeg -ss 3.9 -c copy`, one of a variable rate, one with longer sound.

    Before: `siamjax track cut.mp4 ...` gave "the video ends early, 10 of 20 frames can be decoded",
    exit code 2, and no output.
    """
    video = read_video(DATA / name)
    assert video.count == pytest.approx(announced, abs=1)
    assert len(list(video)) == count
    expected = f"announces about {video.count} frames, {count} could be decoded"
    assert [expected in text for text in caplog.messages] == [True]
    assert len(list(read_video(DATA / name, frames=5))) == 5
    assert len(caplog.messages) == 1  # nothing is said of frames that nobody asked for


def test_ten_bits(caplog):
    """Frames of grey 20, 40, ... 200."""
    means = [frame.mean() for frame in read_video(DATA / "ten_bit.mp4")]
    assert means == pytest.approx(range(20, 201, 20), abs=1.5)
    assert not caplog.messages


def test_interlaced_fields_are_woven():
    """Rows of grey 60 and 180 in turn.

    Before: `read_video` gave frames of whatever was in memory, in silence: OpenCV's conversion of
    interlaced frames fails and its `retrieve` says that it is good.
    """
    frames = list(read_video(DATA / "interlaced.mp4"))
    assert len(frames) == 5
    for frame in frames:
        assert frame[::2].mean() == pytest.approx(60, abs=1)
        assert frame[1::2].mean() == pytest.approx(180, abs=1)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_rotation_of_the_metadata_is_obeyed(tmp_path, quarters, mirrored):
    """A quarter turn is clockwise, as telephones that are held upright write it; then left and
    right are exchanged, as some front cameras do.

    Before: a mirrored video was never mirrored, its upper left stood elsewhere.
    """
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24, :32] = 200  # upper left
    write(tmp_path / "clip.mp4", [picture] * 3)
    data = bytearray((tmp_path / "clip.mp4").read_bytes())
    cos, sin = [(1, 0), (0, 1), (-1, 0), (0, -1)][quarters]
    side = -1 if mirrored else 1
    rows = [(side * cos, sin, 0), (side * -sin, cos, 0)]
    matrix = [*(value << 16 for row in rows for value in row), 0, 0, 1 << 30]
    place = data.index(b"tkhd") + 44  # of the matrix in the head of the track
    data[place : place + 36] = struct.pack(">9i", *matrix)
    (tmp_path / "clip.mp4").write_bytes(data)
    expected = np.rot90(picture, -quarters)[:, ::side]
    for frame in read_video(tmp_path / "clip.mp4"):
        assert frame.shape == expected.shape
        assert np.abs(frame.astype(int) - expected).mean() < 5


def test_a_damaged_part_is_left_out(tmp_path):
    """Garbage in the middle: what follows is read."""
    write(tmp_path / "clip.avi", frames(12) * 5)
    data = bytearray((tmp_path / "clip.avi").read_bytes())
    places = [place for place in range(len(data)) if data.startswith(b"\xff\xd8", place)]
    data[places[20] : places[20] + 200] = bytes(200)
    (tmp_path / "clip.avi").write_bytes(data)
    means = [frame.mean() for frame in read_video(tmp_path / "clip.avi")]
    assert len(means) >= 58


@pytest.mark.parametrize(
    "name", [b"caf\xe9.mp4", "снимок.mp4".encode(), b"12:30 walk.mp4", b"12:30.mp4", b"50%d.mp4"]
)
def test_names_of_any_bytes(tmp_path, monkeypatch, name):
    """Before: `siamjax track $'caf\\xe9.mp4'` ended by a segmentation fault without output, and
    `siamjax track 12:30.mp4` by "not a video that OpenCV can read": FFmpeg saw a protocol 12."""
    monkeypatch.chdir(tmp_path)
    write(os.fsdecode(name), frames(3))
    assert os.listdir(os.fsencode(tmp_path)) == [name]
    video = read_video(os.fsdecode(name))
    assert len(list(video)) == 3
    video.name.encode()


def test_a_name_in_a_locale_that_is_not_utf8(tmp_path):
    """The bytes of the name are those on disk, in whatever encoding Python takes them for."""
    write(tmp_path / os.fsdecode(b"caf\xe9.mp4"), frames(3))
    code = (
        "import os, sys; from siamjax.media import read_video; "
        "print(sys.getfilesystemencoding(), len(list(read_video(os.listdir('.')[0]))))"
    )
    environment = {**os.environ, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.stdout.split()[-1] == "3", done.stderr


def test_two_clips_at_once_leave_the_standard_error(tmp_path, capfd):
    """Opening videos in threads touches no descriptor of the process.

    Before: `_quiet_stderr` entered twice and left in the order of entering left descriptor 2 at
    /dev/null for ever.
    """
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: write(tmp_path / f"{i}.webm", frames(3)), range(8)))
        for i in range(8):
            (tmp_path / f"{i}.mp4").write_bytes(b"no video")
        bad = [pool.submit(read_video, tmp_path / f"{i}.mp4") for i in range(8)]
        clips = pool.map(lambda i: len(list(read_video(tmp_path / f"{i}.webm"))), range(8))
        assert list(clips) == [3] * 8
        assert all(isinstance(job.exception(), UserError) for job in bad)
    os.write(2, b"still there")
    assert capfd.readouterr().err == "still there"


def test_a_sound_file_has_no_video(tmp_path):
    with av.open(str(tmp_path / "sound.mp3"), "w") as container:
        stream = container.add_stream("libmp3lame", rate=16000)
        silence = av.AudioFrame(format="s16p", layout="stereo", samples=8000)
        silence.sample_rate = 16000
        for plane in silence.planes:
            plane.update(bytes(plane.buffer_size))
        container.mux(stream.encode(silence) + stream.encode(None))
    with pytest.raises(UserError, match=r"sound\.mp3: no video in it"):
        read_video(tmp_path / "sound.mp3")


def test_frames_that_change_their_size_are_scaled_to_the_first(tmp_path):
    write(tmp_path / "clip.webm", [*frames(2), *frames(2, 96, 128)])
    assert [frame.shape for frame in read_video(tmp_path / "clip.webm")] == [(48, 64, 3)] * 4


# --- which frames


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Thirty frames of grey 5, 12, 19, ... as a folder and as videos at 5 frames a second."""
    folder = tmp_path_factory.mktemp("sources")
    images = [np.full((48, 64, 3), 5 + 7 * i, np.uint8) for i in range(30)]
    (folder / "images").mkdir()
    for i, image in enumerate(images):
        cv2.imwrite(str(folder / f"images/{i}.png"), image)
    write(folder / "clip.mkv", images, 5)
    write(folder / "clip.avi", images, 5)
    return folder


def numbers(video):
    """Those that it says, and those that its frames show."""
    found = [(number, round((frame.mean() - 5) / 7)) for number, frame in video.numbered()]
    assert [a for a, _ in found] == [b for _, b in found]
    return [a for a, _ in found]


@pytest.mark.parametrize("name", ["images", "clip.mkv", "clip.avi"])
@given(
    start=st.one_of(st.integers(0, 29), st.integers(0, 58).map(lambda n: f"{n / 10}s")),
    count=st.one_of(st.none(), st.integers(1, 40)),
    stride=st.integers(1, 12),
)
@settings(max_examples=12, deadline=None)
def test_start_frames_and_stride(sources, name, start, count, stride):
    """For each kind of source as of a list."""
    video = read_video(sources / name, start=start, frames=count, stride=stride)
    fps = 25 if name == "images" else 5
    times = [i / fps for i in range(30)]
    if isinstance(start, str):
        start = next((i for i, t in enumerate(times) if t >= float(start[:-1]) - 1e-6), 30)
    expected = list(range(30))[start::stride][:count]
    if expected:
        assert numbers(video) == expected
        assert numbers(video) == expected  # and in another pass
        assert video.count == len(expected)
        assert video.fps == fps / stride
    else:
        with pytest.raises(UserError, match=r"--start=.*: the video ends before, after 30 frames"):
            numbers(video)


def test_a_number_may_be_text_and_images_have_indices(sources):
    video = read_video(sources / "images", start="10", stride=3, frames=4)
    assert numbers(video) == [10, 13, 16, 19]
    assert len(video) == 4
    assert video[2].mean() == video[-2].mean() == 5 + 7 * 16


def test_seconds_follow_the_times_of_the_frames():
    """Frames 0..7 stand 0.2 s each, then each seventh of thirty: 14 at 2.8 s, 21 at 4.2 s."""
    video = read_video(DATA / "variable_rate.mkv", start="2.5s")
    assert [number for number, _ in video.numbered()] == [8, 9, 10]


@pytest.mark.parametrize(
    "wanted, message",
    [
        ({"start": "-1"}, "--start=-1: give a frame's number"),
        ({"start": "1m"}, "--start=1m: give a frame's number"),
        ({"start": "4.5"}, "--start=4.5: give a frame's number"),
        ({"start": "s"}, "--start=s: give a frame's number"),
        ({"frames": 0}, "--frames=0: must be at least 1"),
        ({"stride": 0}, "--stride=0: must be at least 1"),
        ({"resolution": "640x480"}, "--resolution=640x480: only for cameras"),
        ({"record": "out.webm"}, "--record=out.webm: only for cameras and streams"),
    ],
)
def test_what_cannot_be_wanted(sources, wanted, message):
    with pytest.raises(UserError, match=message):
        read_video(sources / "clip.avi", **wanted)


def test_a_full_disk_is_one_line_and_nothing_is_left(tmp_path):
    """Before: OpenCV wrote 100 kB of a video that needs more, "written", exit code 0."""
    code = (
        "import numpy as np; from siamjax.media import VideoWriter; "
        "from siamjax.errors import run_main\n"
        "def main():\n"
        "    with VideoWriter('clip.avi') as writer:\n"
        "        for frame in np.random.default_rng(0).integers(0, 255, (20, 240, 320, 3), 'u1'):\n"
        "            writer.write(frame)\n"
        "run_main(main)"
    )
    command = ["sh", "-c", 'ulimit -f 100; exec "$@"', "sh", sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, os.listdir(tmp_path)) == (2, [])
    assert done.stderr.startswith("error: clip.avi: too large for the file system")
