"""Video files and streams, decoded by the FFmpeg inside PyAV.

FFmpeg prints nothing: PyAV sets its log level so, once, when it is imported, and leaves that to the
user's `av.logging` from then on. `frames` does the same for OpenCV.
"""

import codecs
import functools
import os
from collections.abc import Callable, Generator, Iterator
from typing import cast

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer

from siamjax.errors import UserError
from siamjax.media.source import DEFAULT_FPS

Timed = tuple[float, Callable[[], np.ndarray | None]]  # seconds since the first, gives the frame


class Decoder:
    """An open video.

    Attributes:
        fps: frames per second; 25 where it does not say.
        announced: the number of frames that it announces, an estimate; None where it does not.
        size: width and height of a frame in px, before it is turned as its metadata say.

    Args:
        source: a file, or an address.
        shown: what messages call it.
        wait: seconds for a connection and for each frame; None: no limit.
        max_pixels: of a frame; larger ones are not decoded.

    Raises:
        UserError: it cannot be opened, holds no video, or one of larger frames.
    """

    def __init__(
        self,
        source: str | os.PathLike,
        shown: str,
        wait: float | None = None,
        max_pixels: int | None = None,
    ):
        file = isinstance(source, os.PathLike)
        name = os.path.abspath(source) if file else str(source)  # in "12:30.mp4" is no protocol
        options = {"rtsp_flags": "prefer_tcp"} if name.startswith("rtsp") else {}
        bound = {} if max_pixels is None else {"max_pixels": str(max_pixels)}
        try:
            self._container = av.open(name, timeout=wait, options=options | bound)
        except (av.FFmpegError, OSError, ValueError) as error:
            fix = _other_kind(name) if file else ""
            fix = fix or "not a video that FFmpeg can read; encode it again"
            if isinstance(error, av.error.ExitError):
                fix = f"no answer within {wait:g} s"
            elif not file:
                fix = f"no video there ({getattr(error, 'strerror', error)})"
            raise UserError(f"{shown}: {fix}") from error
        streams = [s for s in self._container.streams.video if not _is_cover(s)]
        if not streams:
            self._container.close()
            raise UserError(f"{shown}: no video in it")
        self._stream = streams[0]
        if max_pixels is not None:
            self._check_size(shown, max_pixels)
            self._stream.codec_context.options = bound  # a later frame may have another size
        # decoding by frames in parallel holds some of them back
        self._stream.thread_type = "AUTO" if file else "SLICE"
        rate = self._stream.average_rate or self._stream.guessed_rate or 0
        self.fps = float(rate) if 0 < rate < 1000 else DEFAULT_FPS
        self.announced = self._stream.frames or self._by_duration()
        self.size = self._stream.codec_context.width, self._stream.codec_context.height

    def _check_size(self, shown: str, most: int) -> None:
        codec = self._stream.codec_context
        if 0 < codec.width * codec.height <= most:
            return
        self._container.close()
        fault = f"frames of more than {most / 1e6:g} megapixels, or none that can be read"
        raise UserError(f"{shown}: {fault}; make them smaller")

    def _by_duration(self) -> int | None:
        if self._stream.duration is not None and self._stream.time_base is not None:
            seconds = float(self._stream.duration * self._stream.time_base)
        elif self._container.duration is not None:
            seconds = self._container.duration / av.time_base
        else:
            return None
        return round(seconds * self.fps) or None

    def frames(self) -> Generator[Timed, None, None]:
        """All frames, those that a damaged part leaves; then the video is closed."""
        begin, number = None, 0
        with self._container:
            for frame in self._decoded():
                if frame.time is None:
                    seconds = number / self.fps
                else:
                    begin = frame.time if begin is None else begin
                    seconds = frame.time - begin
                yield seconds, functools.partial(_pixels, frame)
                number += 1

    def _decoded(self) -> Iterator[av.VideoFrame]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, OSError):
                return  # what cannot be read is the end
            if packet is None:
                return
            try:
                frames = packet.decode()
            except (av.FFmpegError, OSError):
                continue
            yield from frames

    def close(self) -> None:
        """For a video whose frames are not wanted."""
        self._container.close()


def _other_kind(path: str) -> str:
    """What a file is that is no video at all; "" where it may be a damaged one."""
    try:
        with open(path, "rb") as file:
            head = file.read(4096)
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except (OSError, ValueError):
        return ""
    if not head:
        return "an empty file, not a video"
    return "" if "\0" in text else "a text file, not a video"


def _is_cover(stream) -> bool:
    """Whether it is the picture that a sound file carries."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _pixels(frame: av.VideoFrame) -> np.ndarray | None:
    """(H, W, 3) BGR, turned and mirrored as it is shown."""
    try:
        image = frame.to_ndarray(format="bgr24")
    except (av.FFmpegError, ValueError):
        return None
    # not frame.side_data: the two would hold each other until Python's collector comes
    matrix = SideDataContainer(frame).get("DISPLAYMATRIX")  # type: ignore[call-arg]
    if matrix is None:
        return image
    # where a pixel (x, y) is shown: (a x + c y, b x + d y), in units of 2**-16
    a, b, _, c, d, *_ = np.frombuffer(cast(bytes, matrix), np.int32).tolist()
    if abs(a) + abs(d) < abs(b) + abs(c):
        image, a, d = image.swapaxes(0, 1), c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])
