"""SiamRPN++ visual tracking in JAX and Flax.

    tracker = siamjax.load()
    tracker.init(frame, (x, y, w, h))
    prediction = tracker.update(next_frame)

`MultiTracker(siamjax.load())` follows several targets.

Importing this package is cheap: JAX, OpenCV and matplotlib are loaded by the modules that use them.
"""

from importlib import import_module

from siamjax.version import __version__

_LAZY = {"MultiTracker": "siamjax.tracking.multi", "load": "siamjax.api"}
__all__ = ["MultiTracker", "__version__", "load"]


def __getattr__(name):
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'siamjax' has no attribute {name!r}")
