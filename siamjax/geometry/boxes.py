"""Boxes in their forms, and overlap: the one place that knows the "-1" conventions of pixels.

A box is an array with 4 in the last axis, in pixels of its image, 0-based:

- `xywh`: left, top, width, height, as data sets store them;
- `xyxy`: left, top, right, bottom, with width = right - left;
- `cxcywh`: centre, width, height, the form used everywhere inside siamjax.

Every function takes NumPy or JAX arrays of any leading shape and returns the same kind.
"""

import numpy as np


def _namespace(array):
    return np if isinstance(array, np.ndarray | np.generic | list | tuple) else _jnp()


def _jnp():
    import jax.numpy as jnp

    return jnp


def _columns(box):
    xp = _namespace(box)
    box = xp.asarray(box)
    return xp, box[..., 0], box[..., 1], box[..., 2], box[..., 3]


def xywh_to_xyxy(box):
    """Left, top, width, height -> left, top, right, bottom."""
    xp, x, y, w, h = _columns(box)
    return xp.stack([x, y, x + w, y + h], -1)


def xyxy_to_xywh(box):
    """Left, top, right, bottom -> left, top, width, height."""
    xp, x1, y1, x2, y2 = _columns(box)
    return xp.stack([x1, y1, x2 - x1, y2 - y1], -1)


def cxcywh_to_xyxy(box):
    """Centre, width, height -> left, top, right, bottom."""
    xp, cx, cy, w, h = _columns(box)
    return xp.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], -1)


def xyxy_to_cxcywh(box):
    """Left, top, right, bottom -> centre, width, height."""
    xp, x1, y1, x2, y2 = _columns(box)
    return xp.stack([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], -1)


def xywh_to_cxcywh(box):
    """Left, top, width, height -> centre, width, height; the centre is x + w / 2."""
    xp, x, y, w, h = _columns(box)
    return xp.stack([x + w / 2, y + h / 2, w, h], -1)


def cxcywh_to_xywh(box):
    """Centre, width, height -> left, top, width, height; the inverse of `xywh_to_cxcywh`."""
    xp, cx, cy, w, h = _columns(box)
    return xp.stack([cx - w / 2, cy - h / 2, w, h], -1)


def xywh_to_pixel_centre(box):
    """Left, top, width, height -> centre of the covered pixels, width, height.

    The centre is x + (w - 1) / 2.

    This is how SiamRPN++'s tracker reads its first box and how benchmarks measure centre distance.
    """
    xp, x, y, w, h = _columns(box)
    return xp.stack([x + (w - 1) / 2, y + (h - 1) / 2, w, h], -1)


def iou(a, b):
    """Intersection over union of boxes in `xyxy`, real-valued, without "+1"; shapes broadcast.

    Empty or inverted boxes have overlap 0; so have two empty boxes.

    Returns:
        Overlap in 0..1, of the broadcast leading shape.
    """
    xp, ax1, ay1, ax2, ay2 = _columns(a)
    if xp is np:
        xp = _namespace(b)
    _, bx1, by1, bx2, by2 = _columns(b)
    w = xp.maximum(xp.minimum(ax2, bx2) - xp.maximum(ax1, bx1), 0)
    h = xp.maximum(xp.minimum(ay2, by2) - xp.maximum(ay1, by1), 0)
    inter = w * h
    area_a = xp.maximum(ax2 - ax1, 0) * xp.maximum(ay2 - ay1, 0)
    area_b = xp.maximum(bx2 - bx1, 0) * xp.maximum(by2 - by1, 0)
    union = area_a + area_b - inter
    return xp.where(union > 0, inter / xp.where(union > 0, union, 1), 0.0)
