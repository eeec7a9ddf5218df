"""Writing a video whole."""

import contextlib
import fractions
import functools
import os
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import av
import cv2
import numpy as np

from siamjax.errors import UserError, refused
from siamjax.files import check_writable, replacing
from siamjax.media.source import DEFAULT_FPS

# The first one that is there: libx264 is in PyAV's wheels, not in every build of FFmpeg.
_CODECS = {
    ".mp4": ("libx264", "mpeg4"),
    ".webm": ("libvpx",),
    ".mkv": ("libvpx",),
    ".avi": ("mjpeg",),
}
# H.264 takes less of the processor than VP8, for the same error a third of its size. VP8 in real
# time takes a quarter of the time of its default and looks the same at these rates. Its speed is
# negative, which fixes it: else it follows the clock, and the same frames give other bytes.
_OPTIONS: dict[str, dict[str, object]] = {
    "libx264": {"preset": "ultrafast", "crf": "18"},
    "libvpx": {"deadline": "realtime", "cpu-used": "-6"},
}
# What is written stands in the file at once, so that it plays without an end.
_ONCE = {
    ".mp4": {"movflags": "+frag_every_frame+empty_moov+default_base_moof"},
    ".mkv": {"cluster_time_limit": "1000"},  # ms
    ".webm": {"cluster_time_limit": "1000"},
}
_BY_QUALITY = ("libx264",)  # these choose the rate themselves
_WAITING = 3  # frames between the writer and the encoder
_BITS = 64  # most bits for a pixel: no codec needs as many, so that it is not the rate that limits


class VideoWriter:
    """Writes a video that appears under its name only when it is whole.

        with VideoWriter("out.mp4", fps=30) as writer:
            writer.write(frame)

    Leaving the block by an error removes what was written. The first frame sets the size; later
    ones of another size are scaled to it. Codecs take even sizes only: an odd last row or column is
    left out. A thread encodes, up to a few frames behind; its error is raised by the next `write`
    or at the end.

    Args:
        path: .mp4 (H.264, plays in browsers; recommended), .webm (VP8, plays in all browsers, takes
            longer), .mkv (VP8) or .avi (MJPEG).
        fps: frames per second.
        once: what is written comes only once. It plays up to its last second also where the process
            is killed (its file has the temporary name then) or the disk is full (its own name).

    Raises:
        UserError: another suffix, or a place that cannot be written to.
    """

    def __init__(self, path: str | os.PathLike, fps: float = DEFAULT_FPS, once: bool = False):
        self.path = Path(path)
        check_suffix(path)
        check_writable(self.path)
        self._once = once
        self._rate = fractions.Fraction(fps).limit_denominator(1001)
        self._stream: av.VideoStream | None = None
        self._size, self._count = (0, 0), 0  # of a frame, of frames
        self._waiting: queue.Queue[av.VideoFrame | None] = queue.Queue(_WAITING)
        self._error: BaseException | None = None  # of the thread
        self._opened = contextlib.ExitStack()  # the file, and the writer to it

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(self, *error) -> None:
        self._opened.__exit__(*error)

    def write(self, frame: np.ndarray) -> None:
        """Appends a frame, (H, W, 3) uint8, BGR.

        Raises:
            UserError: this video cannot be written here.
        """
        stream = self._stream or self._open(*frame.shape[1::-1])
        if (frame.shape[1], frame.shape[0]) != self._size:
            frame = cv2.resize(frame, self._size)
        even = np.ascontiguousarray(frame[: stream.height, : stream.width])
        self._check()
        layout = "bgr24"
        if stream.pix_fmt == "yuv420p":  # OpenCV converts in a tenth of FFmpeg's time
            even, layout = cv2.cvtColor(even, cv2.COLOR_BGR2YUV_I420), "yuv420p"
        picture = av.VideoFrame.from_ndarray(even, format=layout)  # a copy
        picture.pts, picture.time_base = self._count, 1 / self._rate
        self._count += 1
        self._waiting.put(picture)

    def copy(self, path: str | os.PathLike, frames: int, size: tuple[int, int]) -> None:
        """Begins with the first frames of a .webm or .mkv of this class, without encoding them.

        Args:
            path: of a video that has the same rate.
            frames: how many, at least one.
            size: width and height of its frames, as they were given; px.

        Raises:
            UserError: no such video, or a shorter one; this video cannot be written here.
        """
        try:
            with av.open(os.path.abspath(path)) as container:
                stream = self._open(*size)
                for packet in container.demux(container.streams.video[0]):
                    if packet.size == 0 or self._count == frames:
                        break
                    packet.stream = stream
                    self._container.mux(packet)
                    self._count += 1
        except (av.FFmpegError, OSError, IndexError) as error:
            raise UserError(f"{path}: not a video of siamjax; make it again") from error
        if self._count < frames:
            raise UserError(f"{path}: {self._count} frames where {frames} are needed")

    def _open(self, width: int, height: int) -> av.VideoStream:
        if min(width, height) < 2:
            raise UserError(f"{self.path}: frames of {width}x{height} px are too small for a video")
        placed = _kept(self.path) if self._once else replacing(self.path)
        name = os.path.abspath(self._opened.enter_context(placed))
        suffix = self.path.suffix.lower()
        codec = next(codec for codec in _CODECS[suffix] if codec in av.codecs_available)
        # the index stands in front, so that a browser starts before it has all
        options = {"movflags": "+faststart"} if suffix == ".mp4" else {}
        if self._once:
            options = {"flush_packets": "1", **_ONCE.get(suffix, {})}
        self._container = self._opened.enter_context(av.open(name, "w", options=options))
        stream = cast(av.VideoStream, self._container.add_stream(codec, rate=self._rate))
        self._size = width, height
        stream.width, stream.height = width // 2 * 2, height // 2 * 2
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.options = _OPTIONS.get(codec, {"qmin": "3"})
        stream.thread_count = 1  # VP8's threads wait for each other most of the time
        if codec not in _BY_QUALITY:
            stream.bit_rate = min(int(_BITS * width * height * self._rate), 1 << 30)
        thread = threading.Thread(target=self._encode, args=(stream,), daemon=True)
        thread.start()
        self._opened.callback(functools.partial(self._finish, thread))
        self._stream = stream
        return stream

    def _encode(self, stream: av.VideoStream) -> None:
        """What the thread does until it is given None: after an error nothing more is encoded."""
        while True:
            picture = self._waiting.get()
            if self._error is None:
                try:
                    self._container.mux(stream.encode(picture))
                except BaseException as error:
                    self._error = error
            if picture is None:
                return

    def _finish(self, thread: threading.Thread) -> None:
        self._waiting.put(None)
        thread.join()
        self._check()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Finishes the video and gives it its name; without frames there is none."""
        self._opened.close()


def check_suffix(path: str | os.PathLike) -> None:
    """Refuses a video that `VideoWriter` does not write.

    Raises:
        UserError: another suffix.
    """
    if Path(path).suffix.lower() not in _CODECS:
        suffixes = ", ".join(_CODECS)
        raise UserError(f"{path}: write to one of {suffixes} (.mp4 and .webm play in browsers)")


@contextlib.contextmanager
def _kept(path: Path) -> Iterator[Path]:
    """As `replacing`, but what was written before an error of the disk has the name, too."""
    failed = None
    with replacing(path) as temporary:
        try:
            yield temporary
        except OSError as error:
            failed = error
    if failed is not None:
        raise refused(path, failed) from failed
