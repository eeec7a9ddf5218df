"""What may be a frame, and what is refused."""

import numpy as np
from jaxtyping import UInt8

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
