"""Frames and boxes in files: images of folders, videos, tables of numbers."""

from siamjax.media.video import Video, VideoWriter, read_video

__all__ = ["Video", "VideoWriter", "read_video"]
