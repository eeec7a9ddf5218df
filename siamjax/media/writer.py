"""Writing a video whole."""

import contextlib
import fractions
import os
from pathlib import Path
from typing import cast

import av
import cv2
import numpy as np

from siamjax.errors import UserError
from siamjax.files import check_writable, replacing
from siamjax.media.source import DEFAULT_FPS

# .webm plays in browsers
_CODECS = {".webm": "libvpx", ".mkv": "libvpx", ".mp4": "mpeg4", ".avi": "mjpeg"}
# VP8 in real time takes a quarter of the time of its default and looks the same at these rates
_OPTIONS: dict[str, dict[str, object]] = {"libvpx": {"deadline": "realtime", "cpu-used": "4"}}
_BITS = 64  # most bits for a pixel: no codec needs as many, so that it is not the rate that limits


class VideoWriter:
    """Writes a video that appears under its name only when it is whole.

        with VideoWriter("out.webm", fps=30) as writer:
            writer.write(frame)

    Leaving the block by an error removes what was written. The first frame sets the size; later
    ones of another size are scaled to it. Codecs take even sizes only: an odd last row or column is
    left out.

    Args:
        path: .webm (VP8, plays in browsers; recommended), .mkv, .mp4 or .avi.
        fps: frames per second.

    Raises:
        UserError: another suffix, or a place that cannot be written to.
    """

    def __init__(self, path: str | os.PathLike, fps: float = DEFAULT_FPS):
        self.path = Path(path)
        if self.path.suffix.lower() not in _CODECS:
            suffixes = ", ".join(_CODECS)
            raise UserError(f"{path}: write to one of {suffixes} (.webm plays in browsers)")
        check_writable(self.path)
        self._rate = fractions.Fraction(fps).limit_denominator(1001)
        self._stream: av.VideoStream | None = None
        self._size, self._count = (0, 0), 0  # of a frame, of frames
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
        picture = av.VideoFrame.from_ndarray(even, format="bgr24")
        picture.pts, picture.time_base = self._count, 1 / self._rate
        self._count += 1
        self._container.mux(stream.encode(picture))

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
        name = os.path.abspath(self._opened.enter_context(replacing(self.path)))
        self._container = self._opened.enter_context(av.open(name, "w"))
        codec = _CODECS[self.path.suffix.lower()]
        stream = cast(av.VideoStream, self._container.add_stream(codec, rate=self._rate))
        self._size = width, height
        stream.width, stream.height = width // 2 * 2, height // 2 * 2
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.options = _OPTIONS.get(codec, {"qmin": "3"})
        stream.thread_count = 1  # VP8's threads wait for each other most of the time
        stream.bit_rate = min(int(_BITS * width * height * self._rate), 1 << 30)
        self._opened.callback(lambda: self._container.mux(stream.encode(None)))
        self._stream = stream
        return stream

    def close(self) -> None:
        """Finishes the video and gives it its name; without frames there is none."""
        self._opened.close()
