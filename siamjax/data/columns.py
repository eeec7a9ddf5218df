"""The columns of an index: a file of one array each, checked whole before it is used.

A column's file is what `numpy.save` writes. The manifest has its size and its CRC-32C, so that no
damage is taken for a value; ranges and lengths are checked beside, as sets of format 1 have no
checksums, and a folder may be a stranger's.
"""

import io
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import google_crc32c
import numpy as np

from siamjax.data.tfrecord import FOOTER, HEADER
from siamjax.errors import UserError

_BLOCK = 1 << 18  # bytes read at once for a checksum: faster than a map, an error is no signal
_MOST_HEAD = 10_240  # bytes in front of an array; NumPy refuses more


class Column(NamedTuple):
    """One column.

    Attributes:
        dtype: of its values; None: the smallest unsigned integers that hold them. These columns are
            looked up at random for every crop, so a long training brings all of them into memory.
        fits: whether an array has the shape and the range that an index needs.
    """

    dtype: Any
    fits: Callable[[Any, np.ndarray], bool]


class _Damaged(Exception):
    """What is wrong with a column, in words."""


def _starts(array, parts, end):
    """Where each part begins, and the end of the last; no part is empty."""
    whole = array.shape == (parts + 1,) and array[0] == 0 and array[-1] == end
    return whole and bool(np.all(array[1:] > array[:-1]))


def _names(text, ends, count):
    """Where each of `count` names ends in a text of UTF-8."""
    if ends.shape != (count,) or ends[0] < 0 or ends[-1] != len(text):
        return False
    inner = ends[ends < len(text)]
    within = (text[inner] & 0xC0) == 0x80  # between the bytes of a character
    return bool(np.all(ends[1:] >= ends[:-1])) and not np.any(within)


def _is_text(array):
    try:
        return array.ndim == 1 and bytes(array).decode() is not None
    except UnicodeDecodeError:
        return False


def _of_crops(array, index, low, high, *sides):
    """A value, or `sides` of them, of each crop."""
    whole = array.shape == (index.crops, *sides) and array.max() <= high
    return bool(whole and (array.dtype.kind == "u" or array.min() >= low))


def _in_shard(index, array):
    return _of_crops(array, index, 0, max(index.shard_bytes) - HEADER - FOOTER)


_TINY = np.finfo(np.float32).smallest_subnormal
_HUGE = np.finfo(np.float32).max
TABLE = {
    "frame": Column(np.int32, lambda index, a: _of_crops(a, index, 0, np.inf)),
    "size": Column(np.float32, lambda index, a: _of_crops(a, index, _TINY, _HUGE, 2)),
    "shard": Column(None, lambda index, a: _of_crops(a, index, 0, len(index.shards) - 1)),
    "offset": Column(None, _in_shard),
    "length": Column(None, _in_shard),
    "track_start": Column(np.int64, lambda index, a: _starts(a, index.tracks, index.crops)),
    "video_start": Column(np.int64, lambda index, a: _starts(a, index.videos, index.tracks)),
    "video_names": Column(np.uint8, lambda _, a: _is_text(a)),
    "video_names_end": Column(
        np.int64, lambda index, a: _names(index.video_names, a, index.videos)
    ),
    "track_names": Column(np.uint8, lambda _, a: _is_text(a)),
    "track_names_end": Column(
        np.int64, lambda index, a: _names(index.track_names, a, index.tracks)
    ),
    "category": Column(
        np.int32, lambda index, a: a.shape == (index.tracks,) and a.min() >= -1 and a.max() < len(a)
    ),
}
LATER = "category"  # the column that sets of before 0.3 lack


def write(folder: Path, columns: dict) -> dict[str, dict]:
    """Writes all columns; of one that a power cut takes the checksum will be wrong.

    Args:
        folder: that is there.
        columns: arrays by name.

    Returns:
        Size and checksum of each file, for the manifest.
    """
    written = {}
    for name, (dtype, _) in TABLE.items():
        dtype = dtype or np.min_scalar_type(int(columns[name].max()))
        path = folder / f"{name}.npy"
        np.save(path, np.ascontiguousarray(columns[name], dtype))
        written[name] = {"bytes": path.stat().st_size, "crc32c": checksum(path)}
    return written


def read(index, name: str, path: Path, fix: str) -> np.ndarray:
    """Maps a column of an index after checking it: checksum, kind, length and range of the values.

    Args:
        index: with `crops`, `shard_bytes`, ... and the column's entry in its manifest, if it is of
            format 2.
        name: of the column.
        path: its file.
        fix: what the user does about a damaged one.

    Raises:
        UserError: it cannot be read or is damaged.
    """
    try:
        known = index.manifest.get("columns", {}).get(name)
        if known and checksum(path) != known["crc32c"]:
            raise _Damaged("its checksum is wrong")
        array = _map(path, TABLE[name].dtype)
        if not TABLE[name].fits(index, array):
            raise _Damaged("its values do not fit this data set")
        return array
    except UserError:  # about the column that this one refers to
        raise
    except Exception as error:  # a damaged head: ValueError, SyntaxError, MemoryError, ...
        reason = error if isinstance(error, _Damaged) else "not an array of NumPy"
        if isinstance(error, OSError):
            reason = error.strerror or error
        raise UserError(f"{path}: unreadable index column ({reason}); {fix}") from error


def _map(path, dtype):
    """The array of a file of `numpy.save`, over a map of the file.

    A plain array: numpy.memmap makes every access ten times slower.
    """
    if not os.path.getsize(path):
        raise _Damaged("it is empty")
    data = np.asarray(np.memmap(path, np.uint8, mode="r"))
    head = io.BytesIO(data[:_MOST_HEAD].tobytes())
    version = np.lib.format.read_magic(head)
    shape, transposed, found = np.lib.format.read_array_header_1_0(head)
    fine = found == dtype if dtype else found.kind == "u" and found.isnative
    if version != (1, 0) or transposed or not fine:
        raise _Damaged("not an array of the column's type")
    body = data[head.tell() :]
    if len(body) != math.prod(shape) * found.itemsize:
        raise _Damaged("it is cut or too long")
    return body.view(found).reshape(shape)


def checksum(path: str | os.PathLike) -> str:
    """The CRC-32C of a file in hexadecimal digits.

    Raises:
        OSError: it cannot be read.
    """
    crc = 0
    with open(path, "rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            crc = google_crc32c.extend(crc, block)
    return f"{crc:08x}"
