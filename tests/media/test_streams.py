"""Streams and files behind addresses, from servers on this machine."""

import base64
import contextlib
import csv
import http.server
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from siamjax import cli
from siamjax.errors import UserError
from siamjax.media import VideoWriter, live, read_video

SERVER = Path(__file__).with_name("rtsp_server.py")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture
def short_waits(monkeypatch):
    monkeypatch.setattr(live, "WAIT", 2.0)
    monkeypatch.setattr("siamjax.media.video.WAIT", 2.0)


# --- http: the standard library's server


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files of a folder; /camera has no end, /half breaks off, /secret wants a password."""

    tries = 0

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        wanted = "Basic " + base64.b64encode("me:pässword".encode()).decode()
        if self.path.startswith("/camera"):
            self.camera()
        elif self.path.startswith("/half"):
            self.half()
        elif self.path.startswith("/secret") and self.headers["Authorization"] != wanted:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="all"')
            self.end_headers()
        else:
            super().do_GET()

    def camera(self):
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        picture = cv2.imencode(".jpg", np.full((48, 64, 3), 90, np.uint8))[1].tobytes()
        head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
        with contextlib.suppress(OSError):  # until the client has enough
            for _ in range(1000):
                self.wfile.write(head.encode() + picture + b"\r\n")
                self.server.stopped.wait(0.01)

    def half(self):
        """The first answer ends in the middle; so does the second of /half/always."""
        content = Path(self.directory, "clip.webm").read_bytes()
        Handler.tries += 1
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        short = Handler.tries == 1 or self.path.startswith("/half/always")
        self.wfile.write(content[: len(content) // 2] if short else content)


@pytest.fixture
def site(tmp_path):
    """The address of a server with the clips of `tmp_path`, thirty frames each."""
    rng = np.random.default_rng(0)
    for name in ("clip.webm", "clip.mp4", "drei Sätze.mp4"):
        with VideoWriter(tmp_path / name, 10) as writer:
            for frame in rng.integers(0, 255, (30, 48, 64, 3), dtype=np.uint8):
                writer.write(frame)
    shutil.copy(tmp_path / "clip.mp4", tmp_path / "secret.mp4")
    Handler.tries = 0

    def handler(*arguments):
        return Handler(*arguments, directory=str(tmp_path))

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.stopped = threading.Event()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.stopped.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("name", ["clip.webm", "clip.mp4", "drei Sätze.mp4"])
def test_a_file_behind_http_is_read_whole(site, name):
    """Also an .mp4 whose index lies at its end, from a server without ranges.

    Before: `siamjax track http://127.0.0.1:8123/clip.mp4 ...` gave "no such video file or image
    folder", exit code 2.
    """
    video = read_video(f"{site}/{name}")
    assert (video.live, video.name, video.fps) == (False, Path(name).stem, 10)
    assert len(list(video)) == len(list(video)) == 30
    assert len(list(read_video(f"{site}/{name}", start=10, stride=2))) == 10


def test_a_password_in_the_address(site):
    user = site.replace("//", "//me:p%C3%A4ssword@")
    assert len(list(read_video(f"{user}/secret.mp4"))) == 30
    with pytest.raises(UserError, match=r"^http://127\.0\.0\.1:\d+/secret\.mp4: 401 Unauthorized$"):
        read_video(f"{site}/secret.mp4")
    with pytest.raises(UserError, match=r"^http://127\.0\.0\.1:\d+/none\.mp4: 404 File not found$"):
        read_video(f"{user}/none.mp4")  # no password in the message


def test_a_download_that_breaks_off(site, caplog):
    assert len(list(read_video(f"{site}/half.webm"))) == 30
    assert not caplog.messages
    count = len(list(read_video(f"{site}/half/always.webm")))
    assert 5 < count < 30
    assert caplog.messages[0].endswith("/half/always.webm: broke off twice; what came is used")


def test_no_server_is_one_line(site, tmp_path):
    with pytest.raises(UserError, match=r"http://127\.0\.0\.1:\d+/clip: no answer \(.*refused"):
        read_video(f"http://127.0.0.1:{free_port()}/clip")
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(UserError, match=r"http://127.*/text\.mp4: a text file, not a video"):
        read_video(f"{site}/text.mp4")
    with pytest.raises(UserError, match=r"--record=all\.webm: only for live streams; .* is a file"):
        read_video(f"{site}/clip.mp4", record="all.webm")
    with pytest.raises(UserError, match="no such video file"):
        read_video("gopher://127.0.0.1/clip.mp4")


def test_a_network_camera_drops_and_counts(site, tmp_path):
    """Four frames come for one that is asked for."""
    video = read_video(f"{site}/camera", frames=8, record=tmp_path / "all.avi")
    assert (video.live, video.count) == (True, None)
    numbers = []
    for number, frame in video.numbered():
        assert frame.mean() == pytest.approx(90, abs=2)
        numbers.append(number)
        threading.Event().wait(0.05)
    assert len(numbers) == 8
    assert numbers == sorted(set(numbers))
    assert video.dropped == numbers[-1] - numbers[0] - 7 > 4
    assert len(list(read_video(tmp_path / "all.avi"))) > numbers[-1]


# --- rtsp by GStreamer, udp by ffmpeg, through the command


def interpreter_with_gstreamer() -> str | None:
    """A Python that has the RTSP server's bindings; None: there is none."""
    code = (
        "import gi; gi.require_version('Gst', '1.0'); gi.require_version('GstRtspServer', '1.0');"
        "from gi.repository import Gst, GstRtspServer; Gst.init(None);"
        "assert Gst.ElementFactory.find('x264enc') and Gst.ElementFactory.find('rtph264pay')"
    )
    for python in (sys.executable, "/usr/bin/python3"):
        if (
            shutil.which(python)
            and not subprocess.run([python, "-c", code], capture_output=True).returncode
        ):
            return python
    return None


