"""Boxes in their forms, and overlap: the one place that holds the "-1" conventions of pixels.

A box is an array with 4 in the last axis, in pixels of its image, 0-based:

- `xywh`: left, top, width, height, as data sets store them;
- `xyxy`: left, top, right, bottom, with width = right - left;
- `cxcywh`: centre, width, height, the form used inside siamjax.

Every function takes NumPy or JAX arrays and returns the same kind.
"""

from jaxtyping import Float, Real

from siamjax.geometry.arrays import AnyArray, namespace

Boxes = Real[AnyArray, "*b 4"]


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


def _area(xp, low, high):
    side = xp.maximum(high - low, 0)
    return side[..., 0] * side[..., 1]


def _join(first, second):
    return namespace(first).concatenate([first, second], -1)
