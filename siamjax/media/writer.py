"""Writing a video whole."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from siamjax.errors import UserError
from siamjax.files import check_writable, replacing
from siamjax.media.opencv import plain_name
from siamjax.media.source import DEFAULT_FPS

# .webm plays in browsers; H.264 is not in OpenCV's wheel
_CODECS = {".webm": "VP80", ".mkv": "VP80", ".mp4": "mp4v", ".avi": "MJPG"}


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
        self._fps, self._size = fps, (0, 0)
        self._writer: cv2.VideoWriter | None = None
        self._opened = contextlib.ExitStack()  # the file, and the writer to it

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(self, *error) -> None:
        self._opened.__exit__(*error)

    def write(self, frame: np.ndarray) -> None:
        """Appends a frame, (H, W, 3) uint8, BGR.

        Raises:
            UserError: this kind of video cannot be written here.
        """
        if self._writer is None:
            self._size = (frame.shape[1], frame.shape[0])
            codec = cv2.VideoWriter.fourcc(*_CODECS[self.path.suffix.lower()])
            name = self._opened.enter_context(_target(self.path))
            self._writer = cv2.VideoWriter(name, cv2.CAP_FFMPEG, codec, self._fps, self._size)
            self._opened.callback(self._writer.release)
            if not self._writer.isOpened():
                raise UserError(f"{self.path}: this video cannot be written; try a .webm name")
        if (frame.shape[1], frame.shape[0]) != self._size:
            frame = cv2.resize(frame, self._size)
        self._writer.write(np.ascontiguousarray(frame))

    def close(self) -> None:
        """Finishes the video and gives it its name; without frames there is none."""
        self._opened.close()


@contextlib.contextmanager
def _target(path: Path) -> Iterator[str]:
    """The name that OpenCV writes to; the file appears as `path` at the end of the block.

    OpenCV prints a line for each .webm that it opens, past its own log: there a .mkv is written,
    which is the same container but for the type that its head names.
    """
    with replacing(path) as temporary, contextlib.ExitStack() as stack:
        webm = path.suffix.lower() == ".webm"
        written = temporary.with_suffix(".mkv") if webm else temporary
        if webm:
            stack.callback(written.unlink, missing_ok=True)
        yield stack.enter_context(plain_name(written))
        if webm and written.exists():
            _name_webm(written)
            os.replace(written, temporary)


def _name_webm(path: Path) -> None:
    """Makes the Matroska file a WebM file: writes its DocType, with four bytes to be skipped."""
    with open(path, "r+b") as file:
        head = file.read(64)
        file.seek(0)
        file.write(head.replace(b"\x42\x82\x88matroska", b"\x42\x82\x84webm\xec\x82\0\0", 1))
