"""Frames and boxes in files: images of folders, videos, cameras, streams, tables of numbers."""

from siamjax.media.source import Video
from siamjax.media.video import read_video
from siamjax.media.writer import VideoWriter

__all__ = ["Video", "VideoWriter", "read_video"]
