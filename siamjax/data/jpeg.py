"""JPEG of the stored crops, of which a range of rows can be decoded without the others.

Decoding is most of a training pair's cost, and a template needs less than a third of its crop. The
crops are therefore written with a restart marker after each row of blocks: such rows can be decoded
separately, so the wanted ones are put together to a JPEG of their own. A file without these markers
is decoded whole.
"""

import struct

import cv2
import numpy as np

from siamjax.data.tfrecord import BadRecord

_BLOCK = 16  # px of a row of blocks, with colour at half resolution
_MARGIN = 1  # rows of blocks above those wanted, which the smoothing of colours reads
_BELOW = 1  # row below those wanted that it reads
_RESTART, _END = 0xD0, b"\xff\xd9"  # the first of eight markers; the last of a file


def encode(image: np.ndarray, quality: int) -> bytes:
    """BGR uint8 as JPEG with a restart marker after each row of blocks."""
    interval = -(-image.shape[1] // _BLOCK)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_RST_INTERVAL, interval]
    return cv2.imencode(".jpg", image, options)[1].tobytes()


def decode(data: bytes) -> np.ndarray:
    """Decodes a JPEG to BGR uint8.

    Raises:
        BadRecord: not a whole JPEG. (The decoder would fill the rest of a cut one with grey.)
    """
    if data[:2] != b"\xff\xd8" or _END not in data[-32:]:
        raise BadRecord("the JPEG is truncated or not a JPEG")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # it claims to be larger than OpenCV takes
        image = None
    if image is None:
        raise BadRecord("the JPEG can't be decoded")
    return image


def decode_rows(data: bytes, top: int, bottom: int) -> tuple[np.ndarray, int]:
    """Decodes some rows as they are in the whole image, with others around that may differ from it.

    Args:
        data: JPEG, best one of `encode`.
        top: first row wanted; less than 0 is 0.
        bottom: row behind the last wanted.

    Returns:
        (rows, width, 3) uint8 BGR and the number of its first row.

    Raises:
        BadRecord: as `decode`.
    """
    part, first = _cut(data, top, bottom)
    return decode(part), first


def _cut(data, top, bottom):
    """The JPEG of the rows, or all of it where it can't be cut."""
    header = _header(data)
    if header is None:
        return data, 0
    frame, entropy, interval = header
    height, width = struct.unpack_from(">HH", data, frame)
    # Three components, the first with 2 x 2 blocks to one of the others.
    if data[frame + 4] != 3 or data[frame + 6] != 0x22 or interval != -(-width // _BLOCK):
        return data, 0
    rows = -(-height // _BLOCK)
    begin = max(0, top // _BLOCK - _MARGIN)
    end = min(rows, -(-(bottom + _BELOW) // _BLOCK))
    if begin >= end or (begin == 0 and end == rows):
        return data, 0
    codes = np.frombuffer(data, np.uint8)
    places = np.flatnonzero(codes[entropy:-1] == 0xFF) + entropy
    markers = places[codes[places + 1] & 0xF8 == _RESTART]
    stop = data.rfind(_END) if end == rows else 0
    if len(markers) != rows - 1 or stop < 0:
        return data, 0
    start = int(markers[begin - 1]) + 2 if begin else entropy
    kept = codes[start : stop or markers[end - 1]].copy()
    kept[markers[begin : end - 1] + 1 - start] = _RESTART + np.arange(end - begin - 1) % 8
    lines = min(height, end * _BLOCK) - begin * _BLOCK
    head = data[:frame] + lines.to_bytes(2) + data[frame + 2 : entropy]
    return b"".join((head, kept, _END)), begin * _BLOCK


def _header(data):
    """Positions of the height in the frame header and of the coded data, and the restart interval.

    None where the file is not a baseline JPEG of one scan with restart markers.
    """
    position, frame, interval = 2, None, None
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker, length = struct.unpack_from(">BH", data, position + 1)
        if marker == 0xC0:
            frame = position + 5
        elif marker == 0xDD:
            (interval,) = struct.unpack_from(">H", data, position + 4)
        elif marker == 0xDA:
            return (frame, position + 2 + length, interval) if frame and interval else None
        position += 2 + length
    return None
