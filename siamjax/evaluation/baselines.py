"""Trackers to compare with: the first box forever, template matching, OpenCV's own.

Each has `init(frame, xywh)` and `update(frame) -> Prediction`; frames are BGR uint8, boxes 0-based
`xywh` in px.
"""

import os
from typing import NamedTuple

import cv2
import numpy as np

from siamjax import opencv
from siamjax.errors import UserError


class Prediction(NamedTuple):
    """The box (x, y, width, height in px) and how sure the tracker is of it."""

    box: tuple[float, float, float, float]
    score: float


def _as_box(xywh) -> tuple[float, float, float, float]:
    x, y, w, h = (float(v) for v in xywh)
    if not (np.isfinite([x, y, w, h]).all() and w > 0 and h > 0):
        raise UserError(f"box {tuple(xywh)}: need finite x, y and width, height > 0")
    return x, y, w, h


class Static:
    """Answers the first box for every frame: what a sequence gives away for nothing."""

    def init(self, frame: np.ndarray, xywh) -> None:
        """Starts at a box x, y, w, h, px of the frame (H, W, 3) BGR.

        Raises:
            UserError: a box without area, or not finite.
        """
        self._box = _as_box(xywh)

    def update(self, frame: np.ndarray) -> Prediction:
        """The first box again."""
        return Prediction(self._box, 1.0)


