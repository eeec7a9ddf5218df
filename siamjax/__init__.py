"""SiamRPN++ visual tracking in JAX and Flax.

    tracker = siamjax.load()
    tracker.init(frame, (x, y, w, h))
    prediction = tracker.update(next_frame)

`MultiTracker(siamjax.load())` follows several targets, `Streams` those of several live streams.

Importing this package is cheap: JAX, OpenCV and matplotlib are loaded by the modules that use them.
"""

import os
from importlib import import_module

from siamjax.version import __version__

# Images that claim more are refused before memory is taken for them, if OpenCV is not loaded yet.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(64 << 20))

_LAZY = {
    "MultiTracker": "siamjax.tracking.multi",
    "Streams": "siamjax.tracking.streams",
    "load": "siamjax.api",
}
__all__ = ["MultiTracker", "Streams", "__version__", "load"]


def __getattr__(name):
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'siamjax' has no attribute {name!r}")
