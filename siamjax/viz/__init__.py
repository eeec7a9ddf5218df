"""Pictures: boxes and score maps on frames, and videos in and out."""

from siamjax.viz.draw import PALETTE, draw_boxes, draw_heatmap
from siamjax.viz.video import Video, VideoWriter, check_writable, read_video

__all__ = [
    "PALETTE",
    "Video",
    "VideoWriter",
    "check_writable",
    "draw_boxes",
    "draw_heatmap",
    "read_video",
]