class TemplateMatching:
    """Normalised cross-correlation of the first patch around the last position, at the first size.

    The score is the correlation coefficient (OpenCV's TM_CCOEFF_NORMED), -1..1. Pixels outside of
    the frame repeat its border.

    Args:
        search: side of the search window in sides of the box, > 1.
    """

    def __init__(self, search: float = 3.0):
        if not search > 1:
            raise ValueError("search must be greater than 1")
        self._search = search

    def init(self, frame: np.ndarray, xywh) -> None:
        """Starts at a box x, y, w, h, px of the frame (H, W, 3) BGR.

        Raises:
            UserError: a box without area, or not finite.
        """
        x, y, w, h = _as_box(xywh)
        left, top = round(x), round(y)
        self._shape = max(round(w), 1), max(round(h), 1)
        height, width = frame.shape[:2]
        if w > width:  # what is compared is bounded by the frame, whatever the box
            left, self._shape = 0, (width, self._shape[1])
        if h > height:
            top, self._shape = 0, (self._shape[0], height)
        self._offset = x - left, y - top, w, h
        self._corner = left, top
        self._template = _window(frame, left, top, *self._shape)
        self._contrast = bool(np.ptp(self._template, axis=(0, 1)).any())

    def update(self, frame: np.ndarray) -> Prediction:
        """The box in the next frame, (H, W, 3) BGR."""
        w, h = self._shape
        reach_x, reach_y = (round((self._search - 1) / 2 * side) for side in (w, h))
        left, top = self._corner[0] - reach_x, self._corner[1] - reach_y
        window = _window(frame, left, top, w + 2 * reach_x, h + 2 * reach_y)
        response = cv2.matchTemplate(window, self._template, cv2.TM_CCOEFF_NORMED)
        score = 0.0  # without contrast there is no correlation: stays where it is
        if self._contrast:
            score = float(response.max())
            row, column = np.unravel_index(int(response.argmax()), response.shape)
            # the centre stays inside of the frame
            x = int(np.clip(left + column, -(w // 2), frame.shape[1] - 1 - w // 2))
            y = int(np.clip(top + row, -(h // 2), frame.shape[0] - 1 - h // 2))
            self._corner = x, y
        (left, top), (dx, dy, width, height) = self._corner, self._offset
        return Prediction((left + dx, top + dy, width, height), min(score, 1.0))


def _window(image: np.ndarray, left: int, top: int, width: int, height: int) -> np.ndarray:
    """The pixels left..left+width, top..top+height; outside of the image its border is repeated."""
    rows = np.arange(top, top + height).clip(0, image.shape[0] - 1)
    columns = np.arange(left, left + width).clip(0, image.shape[1] - 1)
    return image[rows[:, None], columns]


class OpenCV:
    """One of OpenCV's own trackers behind siamjax's interface; integer boxes.

    MIL is in every build of OpenCV; CSRT, KCF and MOSSE are in its contrib wheels alone; Nano,
    DaSiamRPN and Vit need the ONNX files of OpenCV's model zoo. The score is the tracker's own,
    1 where it has none; when it reports a failure: its last box, score 0. MIL draws random numbers,
    from OpenCV's generator and the C library's `rand`; `protocols.seed_random_numbers` sets both.

    Args:
        name: "MIL", "CSRT", "KCF", "MOSSE", "Nano", "DaSiamRPN" or "Vit".
        **files: paths of the model files by OpenCV's own names, as in `OPENCV`.

    Raises:
        UserError: the tracker is not in this OpenCV, or a model file is missing or not readable.
    """

    def __init__(self, name: str, **files: str):
        self._name = name
        self._files = {key: os.fspath(path) for key, path in files.items()}
        if name not in opencv_trackers():
            raise UserError(
                f"tracker {name} is not in this OpenCV (it has {', '.join(opencv_trackers())}); "
                f"{opencv.remedy()}"
            )
        if set(self._files) != set(OPENCV[name]):
            needed = ", ".join(f"{key}=FILE" for key in OPENCV[name]) or "none"
            raise UserError(f"OpenCV's tracker {name} needs model files: {needed}{_source(name)}")
        for path in self._files.values():
            if not os.path.isfile(path):
                raise UserError(
                    f"{path}: no such model file for OpenCV's tracker {name}{_source(name)}"
                )
        if self._files:
            self._create()  # model files that cannot be read are known before anything runs

    def _create(self):
        if not self._files:
            return _opencv_factory(self._name)()
        params = getattr(cv2, f"Tracker{self._name}_Params")()
        for key, path in self._files.items():
            setattr(params, key, path)
        try:
            return _opencv_factory(self._name)(params)
        except cv2.error as error:
            files = ", ".join(self._files.values())
            raise UserError(
                f"{files}: OpenCV cannot read these model files ({error.err})"
            ) from error

    def init(self, frame: np.ndarray, xywh) -> None:
        """Starts at a box x, y, w, h, px of the frame (H, W, 3) BGR.

        Raises:
            UserError: a box without area.
        """
        x, y, w, h = _as_box(xywh)
        # OpenCV takes integers, and a box inside of the frame
        size = np.array(frame.shape[1::-1])
        corner = np.rint([x, y]).clip(0, size - 2)
        sides = np.rint([x + w, y + h]).clip(corner + 2, size) - corner
        self._box = _as_box([*corner, *sides])
        self._tracker = self._create()
        self._tracker.init(frame, tuple(map(int, self._box)))

    def update(self, frame: np.ndarray) -> Prediction:
        """The box in the next frame, (H, W, 3) BGR."""
        found, box = self._tracker.update(frame)
        if not found:
            return Prediction(self._box, 0.0)
        x, y, w, h = (float(v) for v in box)
        self._box = (x, y, w, h)
        score = getattr(self._tracker, "getTrackingScore", lambda: -1.0)()
        return Prediction(self._box, float(score) if score >= 0 else 1.0)  # -1: it has none


# OpenCV's trackers, with its names of the model files that they need
OPENCV: dict[str, tuple[str, ...]] = {
    **{"MIL": (), "CSRT": (), "KCF": (), "MOSSE": ()},
    "Nano": ("backbone", "neckhead"),
    "DaSiamRPN": ("model", "kernel_cls1", "kernel_r1"),
    "Vit": ("net",),
}
# where these files are
SOURCES = {
    "Nano": "https://github.com/HonglinChu/SiamTrackers, NanoTrack/models/nanotrackv2",
    "DaSiamRPN": "the links in https://github.com/opencv/opencv/blob/4.x/samples/python/tracker.py",
    "Vit": "https://github.com/opencv/opencv_zoo, models/object_tracking_vittrack",
}


def _source(name: str) -> str:
    return f"; get them from {SOURCES[name]}" if name in SOURCES else ""


def _opencv_factory(name: str):
    create = f"Tracker{name}_create"
    return getattr(cv2, create, None) or getattr(getattr(cv2, "legacy", None), create, None)


def opencv_trackers() -> tuple[str, ...]:
    """Names of the trackers that this build of OpenCV has."""
    return tuple(name for name in OPENCV if _opencv_factory(name))


def opencv_name(name: str) -> str | None:
    """OpenCV's spelling of a tracker's name; None where it is none of OpenCV's."""
    return next((known for known in OPENCV if known.lower() == name.lower()), None)


def available() -> tuple[str, ...]:
    """Names that `make` takes without model files."""
    return *OWN, *(name for name in opencv_trackers() if not OPENCV[name])


OWN = {"static": Static, "template_matching": TemplateMatching}


def make(name: str, **files: str) -> Static | TemplateMatching | OpenCV:
    """A new tracker by name: "static", "template_matching" or an OpenCV tracker; in any case.

    Args:
        **files: model files, for the OpenCV trackers that need them (see `OpenCV`).

    Raises:
        UserError: unknown name, or one that this OpenCV does not have; lists what is available.
    """
    if name.lower() in OWN:
        if files:
            raise UserError(f"tracker {name} takes no model files")
        return OWN[name.lower()]()
    if (tracker := opencv_name(name)) is not None:
        return OpenCV(tracker, **files)
    raise UserError(f"unknown tracker {name!r}; available: {', '.join(available())}")
