"""Regions of the VOT challenges: quadrilaterals, their boxes, and the overlap the challenge counts
in pixels.

A region is an array with 8 in the last axis, x1, y1 ... x4, y4, or with 4, left, top, width,
height; pixels, 0-based.
"""

import numpy as np
from jaxtyping import Float
from numpy.typing import DTypeLike

from siamjax.geometry.arrays import Values


def corners(region: Values, dtype: DTypeLike = np.float64) -> Float[np.ndarray, "*n 8"]:
    """(..., 4) left, top, width, height -> (..., 8) corners clockwise from the top left; (..., 8)
    stays."""
    region = np.asarray(region, dtype)
    if region.shape[-1] == 8:
        return region
    x, y, w, h = np.moveaxis(region, -1, 0)
    return np.stack([x, y, x + w, y, x + w, y + h, x, y + h], -1)


def pixel_corners(region: Values) -> Float[np.ndarray, "*n 8"]:
    """Like `corners`, but a box reaches from the first to the last pixel it covers: x .. x + w -
    1."""
    region = np.asarray(region, np.float64)
    return corners(region if region.shape[-1] == 8 else region - [0, 0, 1, 1])


def box_of_region(region: Values) -> Float[np.ndarray, "*n 4"]:
    """The upright box that SiamRPN++ starts from on a polygon: same centre and proportions, area of
    the polygon.

    The centre is the mean of the corners; width and height are the upright extent times
    sqrt(product of two neighbouring edges / area of the extent), plus one pixel.

    Args:
        region: (..., 8) corners; (..., 4) boxes count as the polygon of their outermost pixels.

    Returns:
        left, top, width, height with left = centre - width / 2.
    """
    points = pixel_corners(region)
    points = points.reshape(*points.shape[:-1], 4, 2)
    extent = np.ptp(points, -2)
    area = extent.prod(-1, keepdims=True)
    edges = np.hypot(*np.moveaxis(points[..., :2, :] - points[..., 1:3, :], -1, 0))
    scale = np.sqrt(edges.prod(-1, keepdims=True) / np.where(area > 0, area, 1))
    size = scale * extent + 1
    return np.concatenate([points.mean(-2) - size / 2, size], -1)


# --- overlap in pixels: the rules of the VOT challenges of 2013 to 2019

_ROWS_AT_ONCE = 1 << 14  # rows of pixels rasterised together: arrays that stay in the cache
_MAX_AREA_DIFFERENCE = 1e10  # px^2; regions that differ by more count as not overlapping


def raster_overlap(a: Values, b: Values, bounds: Values | None = None) -> Float[np.ndarray, " n"]:
    """Overlap of regions counted in pixels, as the VOT challenges compute it.

    Both regions are moved to the corner of a common window, their corners rounded to pixels, and
    filled row by row with both ends of each span included; so a box covers (w + 1) (h + 1) pixels.
    All numbers are rounded to float32 first. Differs from the overlap of areas by some hundredths
    on small targets; figures that shall compare with published ones need this one.

    Args:
        a: (N, 8) corners or (N, 4) left, top, width, height, pixels.
        b: (N, 8) or (N, 4). Boxes are faster here than in `a`.
        bounds: width and height of the image: pixels outside 0..width, 0..height (both included)
            are not counted; (N, 2) for bounds of each pair, where NaN stands for none; None: no
            bounds.

    Returns:
        float32 overlap 0..1; NaN where a region is not finite.
    """
    a, b = (np.asarray(region, np.float32) for region in (a, b))
    result = np.full(len(a), np.nan, np.float32)
    known = np.flatnonzero(np.isfinite(a).all(1) & np.isfinite(b).all(1))
    result[known] = 0
    bounds = np.asarray(np.nan if bounds is None else bounds, np.float64)
    bounds = np.broadcast_to(bounds, (len(a), 2))[known]
    b_is_box = b.shape[1] == 4
    a, b = (corners(region[known], np.float32).reshape(-1, 4, 2) for region in (a, b))
    low, size, touching = _windows(a, b, bounds)
    touching &= np.abs(_area(a) - _area(b)) <= _MAX_AREA_DIFFERENCE
    known, low, size = known[touching], low[touching, None].astype(np.float32), size[touching]
    a, b = (_round_half_away(points[touching] - low) for points in (a, b))
    for part in _chunks(_rows(a, size)[1]):
        result[known[part]] = _overlap(a[part], b[part], size[part], b_is_box)
    return result


def _area(points):
    """Unsigned area of polygons by the shoelace formula."""
    xs, ys = np.moveaxis(points.astype(np.float64), -1, 0)
    return np.abs((xs * np.roll(ys, -1, 1) - np.roll(xs, -1, 1) * ys).sum(1)) / 2


def _round_half_away(values):
    values = values.astype(np.float64)
    return np.trunc(values + np.copysign(0.5, values))


def _windows(a, b, bounds):
    """Left and top, width and height of each pair's window, and whether the clipped boxes overlap.

    Bounds are (N, 2); NaN does not clip.
    """
    lows, highs = [], []
    for points in (a, b):
        low, high = np.floor(points.min(1)).astype(float), np.ceil(points.max(1)).astype(float)
        lows.append(np.where(np.isnan(bounds), low, np.maximum(low, 0)))
        highs.append(np.fmin(high, bounds))
    touching = (np.maximum(*lows) < np.minimum(*highs)).all(1)
    low = np.minimum(*lows)
    return low, np.maximum(*highs) - low + 1, touching


