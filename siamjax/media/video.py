"""Reading frames from a video file, an image folder or a camera; writing a video whole."""

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np

from siamjax.errors import UserError
from siamjax.files import check_writable, replacing
from siamjax.media.frames import IMAGE_SUFFIXES, ImageFiles, list_images

# .webm plays in browsers; H.264 is not in OpenCV's wheel
_CODECS = {".webm": "VP80", ".mkv": "VP80", ".mp4": "mp4v", ".avi": "MJPG"}
_DEFAULT_FPS = 25.0


def read_video(source: str | os.PathLike) -> "Video":
    """Opens a video file, a folder of images (ordered by number), or a camera by its number.

    Returns:
        A `Video`, whose frames are decoded while it is iterated.

    Raises:
        UserError: no such file, nothing that can be decoded, a folder without images.
    """
    path = Path(source)
    if path.is_dir():
        return ImageFolder(path)
    if path.is_file():
        return VideoFile(path)
    if str(source).isdecimal():
        return Camera(int(str(source)))
    raise UserError(f"{source}: no such video file or image folder")


class Video(Iterable[np.ndarray]):
    """Frames (H, W, 3) uint8, BGR, in order; iterate it (again for another pass).

    Attributes:
        name: short name, for titles and default output names.
        fps: frames per second.
        count: number of frames as far as known before decoding; None for a camera.
    """

    def __init__(self, name: str, fps: float = _DEFAULT_FPS, count: int | None = None):
        self.name, self.fps, self.count = name, fps, count


class ImageFolder(Video):
    """Images of one folder, by number; random access, by `len` and index, too."""

    def __init__(self, path: Path):
        self._images = ImageFiles(list_images(path))
        if not self._images:
            raise UserError(f"{path}: no images there ({', '.join(IMAGE_SUFFIXES)})")
        super().__init__(path.resolve().name, count=len(self))

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index):
        return self._images[index]

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self._images)


class VideoFile(Video):
    """A video file, decoded by the FFmpeg inside OpenCV."""

    def __init__(self, path: Path):
        self.path = path
        capture = self._open()
        claimed = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        super().__init__(path.stem, _rate(capture), claimed if claimed > 0 else None)
        if next(_frames(capture), None) is None:
            raise UserError(f"{path}: a video without a readable frame; encode it again")

    def __iter__(self) -> Iterator[np.ndarray]:
        decoded = 0
        for frame in _frames(self._open()):
            decoded += 1
            yield frame
        # Some containers have no count of frames, it is computed from the duration: allow for that.
        if self.count is not None and decoded < self.count - max(2, self.count // 50):
            raise UserError(
                f"{self.path}: the video ends early, {decoded} of {self.count} frames can be "
                f"decoded; encode it again, or take what is there by --frames={decoded}"
            )

    def _open(self) -> cv2.VideoCapture:
        fault = f"{self.path}: not a video that OpenCV can read; encode it again"
        return _capture(fault, str(self.path), cv2.CAP_FFMPEG)


class Camera(Video):
    """A camera of this machine, by number; endless."""

    def __init__(self, number: int):
        self.number = number
        capture = self._open()
        super().__init__(f"camera{number}", _rate(capture))
        capture.release()

    def __iter__(self) -> Iterator[np.ndarray]:
        yield from _frames(self._open())
        raise UserError(f"camera {self.number} stopped giving frames")

    def _open(self) -> cv2.VideoCapture:
        fault = f"camera {self.number} cannot be opened; is it there and free?"
        return _capture(fault, self.number)


def _capture(fault: str, *source) -> cv2.VideoCapture:
    with _quiet_stderr():
        capture = cv2.VideoCapture(*source)
    if not capture.isOpened():
        raise UserError(fault)
    return capture


def _rate(capture: cv2.VideoCapture) -> float:
    fps = capture.get(cv2.CAP_PROP_FPS)
    return fps if 0 < fps < 1000 else _DEFAULT_FPS


def _frames(capture: cv2.VideoCapture) -> Iterator[np.ndarray]:
    """All frames that can be read; then releases the capture."""
    try:
        while True:
            good, frame = capture.read()
            if not good:
                return
            yield frame
    finally:
        capture.release()


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

    def __init__(self, path: str | os.PathLike, fps: float = _DEFAULT_FPS):
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
            name = str(self._opened.enter_context(replacing(self.path)))
            with _quiet_stderr():
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
def _quiet_stderr():
    """Hides what OpenCV and FFmpeg print on opening a video.

    Errors of siamjax describe the same faults; that VP8 has no tag in .webm is none.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
