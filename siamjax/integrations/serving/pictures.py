"""Frames as pictures for the page."""

import cv2
import numpy as np

SIDE = 1280  # px, longest side of a picture


def jpeg(image: np.ndarray) -> bytes:
    """A frame (H, W, 3) uint8 BGR as JPEG, made smaller where it is larger than `SIDE`."""
    height, width = image.shape[:2]
    zoom = SIDE / max(height, width)
    if zoom < 1:
        size = max(1, round(width * zoom)), max(1, round(height * zoom))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