@pytest.fixture
def rtsp():
    """start(frames) -> process and address of a server of a clip; frames -1: without an end."""
    python = interpreter_with_gstreamer()
    if python is None:  # of the system's packages alone
        packages = "gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-good and -ugly"
        pytest.skip(f"no GStreamer RTSP server: apt install {packages}")
    processes = []

    def start(frames, port=None):
        port = port or free_port()
        pipeline = (
            f"( videotestsrc is-live=true num-buffers={frames} pattern=ball ! "
            "video/x-raw,width=160,height=120,framerate=25/1 ! "
            "x264enc tune=zerolatency key-int-max=10 ! rtph264pay name=pay0 pt=96 )"
        )
        command = [python, SERVER, str(port), pipeline]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout.readline() == "ready\n"
        return process, f"rtsp://127.0.0.1:{port}/clip"

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def track(checkpoint, tmp_path, monkeypatch):
    """Runs `siamjax track` in an empty folder; the rows of its table."""
    monkeypatch.chdir(tmp_path)

    def run(source, *flags):
        flags = ("--box=20,10,30,24", "--csv=out.csv", f"--checkpoint={checkpoint}", *flags)
        assert not cli.dispatch(["track", source, *flags])
        with open("out.csv", newline="") as file:
            return list(csv.DictReader(file))

    return run


@pytest.mark.slow
def test_track_on_rtsp(rtsp, track):
    """Before: `siamjax track rtsp://127.0.0.1:8554/clip ...` gave "no such video file or image
    folder", exit code 2."""
    _, address = rtsp(-1)
    assert len(track(address, "--frames=30", "--out=out.webm")) == 30
    assert len(list(read_video("out.webm"))) == 30


@pytest.mark.slow
def test_track_to_the_end_of_rtsp(rtsp, track, short_waits):
    _, address = rtsp(60)
    rows = track(address)
    assert len(rows) >= 5
    assert float(rows[0]["x"]) == 20


@pytest.mark.slow
def test_rtsp_that_breaks_is_opened_once_more(rtsp, short_waits, caplog):
    process, address = rtsp(-1)
    video = read_video(address)
    found = []
    for number, _ in video.numbered():
        found.append(number)
        if len(found) in (20, 40):
            process.kill()
            process.wait()
        if len(found) == 20:
            process, _ = rtsp(-1, int(address.split(":")[2].split("/")[0]))
    assert len(found) >= 40
    assert found == sorted(set(found))
    assert video.dropped == found[-1] - found[0] + 1 - len(found)
    assert "broke off after" in caplog.messages[0]
    assert f"ended after {found[-1] + 1} frames" in caplog.messages[-1]


@pytest.mark.slow
def test_rtsp_that_is_not_there(rtsp, short_waits):
    _, address = rtsp(-1)
    with pytest.raises(UserError, match=r"rtsp://.*/none: no video there \(.*404"):
        read_video(address.replace("/clip", "/none").replace("//", "//me:secret@"))
    with pytest.raises(UserError, match=r"no video there \(Connection refused"):
        read_video(f"rtsp://127.0.0.1:{free_port()}/clip")


@pytest.mark.slow
def test_track_on_udp(track, short_waits, caplog):
    """Its end is silence: after a second try the track stands."""
    if shutil.which("ffmpeg") is None:  # PyAV has its libraries, not the program
        pytest.skip("no ffmpeg: apt install ffmpeg")
    port = free_port()
    picture = ["-re", "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25:duration=6"]
    codec = ["-c:v", "mpeg2video", "-g", "10", "-f", "mpegts", f"udp://127.0.0.1:{port}"]
    sender = subprocess.Popen(["ffmpeg", "-v", "error", *picture, *codec])
    rows = track(f"udp://127.0.0.1:{port}")
    sender.communicate()
    assert len(rows) >= 20
    assert "ended after" in caplog.messages[-1]
    with pytest.raises(UserError, match="no answer within 2 s"):
        read_video(f"udp://127.0.0.1:{port}")


@pytest.mark.slow
def test_track_on_http(site, track):
    """A file, and a camera."""
    rows = track(f"{site}/clip.mp4")
    assert [int(row["frame"]) for row in rows] == list(range(30))
    assert len(track(f"{site}/camera", "--frames=10")) == 10
