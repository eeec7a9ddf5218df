"""Opens what a user names as a video: a file, a folder, a camera or a stream."""

import functools
import logging
import os
import re
import weakref
from pathlib import Path
from urllib.parse import unquote, urlsplit

import cv2

from siamjax.errors import UserError
from siamjax.media import download
from siamjax.media.folder import image_file, image_folder
from siamjax.media.frames import IMAGE_SUFFIXES
from siamjax.media.live import WAIT, Live
from siamjax.media.opencv import open_capture
from siamjax.media.selection import Selection
from siamjax.media.source import Video
from siamjax.media.video_file import VideoFile, announced, video_file

_log = logging.getLogger(__name__)

_STREAMS = ("rtsp", "rtsps", "udp", "http", "https")


def read_video(
    source: str | os.PathLike,
    *,
    start: int | str = 0,
    frames: int | None = None,
    stride: int = 1,
    resolution: str | None = None,
    record: str | os.PathLike | None = None,
) -> Video:
    """Opens a video file, a folder of images (ordered by number), a camera or a stream.

    Args:
        source: a path; a camera's number or device (0, /dev/video0); an address that begins with
            rtsp://, http://, https:// or udp://. A GIF and an animated WebP, PNG or AVIF are
            videos, another image is a video of one frame.
        start: the first frame that is wanted: its number from 0, or seconds as "4.5s".
        frames: how many frames at most; None: all.
        stride: every so many frames.
        resolution: that a camera is asked for, "1280x720".
        record: a file to which all frames of a camera or a stream are written, see `Live`.

    Returns:
        A `Video`, whose frames are decoded while it is iterated.

    Raises:
        UserError: no such file, nothing that can be decoded, a folder without images, a camera or
            stream that cannot be opened, a value that means nothing here.
    """
    selection = Selection(start, frames, stride).checked()
    name = os.fspath(source)
    path = Path(name)
    camera = path.is_char_device() or (name.isdecimal() and not path.exists())
    stream = urlsplit(name).scheme in _STREAMS and "://" in name and not path.exists()
    for flag, value, fits in (
        ("resolution", resolution, camera),
        ("record", record, camera or stream),
    ):
        if value is not None and not fits:
            kinds = "cameras" if flag == "resolution" else "cameras and streams"
            raise UserError(f"--{flag}={value}: only for {kinds}, not for {name}")
    if camera:
        return _camera(int(name) if name.isdecimal() else name, selection, resolution, record)
    if stream:
        return _stream(name, selection, record)
    if path.is_dir():
        return image_folder(path, selection)
    if path.is_file():
        return (image_file if _is_image(path) else video_file)(path, selection)
    raise UserError(f"{source}: no such video file or image folder")


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in (*IMAGE_SUFFIXES, ".avif")


def _camera(source: int | str, selection, resolution, record) -> Video:
    shown = f"camera {source}"
    backend = cv2.CAP_ANY if isinstance(source, int) else cv2.CAP_V4L2
    size = _resolution(resolution) if resolution is not None else None
    wanted = [cv2.CAP_PROP_FRAME_WIDTH, size[0], cv2.CAP_PROP_FRAME_HEIGHT, size[1]] if size else []

    def connect():
        fault = f"{shown} cannot be opened; is it there and free?"
        capture = open_capture(source, backend, fault)
        for name, value in zip(wanted[::2], wanted[1::2]):
            capture.set(name, value)
        got = tuple(int(capture.get(name)) for name in wanted[::2])
        if size and got != size:
            _log.warning("%s: gives %dx%d px, not %s", shown, *got, resolution)
        return capture

    name = f"camera{source}" if isinstance(source, int) else Path(source).name
    return Live(name, shown, connect, selection, record)


def _resolution(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([1-9]\d*)[xX*]([1-9]\d*)", text)
    if match is None:
        raise UserError(f"--resolution={text}: give width x height in px, 1280x720")
    return int(match[1]), int(match[2])


def _stream(address: str, selection, record) -> Video:
    """A live stream, or a file behind an http address."""
    address, shown = download.quoted(address), download.shown(address)
    parts = urlsplit(address)
    web = parts.scheme.startswith("http")
    if web and (file := download.download(address, WAIT)) is not None:
        if record is not None:
            raise UserError(f"--record={record}: only for live streams; {shown} is a file")
        path = Path(file.name)
        image = _is_image(path)
        video = image_file(path, selection) if image else video_file(path, selection, shown)
        video.name = Path(unquote(parts.path)).stem
        weakref.finalize(video, file.close)
        return video
    fault = f"{shown}: no video there, or no answer within {WAIT:g} s"
    limit = int(WAIT * 1000)
    settings = (cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, limit, cv2.CAP_PROP_READ_TIMEOUT_MSEC, limit)
    # each further thread of the decoder holds a frame back
    settings += (cv2.CAP_PROP_N_THREADS, 1)
    connect = functools.partial(open_capture, address, cv2.CAP_FFMPEG, fault, settings)
    name = re.sub(r"[^\w.-]+", "_", shown.partition("://")[2]).strip("_")
    opened = [connect()]

    def again():  # a camera may take few connections
        return opened.pop() if opened else connect()

    if web and record is None and announced(opened[0]):
        return VideoFile(shown, name, again, selection, again=True)
    return Live(name, shown, again, selection, record)
