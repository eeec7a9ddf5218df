"""SiamRPN++ visual tracking in JAX and Flax.

    tracker = siamjax.load()
    tracker.init(frame, (x, y, w, h))
    prediction = tracker.update(next_frame)

Importing this package is cheap: JAX, OpenCV and matplotlib are loaded by the modules that use them.
"""

from siamjax.version import __version__

__all__ = ["__version__", "load"]


def __getattr__(name):
    if name == "load":
        from siamjax.api import load

        return load
    raise AttributeError(f"module 'siamjax' has no attribute {name!r}")
