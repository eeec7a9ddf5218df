"""What a run is asked for: which boxes, in which frames."""

import json
from typing import Any, NamedTuple

from siamjax.errors import UserError
from siamjax.geometry.boxes import check_box
from siamjax.integrations.serving.limits import Limits
from siamjax.tracking.follow import Start

_FORM = 'send {"starts": [{"frame": 0, "target": 0, "box": [x, y, w, h]}]}'
_FAULTS = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
_NAME = 100  # letters


class Order(NamedTuple):
    """What a run is asked for.

    Attributes:
        starts: boxes that a person gave, one or more of each target; in frames from the first one.
        names: of the targets by number; empty, or too few: a target without a name.
        heatmap: whether the first target's score map is laid over the pictures.
        after: key of a run over the same video that is taken up; empty: none.
    """

    starts: tuple[Start, ...]
    names: tuple[str, ...] = ()
    heatmap: bool = False
    after: str = ""

    @property
    def first(self) -> int:
        """Number of the first frame that is tracked."""
        return min(start.frame for start in self.starts)

    def differs(self, other: "Order") -> int | None:
        """The first frame in which other boxes are given than in another order; None: in none."""
        ours, theirs = ({(s.frame, s.target, s.box) for s in each.starts} for each in (self, other))
        return min((frame for frame, _, _ in ours ^ theirs), default=None)

    def describe(self) -> dict[str, Any]:
        """For the page."""
        starts = [{"frame": s.frame, "target": s.target, "box": s.box} for s in self.starts]
        return {"starts": starts, "names": self.names, "heatmap": self.heatmap}


def read_order(text: str | bytes, size: tuple[int, int], limits: Limits | None = None) -> Order:
    """The order in a request's JSON, {"starts": [{"frame", "target", "box"}], "names", "heatmap",
    "after"}; {"box": [x, y, w, h]} stands for one target in the first frame.

    Args:
        size: width and height of a frame, px.
        limits: of the server; None: the default ones.

    Raises:
        UserError: not that, over the limits, or a box that `siamjax.geometry.boxes.check_box`
            refuses.
    """
    limits = limits or Limits()
    try:
        order = json.loads(text)
        if "starts" not in order:
            order["starts"] = [{"box": order["box"]}]
        starts = tuple(_start(each) for each in order["starts"])
        names, heatmap = tuple(order.get("names", ())), bool(order.get("heatmap"))
        after = order.get("after") or ""
    except _FAULTS:
        raise UserError(_FORM) from None
    if not starts or not isinstance(after, str):
        raise UserError(_FORM)
    if len({start[:2] for start in starts}) < len(starts):
        raise UserError("a target has two boxes in one frame; give one of them")
    for start in starts:
        _check(start, size, limits)
    _check_names(names, limits)
    return Order(starts, names, heatmap, after)


def read_names(text: str | bytes, limits: Limits) -> tuple[str, ...]:
    """Names of targets, {"names": [...]}.

    Raises:
        UserError: not that, or over the limits.
    """
    try:
        names = tuple(json.loads(text)["names"])
    except _FAULTS:
        raise UserError('send {"names": ["dog", "cat"]}') from None
    _check_names(names, limits)
    return names


class Given(NamedTuple):
    """What a person says about a frame of a camera.

    Attributes:
        starts: boxes of targets that begin, or begin again.
        gone: targets that are followed no longer.
    """

    starts: tuple[Start, ...]
    gone: frozenset[int]


def read_given(text: str, size: tuple[int, int], limits: Limits) -> Given:
    """What is given for a frame of a camera, [{"target", "box"}]; "box" null: it is gone.

    Args:
        text: empty: nothing.
        size: width and height of the frame, px.

    Raises:
        UserError: not that, or as `read_order`.
    """
    try:
        trees = json.loads(text or "[]")
        starts = tuple(_start(tree) for tree in trees if tree["box"] is not None)
        gone = frozenset(int(tree["target"]) for tree in trees if tree["box"] is None)
    except _FAULTS:
        raise UserError('starts: send [{"target": 0, "box": [x, y, w, h]}]') from None
    for start in starts:
        _check(start, size, limits)
    return Given(starts, gone)


def _start(tree: dict) -> Start:
    frame, target = (tree.get(name, 0) for name in ("frame", "target"))
    if type(frame) is not int or type(target) is not int:
        raise TypeError
    box: Any = tuple(float(side) for side in tree["box"])  # `check_box` counts them
    return Start(frame, target, box, f"box in frame {frame}")


def _check(start: Start, size: tuple[int, int], limits: Limits) -> None:
    if not 0 <= start.target < limits.targets:
        most = limits.targets - 1
        raise UserError(f"target {start.target}: targets have the numbers 0 to {most}")
    if not 0 <= start.frame < limits.frames:
        raise UserError(f"frame {start.frame}: frames have the numbers 0 to {limits.frames - 1}")
    check_box(start.box, size, start.shown)


def _check_names(names: tuple, limits: Limits) -> None:
    good = (isinstance(n, str) and len(n) <= _NAME and n.isprintable() for n in names)
    if len(names) > limits.targets or not all(good):
        raise UserError(f"names: {limits.targets} at most, of up to {_NAME} letters on one line")
