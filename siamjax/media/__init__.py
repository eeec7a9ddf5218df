"""Frames and boxes in files: images of folders, videos, cameras, streams, tables of numbers.

Importing this package is cheap: PyAV is loaded by the modules that read and write videos.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from siamjax.media.decoding_ahead import ahead
    from siamjax.media.source import Video
    from siamjax.media.video import read_video
    from siamjax.media.writer import VideoWriter

_LAZY = {
    "ahead": "siamjax.media.decoding_ahead",
    "Video": "siamjax.media.source",
    "VideoWriter": "siamjax.media.writer",
    "read_video": "siamjax.media.video",
}
__all__ = ["Video", "VideoWriter", "ahead", "read_video"]


def __getattr__(name):
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'siamjax.media' has no attribute {name!r}")
