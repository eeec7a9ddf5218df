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


# --- overlap in pixels: the rules of the VOT challenges of 2013 to 2019

_ROWS_AT_ONCE = 1 << 17  # rows of pixels rasterised together: bounds the memory
_MAX_AREA_DIFFERENCE = 1e10  # px^2; regions that differ by more count as not overlapping


def raster_overlap(a, b, bounds=None):
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
        (N,) float32 overlap 0..1; NaN where a region is not finite.
    """
    a, b = (np.asarray(region, np.float32) for region in (a, b))
    result = np.full(len(a), np.nan, np.float32)
    known = np.flatnonzero(np.isfinite(a).all(1) & np.isfinite(b).all(1))
    if not known.size:
        return result
    if bounds is not None:
        bounds = np.broadcast_to(np.asarray(bounds, np.float64), (len(a), 2))[known]
    ax, ay = _xs_ys(a[known])
    bx, by = _xs_ys(b[known])
    window, touching = _windows(ax, ay, bx, by, bounds)
    touching &= np.abs(_area(ax, ay) - _area(bx, by)) <= _MAX_AREA_DIFFERENCE
    overlap = np.zeros(len(known), np.float32)
    chosen = np.flatnonzero(touching)
    left, top, width, height = (side[chosen] for side in window)
    shifted = [
        _round_half_away(points[chosen] - corner.astype(np.float32)[:, None])
        for points, corner in ((ax, left), (ay, top), (bx, left), (by, top))
    ]
    first = np.clip(shifted[1].min(1), 0, None)
    last = np.minimum(shifted[1].max(1), height - 1)
    rows = np.maximum(last - first + 1, 0).astype(np.int64)
    for part in _chunks(rows):
        xa, ya, xb, yb = (points[part] for points in shifted)
        overlap[chosen[part]] = _count(
            xa,
            ya,
            xb,
            yb,
            first[part],
            rows[part],
            width[part],
            height[part],
            b.shape[1] == 4,
        )
    result[known] = overlap
    return result


def _xs_ys(region):
    """(N, 4) x and (N, 4) y of the corners in float32."""
    if region.shape[1] == 8:
        return region[:, 0::2], region[:, 1::2]
    x, y, w, h = region.T
    return np.stack([x, x + w, x + w, x], 1), np.stack([y, y, y + h, y + h], 1)


def _area(xs, ys):
    """Unsigned area of polygons by the shoelace formula."""
    xs, ys = xs.astype(np.float64), ys.astype(np.float64)
    return np.abs((xs * np.roll(ys, -1, 1) - np.roll(xs, -1, 1) * ys).sum(1)) / 2


def _round_half_away(values):
    values = values.astype(np.float64)
    return np.trunc(values + np.copysign(0.5, values))


def _windows(ax, ay, bx, by, bounds):
    """The window of each pair as left, top, width, height, and whether the clipped boxes
    overlap.
    """
    boxes = []
    for xs, ys in ((ax, ay), (bx, by)):
        left, top = np.floor(xs.min(1)).astype(float), np.floor(ys.min(1)).astype(float)
        right, bottom = np.ceil(xs.max(1)).astype(float), np.ceil(ys.max(1)).astype(float)
        if bounds is not None:
            # fmax and fmin: a bound that is NaN does not clip
            open_ended = np.isnan(bounds[:, 0])
            left = np.where(open_ended, left, np.maximum(left, 0))
            top = np.where(open_ended, top, np.maximum(top, 0))
            right, bottom = np.fmin(right, bounds[:, 0]), np.fmin(bottom, bounds[:, 1])
        boxes.append((left, top, right, bottom))
    (l1, t1, r1, b1), (l2, t2, r2, b2) = boxes
    touching = (np.maximum(l1, l2) < np.minimum(r1, r2)) & (np.maximum(t1, t2) < np.minimum(b1, b2))
    left, top = np.minimum(l1, l2), np.minimum(t1, t2)
    width = np.maximum(r1, r2) - left + 1
    height = np.maximum(b1, b2) - top + 1
    return (left, top, width, height), touching


def _chunks(rows):
    """Slices of pairs whose rows together stay near `_ROWS_AT_ONCE`."""
    ends = np.cumsum(rows)
    start = 0
    while start < len(rows):
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + _ROWS_AT_ONCE, side="right")))
        yield slice(start, stop)
        start = stop


def _count(ax, ay, bx, by, first, rows, width, height, b_is_box):
    """Overlap of pairs with rounded corners (n, 4): rows of `a` are walked, `b` is looked up in
    them.
    """
    pair = np.repeat(np.arange(len(ax)), rows)
    starts = np.cumsum(rows) - rows
    y = np.arange(len(pair)) - np.repeat(starts - first, rows)
    a_spans = _spans(ax, ay, pair, y, width)
    if b_is_box:
        b_spans, b_area = _box_spans(bx, by, pair, y, width, height)
    else:
        b_spans = _spans(bx, by, pair, y, width)
        b_area = _polygon_area(bx, by, width, height)
    a_area = np.bincount(pair, _length(a_spans), len(ax))
    common = np.zeros(len(pair))
    for a_from, a_to in a_spans:
        for b_from, b_to in b_spans:
            common += np.maximum(np.minimum(a_to, b_to) - np.maximum(a_from, b_from) + 1, 0)
    both = np.bincount(pair, common, len(ax))
    union = a_area + b_area - both
    return np.where(union > 0, both / np.where(union > 0, union, 1), 0)


def _length(spans):
    return sum(np.maximum(to - start + 1, 0) for start, to in spans)


def _polygon_area(xs, ys, width, height):
    """Pixels that each polygon fills inside its window."""
    first = np.clip(ys.min(1), 0, None)
    rows = np.maximum(np.minimum(ys.max(1), height - 1) - first + 1, 0).astype(np.int64)
    pair = np.repeat(np.arange(len(xs)), rows)
    y = np.arange(len(pair)) - np.repeat(np.cumsum(rows) - rows - first, rows)
    return np.bincount(pair, _length(_spans(xs, ys, pair, y, width)), len(xs))


def _box_spans(xs, ys, pair, y, width, height):
    """Spans of upright boxes in the given rows, and the pixels each box fills in its window."""
    left, right = np.maximum(xs.min(1), 0), np.minimum(xs.max(1), width - 1)
    top, bottom = ys.min(1), ys.max(1)
    # a box that rounding made one pixel wide or high is not filled
    empty = (xs.min(1) == xs.max(1)) | (top == bottom)
    right = np.where(empty, -1, right)
    rows = np.minimum(bottom, height - 1) - np.maximum(top, 0) + 1
    area = np.maximum(right - left + 1, 0) * np.maximum(rows, 0)
    inside = (y >= top[pair]) & (y <= bottom[pair])
    return [(left[pair], np.where(inside, right[pair], -1))], area


def _spans(xs, ys, pair, y, width):
    """Filled pixels of polygons in rows: two spans (from, to), both ends included, per row.

    Every edge that is not level and touches the row crosses it; of the sorted crossings an equal
    neighbour is skipped, else the pixels between the two are filled and both are used up.

    Args:
        xs, ys: (n, 4) whole-numbered corners.
        pair, y: (rows,) which polygon, which row.
        width: (n,) pixels beyond 0..width - 1 are cut off.
    """
    crossings = []
    for i in range(4):
        j = i - 1
        dy, dx = ys[:, j] - ys[:, i], xs[:, j] - xs[:, i]
        low, high = np.minimum(ys[:, i], ys[:, j]), np.maximum(ys[:, i], ys[:, j])
        low = np.where(dy == 0, np.inf, low)  # a level edge crosses nowhere
        dy = np.where(dy == 0, 1, dy)
        at = np.trunc(xs[:, i][pair] + (y - ys[:, i][pair]) / dy[pair] * dx[pair])
        crossings.append(np.where((y >= low[pair]) & (y <= high[pair]), at, np.inf))
    c0, c1, c2, c3 = _sort4(*crossings)
    edge = (width - 1)[pair]
    fill01 = (c0 != c1) & np.isfinite(c1)
    fill12 = ~fill01 & (c1 != c2) & np.isfinite(c2)
    after = fill01 | (~fill01 & ~fill12)  # the third crossing is still to be used
    fill23 = after & (c2 != c3) & np.isfinite(c3)
    start = np.where(fill01, c0, c1)
    stop = np.where(fill01, c1, np.where(fill12, c2, -1))
    first = (np.maximum(start, 0), np.minimum(stop, edge))
    # the pixel where two spans meet counts once
    start = np.where(fill01 & (c1 == c2), c2 + 1, c2)
    second = (np.maximum(start, 0), np.minimum(np.where(fill23, c3, -1), edge))
    return [first, second]


def _sort4(a, b, c, d):
    """Four arrays sorted elementwise."""
    a, b = np.minimum(a, b), np.maximum(a, b)
    c, d = np.minimum(c, d), np.maximum(c, d)
    a, c = np.minimum(a, c), np.maximum(a, c)
    b, d = np.minimum(b, d), np.maximum(b, d)
    b, c = np.minimum(b, c), np.maximum(b, c)
    return a, b, c, d
