"""The tracker: pure functions on pytrees (`tracker`), and a stateful session around them."""

from siamjax.tracking.config import Settings, TrackerConfig
from siamjax.tracking.session import Heatmap, Prediction, Tracker

__all__ = ["Heatmap", "Prediction", "Settings", "Tracker", "TrackerConfig"]
