"""The frames of labelled videos as image files, where a format expects them."""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import cv2

from siamjax.errors import UserError
from siamjax.media.labels.images import frame_name
from siamjax.media.labels.model import Video

_QUALITY = 95  # of the JPEGs


def pictures(videos: list[Video], module: ModuleType) -> Iterator[tuple[str, bytes]]:
    """Path below the output, and content, of each frame: image files as they are, frames of video
    files as JPEG.

    Args:
        module: of the format; its `image_path(video, frame)` says where a frame is expected, else
            it is in a folder with the video's name.

    Raises:
        UserError: the frames are not there, or one with a label cannot be read.
    """
    for video in videos:
        frames = video.frames()
        for i, path in enumerate(paths(video, module)):
            try:
                content = _content(video, frames, i)
            except UserError:
                if i > video.last:  # a container's count is an estimate
                    break
                raise
            yield path, content


def paths(video: Video, module: ModuleType) -> list[str]:
    """Where the frames of a video are expected below the output."""
    image_path = getattr(module, "image_path", _image_path)
    return [image_path(video, i) for i in range(video.count)]


def _image_path(video: Video, frame: int) -> str:
    return f"{video.name}/{frame_name(video, frame)}"


def _content(video: Video, frames, frame: int) -> bytes:
    if video.images:
        return _read(video.images[frame])
    quality = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    return cv2.imencode(".jpg", frames[frame], quality)[1].tobytes()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); restore it") from None
