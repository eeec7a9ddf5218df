"""OpenCV's log and file names: quiet from the import of this module on, and names of any bytes."""

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2

from siamjax.errors import UserError

_FFMPEG_QUIET = "-8"  # AV_LOG_QUIET

# Errors of siamjax describe what OpenCV and FFmpeg would print. The user's own settings stand.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", _FFMPEG_QUIET)  # read when FFmpeg is first used
if "OPENCV_LOG_LEVEL" not in os.environ:
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


@contextlib.contextmanager
def plain_name(path: str | os.PathLike) -> Iterator[str]:
    """A name of a file that OpenCV can open, while the block runs; the file need not exist yet.

    OpenCV takes names as UTF-8. A file whose name has other bytes gets a link with a plain name in
    a temporary folder.
    """
    text = os.path.abspath(path)  # in "12:30.mp4" FFmpeg would see a protocol
    if os.fsencode(text) == text.encode("utf-8", "replace"):
        yield text
        return
    with tempfile.TemporaryDirectory(prefix="siamjax-") as folder:
        link = Path(folder, "video").with_suffix(readable(Path(text).suffix))
        link.symlink_to(text)
        yield str(link)


def readable(name: str) -> str:
    """A name as text that can be printed and encoded: bytes that are no text become U+FFFD."""
    return re.sub("[\ud800-\udfff]", "\ufffd", name)


def open_capture(
    source: str | Path | int, backend: int, fault: str, settings: Sequence[int] = ()
) -> cv2.VideoCapture:
    """Opens a video, a camera or a stream.

    Args:
        source: a file, an address (a text with "://"), or a camera's number.
        backend: one of OpenCV's CAP_ constants.
        fault: what is wrong when that fails.
        settings: property, value, property, value, ..., set before it is opened.

    Raises:
        UserError: it cannot be opened.
    """
    if isinstance(source, int) or "://" in str(source):
        capture = cv2.VideoCapture(source, backend, list(settings))
    else:
        with plain_name(source) as name:
            capture = cv2.VideoCapture(name, backend, list(settings))
    if not capture.isOpened():
        raise UserError(fault)
    return capture
