"""Painting outlined things into images, to a fraction of a pixel.

Coordinates are continuous: pixel i covers i..i+1. OpenCV's integers are the centres of pixels.
"""

from collections.abc import Sequence

import cv2
import numpy as np

SUBPIXEL = 4  # bits of OpenCV's fixed-point drawing coordinates


def rotation(angle):
    """Rotation matrices (..., 2, 2) of angles in radians."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)


def pixels(points):
    """Continuous coordinates (px) -> OpenCV's fixed point with `SUBPIXEL` bits, int32."""
    return np.round((points - 0.5) * (1 << SUBPIXEL)).astype(np.int32)


def centred(matrix: np.ndarray) -> np.ndarray:
    """The same map, (2, 3) of continuous coordinates in px, for coordinates whose integers are the
    centres of pixels: what `cv2.warpAffine` takes."""
    matrix = matrix.copy()
    matrix[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5
    return matrix


def coverage(contours: Sequence[np.ndarray], height: int, width: int, fine: int = 4) -> np.ndarray:
    """How much of each pixel lies inside of the contours.

    OpenCV's anti-aliased filling would reach half a pixel too far on every side.

    Args:
        contours: (N, 2) each, px.
        height, width: of the image, px.
        fine: rows and columns that a pixel is filled in.

    Returns:
        (height, width) uint8, 255: all of it.
    """
    mask = np.zeros((fine * height, fine * width), np.uint8)
    cv2.fillPoly(mask, [pixels(contour * fine) for contour in contours], 255, shift=SUBPIXEL)
    return cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA)


def blend(over: np.ndarray, under: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """Images over and under, (H, W, 3) uint8, mixed by `cover`, (H, W) uint8; 255: over alone."""
    alpha = cover.astype(np.float32)
    return cv2.blendLinear(over, under, alpha, 255 - alpha)
