"""Boxes, captions and score maps on frames."""

from collections.abc import Sequence

import cv2
import numpy as np

# Colours that colour-blind eyes tell from each other (Okabe and Ito), BGR.
PALETTE = (
    (0, 94, 213),
    (178, 114, 0),
    (115, 158, 0),
    (66, 228, 240),
    (233, 180, 86),
    (0, 159, 230),
    (167, 121, 204),
)


def draw_boxes(
    image: np.ndarray,
    boxes: Sequence[Sequence[float]],
    labels: Sequence[str] | None = None,
    colours: Sequence[tuple[int, int, int]] | None = None,
) -> np.ndarray:
    """A copy of an image with boxes on it.

    Args:
        image: (H, W, 3) uint8, BGR.
        boxes: x, y, w, h each, px; one that is not finite is left out.
        labels: a caption for each box; empty: none.
        colours: BGR of each box; None: those of `PALETTE`, repeated.

    Returns:
        (H, W, 3) uint8.
    """
    canvas = np.ascontiguousarray(image).copy()
    thickness = max(1, round(min(canvas.shape[:2]) / 240))
    for i, box in enumerate(boxes):
        if not np.isfinite(np.asarray(box, np.float64)).all():
            continue
        colour = tuple(colours[i] if colours else PALETTE[i % len(PALETTE)])
        x, y, w, h = (float(v) for v in box)
        # far outside corners would overflow OpenCV's fixed point numbers
        corners = np.clip([x, y, x + w, y + h], -32000, 32000)
        left, top, right, bottom = (round(v) for v in corners)
        cv2.rectangle(canvas, (left, top), (right, bottom), colour, thickness)
        if labels and labels[i]:
            _caption(canvas, labels[i], left, top, colour, thickness)
    return canvas


def draw_heatmap(
    image: np.ndarray,
    heatmap: np.ndarray,
    extent: tuple[float, float, float, float],
    opacity: float = 0.5,
) -> np.ndarray:
    """A copy of an image with a score map laid over the area that it covers.

    Args:
        image: (H, W, 3) uint8, BGR.
        heatmap: (S, S) scores in 0..1.
        extent: x, y, w, h of that area in px of the image; may reach outside.
        opacity: of the highest score, 0..1; lower scores are fainter.

    Returns:
        (H, W, 3) uint8.
    """
    height, width = image.shape[:2]
    rows, columns = heatmap.shape
    x, y, w, h = extent
    # from px of the image to cells, pixel centres to pixel centres
    to_column = [columns / w, 0, (0.5 - x) * columns / w - 0.5]
    to_row = [0, rows / h, (0.5 - y) * rows / h - 0.5]
    scores = cv2.warpAffine(
        np.clip(heatmap, 0, 1).astype(np.float32),
        np.array([to_column, to_row]),
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
    )
    colours = cv2.applyColorMap((scores * 255).astype(np.uint8), cv2.COLORMAP_TURBO)
    alpha = (opacity * scores)[..., None]
    return np.rint(image * (1 - alpha) + colours * alpha).astype(np.uint8)


def _caption(canvas, text, left, top, colour, thickness):
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.4 * thickness
    (width, height), base = cv2.getTextSize(text, font, scale, thickness)
    left = min(max(left, 0), max(canvas.shape[1] - width, 0))
    # above the box, or inside where there is no room
    bottom = top if top - height - base >= 0 else top + height + base
    bottom = min(max(bottom, height + base), canvas.shape[0])
    corners = ((left, bottom - height - base), (left + width, bottom))
    cv2.rectangle(canvas, *corners, colour, cv2.FILLED)
    ink = (0, 0, 0) if sum(colour) > 380 else (255, 255, 255)
    position = (left, bottom - base)
    cv2.putText(canvas, text, position, font, scale, ink, thickness, cv2.LINE_AA)
