"""What may be a frame or a first box, and what is refused."""

import numpy as np
from jaxtyping import Float64, UInt8

from siamjax.errors import UserError


def as_bgr(frame, rgb: bool = False) -> UInt8[np.ndarray, "h w 3"]:
    """A frame in the form the network takes.

    Args:
        frame: uint8 of shape (H, W, 3); (H, W) and (H, W, 1) are read as grey, a fourth channel as
            transparency, which is dropped.
        rgb: the colour channels are in the order red, green, blue.

    Returns:
        (H, W, 3) uint8, BGR; the input itself where nothing had to change.

    Raises:
        UserError: not an image array, another type than uint8, no pixels.
    """
    if not isinstance(frame, np.ndarray):
        raise UserError(
            f"a frame has to be a NumPy array, not {type(frame).__name__}; "
            "cv2.imread returns None for a file it cannot read"
        )
    if frame.dtype != np.uint8:
        fix = "; scale it to 0..255 first, (frame // 256).astype('uint8') for 16 bits"
        raise UserError(f"a frame has to be uint8, not {frame.dtype}{fix}")
    if frame.ndim == 2:
        frame = frame[..., None]
    if frame.ndim != 3 or frame.shape[2] not in (1, 3, 4):
        raise UserError(f"a frame has to be (height, width, 3), not {frame.shape}")
    if frame.size == 0:
        raise UserError(f"a frame has no pixels: shape {frame.shape}")
    if frame.shape[2] == 1:
        return np.repeat(frame, 3, axis=2)
    frame = frame[..., :3]
    return np.ascontiguousarray(frame[..., ::-1]) if rgb else frame


def checked_box(box, width: int, height: int) -> Float64[np.ndarray, "4"]:
    """A first box as (4,) float64 x, y, w, h, px; width and height are the frame's, px.

    Raises:
        UserError: not four finite numbers, no positive size, or nothing of it inside the frame.
    """
    try:
        values = np.asarray(box, np.float64)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.shape != (4,) or not np.isfinite(values).all():
        raise UserError(f"box {_text(box)}: give four finite numbers x, y, w, h in pixels")
    x, y, w, h = values
    if w <= 0 or h <= 0:
        raise UserError(f"box {_text(values)}: width and height have to be positive")
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        raise UserError(f"box {_text(values)} lies outside the frame of {width}x{height} px")
    return values


def _text(box) -> str:
    try:
        return ",".join(f"{float(v):g}" for v in box)
    except (TypeError, ValueError):
        return repr(box)
