"""Opens what a user names as a video: a file, a folder, a camera or a stream."""

import functools
import os
import re
import weakref
from pathlib import Path
from urllib.parse import unquote, urlsplit

from siamjax.errors import UserError
from siamjax.media import download
from siamjax.media.camera import Camera, parse_resolution
from siamjax.media.decoder import Decoder
from siamjax.media.folder import image_file, image_folder
from siamjax.media.frames import IMAGE_SUFFIXES, readable
from siamjax.media.live import WAIT, Live
from siamjax.media.selection import Selection
from siamjax.media.source import Video
from siamjax.media.video_file import VideoFile

_STREAMS = ("rtsp", "rtsps", "udp", "http", "https")


def read_video(
    source: str | os.PathLike,
    *,
    start: int | str = 0,
    frames: int | None = None,
    stride: int = 1,
    resolution: str | None = None,
    record: str | os.PathLike | None = None,
    max_pixels: int | None = None,
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
        max_pixels: of a frame of a video file; larger ones are refused before they are decoded.

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
        size = None if resolution is None else parse_resolution(resolution)
        return _camera(int(name) if name.isdecimal() else name, selection, size, record)
    if stream:
        return _stream(name, selection, record)
    if path.is_dir():
        return image_folder(path, selection)
    if path.is_file():
        return _file(path, readable(path.stem), readable(name), selection, max_pixels)
    raise UserError(f"{source}: no such video file or image folder")


def _file(
    path: Path, name: str, shown: str, selection: Selection, max_pixels: int | None = None
) -> Video:
    if path.suffix.lower() in (*IMAGE_SUFFIXES, ".avif"):
        return image_file(path, name, shown, selection)
    connect = functools.partial(Decoder, path, shown, max_pixels=max_pixels)
    return VideoFile(name, shown, connect, selection)


def _camera(source: int | str, selection, resolution, record) -> Video:
    shown = f"camera {source}"
    name = f"camera{source}" if isinstance(source, int) else Path(source).name
    return Live(
        name, shown, functools.partial(Camera, source, shown, resolution), selection, record
    )


def _stream(address: str, selection, record) -> Video:
    """A live stream, or a file behind an http address."""
    address, shown = download.quoted(address), download.shown(address)
    parts = urlsplit(address)
    web = parts.scheme.startswith("http")
    if web and (file := download.download(address, WAIT)) is not None:
        if record is not None:
            raise UserError(f"--record={record}: only for live streams; {shown} is a file")
        video = _file(Path(file.name), Path(unquote(parts.path)).stem, shown, selection)
        weakref.finalize(video, file.close)
        return video
    opened = [Decoder(address, shown, WAIT)]

    def connect():  # a camera may take few connections
        return opened.pop() if opened else Decoder(address, shown, WAIT)

    name = re.sub(r"[^\w.-]+", "_", shown.partition("://")[2]).strip("_")
    if web and record is None and opened[0].announced:
        return VideoFile(name, shown, connect, selection, again=True)
    return Live(name, shown, connect, selection, record)
