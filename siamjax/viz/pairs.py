"""Pictures of training pairs: what the network sees, and what it is asked for."""

import cv2
import numpy as np

from siamjax.geometry.boxes import cxcywh_to_xywh
from siamjax.viz.draw import draw_boxes

POSITIVE = (80, 200, 60)  # BGR
NEGATIVE = (60, 60, 230)
BOX = (0, 230, 255)


def draw_pair(
    template: np.ndarray, search: np.ndarray, label: np.ndarray, box, grid: np.ndarray
) -> np.ndarray:
    """Template and search side by side, with box and labelled anchors.

    Args:
        template: (Z, Z, 3) uint8 BGR.
        search: (X, X, 3) uint8 BGR, X >= Z.
        label: (A, S, S) 1 object, 0 background, -1 ignored.
        box: cx, cy, w, h of the object in the search crop, px.
        grid: (A, S, S, 4) anchors cx, cy, w, h, px of the search crop.

    Returns:
        (X, Z + X + X, 3) uint8: template, search with box and positive anchors, search with the
        centres of positive and negative anchors.
    """
    side = search.shape[0]
    left = np.zeros((side, template.shape[1], 3), np.uint8)
    left[: template.shape[0]] = template
    positive = grid[label == 1]
    boxes = cxcywh_to_xywh(np.concatenate([positive, np.reshape(box, (1, 4))]))
    framed = draw_boxes(search, boxes, colours=[POSITIVE] * len(positive) + [BOX])
    dotted = (search // 2).astype(np.uint8)
    for value, colour in ((0, NEGATIVE), (1, POSITIVE)):
        for x, y, _, _ in grid[label == value]:
            cv2.circle(dotted, (round(float(x)), round(float(y))), 2, colour, -1)
    return np.concatenate([left, framed, draw_boxes(dotted, boxes[-1:], colours=[BOX])], 1)


def position_map(centres: np.ndarray, side: int, cell: int = 5) -> np.ndarray:
    """How often targets' centres fall on each place of the search crop.

    Args:
        centres: (N, 2) x, y, px; those outside of the crop are left out.
        side: of the crop, px.
        cell: side of a bin, px.

    Returns:
        (side, side, 3) uint8 BGR, dark: never, bright: most often.
    """
    edges = np.arange(0, side + cell, cell)
    counts = np.histogram2d(centres[:, 1], centres[:, 0], bins=(edges, edges))[0]
    level = np.uint8(255 * counts / max(counts.max(), 1))
    level = cv2.resize(level, None, fx=cell, fy=cell, interpolation=cv2.INTER_NEAREST)
    return cv2.applyColorMap(level[:side, :side], cv2.COLORMAP_VIRIDIS)
