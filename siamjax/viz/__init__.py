"""Pictures: boxes and score maps on frames."""

from siamjax.viz.draw import PALETTE, draw_boxes, draw_heatmap

__all__ = ["PALETTE", "draw_boxes", "draw_heatmap"]
