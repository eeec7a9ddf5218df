"""Runs a tracker that `siamjax export` wrote; a file of its own that needs jax and numpy.

jax reads exported programs with the small package flatbuffers: pip install jax numpy flatbuffers.

tracker = ExportedTracker("tracker.zip")
tracker.init(frame, (x, y, w, h))  # frame: (H, W, 3) uint8, BGR, any size
box, score = tracker.update(next_frame)
"""

import io
import zipfile

import jax
import jax.export
import numpy as np


class ExportedTracker:
    """One target; compiles for a frame size when it first sees it."""

    def __init__(self, path):
        with zipfile.ZipFile(path) as file:
            arrays = np.load(io.BytesIO(file.read("weights.npz")))
            self._weights = [jax.device_put(arrays[name]) for name in arrays.files]
            self._settings = np.load(io.BytesIO(file.read("settings.npy")))
            self._init, self._update = (
                jax.jit(jax.export.deserialize(bytearray(file.read(name))).call)
                for name in ("init", "update")
            )

    def init(self, frame, box):
        """Starts a target whose box is x, y, w, h in px."""
        self._state = self._init(self._weights, frame, np.asarray(box, np.float32))

    def update(self, frame):
        """x, y, w, h in the next frame, and the score in 0..1."""
        self._state, box, score = self._update(self._weights, self._settings, self._state, frame)
        return tuple(np.asarray(box).tolist()), float(score)
