"""Boxes in their forms, and overlap: the one place that holds the "-1" conventions of pixels.

A box is an array with 4 in the last axis, in pixels of its image, 0-based:

- `xywh`: left, top, width, height, as data sets store them;
- `xyxy`: left, top, right, bottom, with width = right - left;
- `cxcywh`: centre, width, height, the form used inside siamjax.

Every function takes NumPy or JAX arrays and returns the same kind.
"""

import logging

import numpy as np
from jaxtyping import Float, Float64, Real

from siamjax.errors import UserError
from siamjax.geometry.arrays import AnyArray, namespace

Boxes = Real[AnyArray, "*b 4"]
LARGEST = 10  # times the frame that a given box may be wide or high

_log = logging.getLogger(__name__)


def xywh_to_xyxy(box: Boxes) -> Boxes:
    """Left, top, width, height -> left, top, right, bottom."""
    xy, wh = box[..., :2], box[..., 2:]
    return _join(xy, xy + wh)


def xyxy_to_xywh(box: Boxes) -> Boxes:
    """Left, top, right, bottom -> left, top, width, height."""
    low, high = box[..., :2], box[..., 2:]
    return _join(low, high - low)


def cxcywh_to_xywh(box: Boxes) -> Boxes:
    """Centre, width, height -> left, top, width, height; the centre is x + w / 2."""
    centre, wh = box[..., :2], box[..., 2:]
    return _join(centre - wh / 2, wh)


def xywh_to_cxcywh(box: Boxes) -> Boxes:
    """Left, top, width, height -> centre, width, height; the inverse of `cxcywh_to_xywh`."""
    xy, wh = box[..., :2], box[..., 2:]
    return _join(xy + wh / 2, wh)


def xywh_to_pixel_centre(box: Boxes) -> Boxes:
    """Left, top, width, height -> centre of the covered pixels, width, height.

    The centre is x + (w - 1) / 2: SiamRPN++'s tracker reads its first box so, and benchmarks
    measure the distance of centres so.
    """
    xy, wh = box[..., :2], box[..., 2:]
    return _join(xy + (wh - 1) / 2, wh)


def iou(a: Real[AnyArray, "*#b 4"], b: Real[AnyArray, "*#b 4"]) -> Float[AnyArray, "*#b"]:
    """Intersection over union of boxes in `xyxy`, real-valued, without "+1"; shapes broadcast.

    Empty or inverted boxes have overlap 0; so have two empty boxes.

    Returns:
        Overlap in 0..1, of the broadcast leading shape.
    """
    xp = namespace(a)
    a, b = xp.broadcast_arrays(a, b)
    inter = _area(xp, xp.maximum(a[..., :2], b[..., :2]), xp.minimum(a[..., 2:], b[..., 2:]))
    union = _area(xp, a[..., :2], a[..., 2:]) + _area(xp, b[..., :2], b[..., 2:]) - inter
    covered = union > 0  # False for NaN
    return xp.where(covered, inter, 0.0) / xp.where(covered, union, 1.0)


def check_box(box, frame_size, name: str = "box", doubts: bool = True) -> Float64[np.ndarray, "4"]:
    """A box that somebody gives for a target, as (4,) float64 x, y, w, h, px.

    A box that lies mostly outside the frame is taken with a warning.

    Args:
        box: four numbers x, y, w, h.
        frame_size: width and height of the frame, px.
        name: what messages call it.
        doubts: whether to warn.

    Raises:
        UserError: not four finite numbers, under one pixel wide or high, nothing of it inside the
            frame, or over `LARGEST` times as wide or high as the frame.
    """
    width, height = (int(side) for side in frame_size)
    try:
        values = np.asarray(box, np.float64)
    except (TypeError, ValueError, OverflowError):
        values = np.empty(0)
    if values.shape != (4,) or not np.isfinite(values).all():
        raise UserError(f"{name} {_text(box)}: give four finite numbers x, y, w, h in pixels")
    x, y, w, h = values.tolist()
    name = f"{name} {_text(values)}"
    frame = f"the frame of {width}x{height} px"
    if w <= 0 or h <= 0:
        raise UserError(f"{name}: width and height have to be positive")
    if w < 1 or h < 1:
        raise UserError(
            f"{name}: under one pixel wide or high; give x, y, w, h in pixels of {frame}"
        )
    if w > LARGEST * width or h > LARGEST * height:
        raise UserError(f"{name}: more than {LARGEST} times {frame}; give x, y, w, h in its pixels")
    inside = [min(x + w, width) - max(x, 0), min(y + h, height) - max(y, 0)]
    if min(inside) <= 0:
        raise UserError(f"{name} lies outside {frame}")
    if doubts and inside[0] * inside[1] < w * h / 2:
        _log.warning(
            "%s: more than half of it lies outside %s; was x1,y1,x2,y2 meant?", name, frame
        )
    return values


def _area(xp, low, high):
    side = xp.maximum(high - low, 0)
    return side[..., 0] * side[..., 1]


def _join(first, second):
    return namespace(first).concatenate([first, second], -1)


def _text(box) -> str:
    try:
        return ",".join(f"{float(v):g}" for v in box)
    except (TypeError, ValueError, OverflowError):
        return repr(box)[:80]
