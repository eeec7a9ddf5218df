"""Other trackers than siamjax's, with the methods by which `siamjax track` follows targets."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from siamjax.errors import UserError
from siamjax.evaluation import attempts
from siamjax.evaluation.protocols import read_prediction
from siamjax.evaluation.specs import Spec


class TrackerFailed(UserError):
    """A tracker raised, or answered what is no box."""


class Found(NamedTuple):
    """What a frame gave; as `siamjax.tracking.session.Prediction`, without a response map."""

    box: tuple[float, float, float, float]
    score: float
    second_peak: float = 0.0
    lost: bool = False
    presence: None = None


class Motion(NamedTuple):
    """Centre and size, px; as `siamjax.tracking.tracker.Motion`."""

    centre: np.ndarray
    size: np.ndarray
    lost: bool = False
    evidence: float = 0.0


class Target:
    """A target with a tracker of its own.

    Attributes:
        motion: where it was last.
    """

    def __init__(self, spec: Spec):
        self._name, self._frame = spec.name, 0
        self._tracker = self._guarded(spec.make)

    def init(self, frame: np.ndarray, box) -> None:
        """Starts in a frame (H, W, 3) BGR at a box x, y, w, h, px.

        Raises:
            TrackerFailed: the tracker raised.
        """
        self._frame = 0
        first = tuple(map(float, box))
        self._guarded(lambda: self._tracker.init(frame, first))
        self._move(first)

    def update(self, frame: np.ndarray) -> Found:
        """The next frame (H, W, 3) BGR; a tracker without scores counts as sure.

        Raises:
            TrackerFailed: the tracker raised, or its answer is no box.
        """
        self._frame += 1
        box, score = self._guarded(lambda: read_prediction(self._tracker.update(frame)))
        x, y, w, h = box.tolist()
        self._move((x, y, w, h))
        return Found((x, y, w, h), 1.0 if np.isnan(score) else score)

    def _move(self, box: tuple) -> None:
        x, y, w, h = box
        self.motion = Motion(np.array([x + w / 2, y + h / 2]), np.array([w, h]))

    def _guarded(self, work) -> Any:
        try:
            return work()
        except (Exception, SystemExit) as error:
            reason = attempts.failure(error).reason
            place = f"{self._frame} frames after its start" if self._frame else "at its start"
            raise TrackerFailed(f"{self._name} failed {place}: {reason}") from error


class OtherTargets:
    """Targets that are added; as `siamjax.tracking.multi.MultiTracker`."""

    def __init__(self, spec: Spec):
        self._spec = spec
        self._targets: dict[int | str, Target] = {}

    @property
    def targets(self) -> Mapping[int | str, Target]:
        """By id, in the order in which they came."""
        return self._targets

    def add(self, frame: np.ndarray, box, name: int | str) -> int | str:
        """Starts a target, or a known one again; its id.

        Raises:
            TrackerFailed: as `Target.init`.
        """
        target = self._targets.get(name) or Target(self._spec)
        target.init(frame, box)
        self._targets[name] = target
        return name

    def update(self, frame: np.ndarray) -> dict[int | str, Found]:
        """Finds all targets in the next frame.

        Raises:
            TrackerFailed: as `Target.update`.
        """
        return {name: target.update(frame) for name, target in self._targets.items()}

    def fingerprint(self) -> str:
        """What the tracks depend on."""
        return f"{self._spec.identity} {self._spec.code}"
