"""Targets through a video: boxes that are given in some of its frames, and a row per target and
frame from there on."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from siamjax.geometry.boxes import check_box
from siamjax.media.journal import Past, State
from siamjax.media.tracks import Row
from siamjax.tracking.session import Prediction
from siamjax.tracking.tracker import Motion


@runtime_checkable
class Targets(Protocol):
    """What follows targets that come and go; see `siamjax.tracking.multi.MultiTracker`."""

    @property
    def targets(self) -> Mapping[int | str, Any]:
        """By id; each has its `motion`."""

    def add(self, frame, box, name: int | str | None = None) -> int | str:
        """Starts a target, or a known one again."""

    def update(self, frame) -> dict[int | str, Any]:
        """What the frame gave, with the fields of `Prediction`, by id."""


class Start(NamedTuple):
    """A box that somebody gives for a target.

    Attributes:
        frame: its number.
        target: number of the target, counted from 0; one that is followed already starts again.
        box: x, y, w, h, px from 0.
        shown: what messages call it.
    """

    frame: int
    target: int
    box: tuple[float, float, float, float]
    shown: str = "box"


class Step(NamedTuple):
    """What one frame gave.

    Attributes:
        number: of the frame.
        frame: its pixels; None where they were not asked for.
        rows: by target.
        states: of these targets after the frame.
        prediction: of the first of them; None where its box was given or is known from before.
    """

    number: int
    frame: np.ndarray | None
    rows: list[Row]
    states: list[State]
    prediction: Prediction | None = None


def follow(
    frames,
    targets: Targets,
    starts: Sequence[Start],
    past: Past | None = None,
) -> Iterator[Step]:
    """Follows targets from the frames on in which their boxes are given.

    Args:
        frames: pairs of a number and pixels, which may be None in frames of `past` in which no box
            is given.
        targets: a `MultiTracker`, or what has its methods; without targets.
        starts: of each target at least one; the first of a frame that is read.
        past: rows and states of an earlier run, which are taken as they are.

    Raises:
        UserError: a box that `check_box` refuses, frames that `MultiTracker` refuses.
    """
    for number, frame in frames:
        known = past.rows.get(number) if past else None
        found = targets.update(frame) if known is None else {}
        given = {start.target: start for start in starts if start.frame == number}
        for start in given.values():
            size = (frame.shape[1], frame.shape[0])
            check_box(start.box, size, start.shown, doubts=known is None)
            targets.add(frame, start.box, start.target)
        if past is not None and known is not None:
            if number == past.last:
                _restore(targets, past)
            yield Step(number, frame, known, [])
            continue
        rows = [
            _given_row(given[k]) if k in given else _row(number, k, found[k])
            for k in sorted(targets.targets, key=int)
        ]
        states = [_state(targets.targets[row.target]) for row in rows]
        first = None if not rows or rows[0].target in given else found[rows[0].target]
        yield Step(number, frame, rows, states, first)


def _given_row(start: Start) -> Row:
    x, y, w, h = map(float, start.box)
    return Row(start.frame, start.target, x, y, w, h, 1.0, 0.0, False)


def _row(number: int, target, found) -> Row:
    x, y, w, h = found.box
    told = found.score, found.second_peak, found.lost, found.presence
    return Row(number, target, x, y, w, h, *told)


def _state(target) -> State:
    motion = target.motion
    (cx, cy), (w, h) = motion.centre.tolist(), motion.size.tolist()
    return State(cx, cy, w, h, bool(motion.lost), float(motion.evidence))


def _restore(targets: Targets, past: Past) -> None:
    for target, (cx, cy, w, h, lost, evidence) in past.states.items():
        where = np.array([cx, cy]), np.array([w, h])
        motion = Motion(*where, np.bool_(lost), np.float64(evidence))
        targets.targets[target].motion = motion
