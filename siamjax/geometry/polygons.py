"""Regions of the VOT challenges: quadrilaterals, their boxes, and the overlap the challenge counts
in pixels.

A region is an array with 8 in the last axis, x1, y1 ... x4, y4, or with 4, left, top, width,
height; pixels, 0-based.
"""

import numpy as np


def corners(region):
    """(..., 4) left, top, width, height -> (..., 8) corners clockwise from the top left; (..., 8)
    stays."""
    region = np.asarray(region, np.float64)
    if region.shape[-1] == 8:
        return region
    x, y, w, h = np.moveaxis(region, -1, 0)
    return np.stack([x, y, x + w, y, x + w, y + h, x, y + h], -1)


def pixel_corners(region):
    """Like `corners`, but a box reaches from the first to the last pixel it covers: x .. x + w -
    1."""
    region = np.asarray(region, np.float64)
    if region.shape[-1] == 8:
        return region
    return corners(region - np.array([0.0, 0.0, 1.0, 1.0]))


def box_of_region(region):
    """The upright box that SiamRPN++ starts from on a polygon: same centre and proportions, area of
    the polygon.

    The centre is the mean of the corners; width and height are the upright extent times
    sqrt(product of two neighbouring edges / area of the extent), plus one pixel.

    Args:
        region: (..., 8) corners; (..., 4) boxes count as the polygon of their outermost pixels.

    Returns:
        (..., 4) left, top, width, height with left = centre - width / 2.
    """
    points = pixel_corners(region)
    xs, ys = points[..., 0::2], points[..., 1::2]
    extent_w = xs.max(-1) - xs.min(-1)
    extent_h = ys.max(-1) - ys.min(-1)
    edge1 = np.hypot(xs[..., 0] - xs[..., 1], ys[..., 0] - ys[..., 1])
    edge2 = np.hypot(xs[..., 1] - xs[..., 2], ys[..., 1] - ys[..., 2])
    extent = extent_w * extent_h
    scale = np.sqrt(edge1 * edge2 / np.where(extent > 0, extent, 1))
    w, h = scale * extent_w + 1, scale * extent_h + 1
    return np.stack([xs.mean(-1) - w / 2, ys.mean(-1) - h / 2, w, h], -1)