def _chunks(rows):
    """Slices of pairs whose rows together stay near `_ROWS_AT_ONCE`."""
    ends = np.cumsum(rows)
    start = 0
    while start < len(rows):
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + _ROWS_AT_ONCE, side="right")))
        yield slice(start, stop)
        start = stop


def _overlap(a, b, size, b_is_box):
    """Overlap of pairs with rounded corners: rows of `a` are walked, `b` is looked up in them."""
    rows, y = _scanlines(a, size)
    a_spans = _spans(a, rows, y, size)
    if b_is_box:
        b_spans, b_area = _box_spans(b, rows, y, size)
    else:
        b_spans = _spans(b, rows, y, size)
        own, own_y = _scanlines(b, size)
        b_area = _sums(_length(_spans(b, own, own_y, size)), own)
    common = [
        (np.maximum(a_from, b_from), np.minimum(a_to, b_to))
        for a_from, a_to in a_spans
        for b_from, b_to in b_spans
    ]
    both = _sums(_length(common), rows)
    union = _sums(_length(a_spans), rows) + b_area - both
    return both / np.maximum(union, 1)


def _sums(values, rows):
    """Sum of each polygon's rows."""
    return np.bincount(np.repeat(np.arange(len(rows)), rows), values, len(rows))


def _rows(points, size):
    """First row of each polygon in its window, and the number of rows."""
    first = np.maximum(points[..., 1].min(1), 0)
    last = np.minimum(points[..., 1].max(1), size[:, 1] - 1)
    return first, np.maximum(last - first + 1, 0).astype(np.int64)


def _scanlines(points, size):
    """All rows of all polygons: (n,) how many each has, (rows,) which row."""
    first, rows = _rows(points, size)
    total = int(rows.sum())
    return rows, np.arange(total) - np.repeat(np.cumsum(rows) - rows - first, rows)


def _length(spans):
    return sum(np.maximum(stop - start + 1, 0) for start, stop in spans)


def _box_spans(points, rows, y, size):
    """Spans of upright boxes in the given rows, and the pixels each box fills in its window."""
    low, high = points.min(1), points.max(1)
    left, right = np.maximum(low[:, 0], 0), np.minimum(high[:, 0], size[:, 0] - 1)
    # a box that rounding made one pixel wide or high is not filled
    right = np.where((low == high).any(1), -1, right)
    area = np.maximum(right - left + 1, 0) * _rows(points, size)[1]
    top, bottom, left, right = (np.repeat(v, rows) for v in (low[:, 1], high[:, 1], left, right))
    return [(left, np.where((y >= top) & (y <= bottom), right, -1))], area


def _spans(points, rows, y, size):
    """Filled pixels of polygons in rows: two spans (from, to), both ends included, per row.

    Every edge that is not level and touches the row crosses it; of the sorted crossings an equal
    neighbour is skipped, else the pixels between the two are filled and both are used up.

    Args:
        points: (n, 4, 2) whole-numbered corners.
        rows: (n,) how many rows of each polygon are looked at.
        y: (rows,) which row.
        size: (n, 2) pixels beyond 0..width - 1 are cut off.
    """
    xs, ys = np.moveaxis(points, -1, 0)
    crossings = []
    for i in range(4):
        j = i - 1
        dy, dx = ys[:, j] - ys[:, i], xs[:, j] - xs[:, i]
        low, high = np.minimum(ys[:, i], ys[:, j]), np.maximum(ys[:, i], ys[:, j])
        low = np.where(dy == 0, np.inf, low)  # a level edge crosses nowhere
        edge = (xs[:, i], ys[:, i], np.where(dy == 0, 1, dy), dx, low, high)
        x0, y0, dy, dx, low, high = (np.repeat(values, rows) for values in edge)
        at = np.trunc(x0 + (y - y0) / dy * dx)
        crossings.append(np.where((y >= low) & (y <= high), at, np.inf))
    c0, c1, c2, c3 = _ordered(*crossings)
    right = np.repeat(size[:, 0] - 1, rows)
    fill01 = (c0 != c1) & np.isfinite(c1)
    fill12 = ~fill01 & (c1 != c2) & np.isfinite(c2)
    after = fill01 | (~fill01 & ~fill12)  # the third crossing is still to be used
    fill23 = after & (c2 != c3) & np.isfinite(c3)
    start = np.where(fill01, c0, c1)
    stop = np.where(fill01, c1, np.where(fill12, c2, -1))
    first = (np.maximum(start, 0), np.minimum(stop, right))
    # the pixel where two spans meet counts once
    start = np.where(fill01 & (c1 == c2), c2 + 1, c2)
    second = (np.maximum(start, 0), np.minimum(np.where(fill23, c3, -1), right))
    return [first, second]


def _ordered(a, b, c, d):
    """Four arrays sorted element by element."""
    a, b, c, d = np.minimum(a, b), np.maximum(a, b), np.minimum(c, d), np.maximum(c, d)
    low, high = np.maximum(a, c), np.minimum(b, d)
    return np.minimum(a, c), np.minimum(low, high), np.maximum(low, high), np.maximum(b, d)
