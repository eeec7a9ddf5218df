"""Files of arrays (`.npz`) from anywhere: what they claim is checked before memory is taken for it.

A member's size stands in the archive's directory and, as type and shape, in its own head. Both are
compared with each other and with the size of the file. Nothing is unpickled. Compressed members are
read where they are not much larger than the file.
"""

import io
import math
import os
import stat
import zipfile
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from siamjax.errors import UserError

_KINDS = "fiubU"  # floats, integers, bools, texts
_EXPANSION, _SLACK = 16, 16 << 20  # most bytes of all arrays: so many times the file, and these
_MOST_MEMBERS, _LONGEST_NAME = 100_000, 1000
_HEAD = 10_000  # most bytes of a member's head, as NumPy has it
_HEADS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_BROKEN = (  # NotImplementedError: zipfile's word for a compression that it lacks
    *(OSError, EOFError, ValueError, KeyError, TypeError, SyntaxError, RecursionError),
    *(NotImplementedError, RuntimeError, OverflowError, zlib.error, zipfile.BadZipFile),
)


def read(
    path: str | os.PathLike, fault: str = "not an .npz file of arrays"
) -> dict[str, Shaped[np.ndarray, "..."]]:
    """The arrays of a file.

    Args:
        fault: what is wrong with any other file, for the message.

    Raises:
        UserError: no such file, or not a whole file of arrays; says what is wrong.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UserError(f"{path}: {fault} (it is no file)")
            with zipfile.ZipFile(file) as archive:
                members = _checked(archive.infolist(), status.st_size)
                return {name: _array(archive, info) for name, info in members.items()}
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except _BROKEN as error:
        words = " ".join(str(error).split())[:100] or type(error).__name__
        raise UserError(f"{path}: {fault} ({words})") from error


def _checked(infos: list[zipfile.ZipInfo], length: int) -> dict[str, zipfile.ZipInfo]:
    """The members by the names of their arrays.

    Raises:
        ValueError: they cannot be those of such a file of this length.
    """
    names = [info.filename for info in infos]
    if len(set(names)) != len(names) or len(names) > _MOST_MEMBERS:
        raise ValueError("members of one name, or too many")
    for info in infos:
        name = info.filename
        if not (name.endswith(".npy") and name.isprintable() and len(name) <= _LONGEST_NAME):
            raise ValueError(f"the member {name[:60]!r} is no array")
    if sum(info.compress_size for info in infos) > length:
        raise ValueError("its members are larger than the file")
    claimed = sum(info.file_size for info in infos)
    if claimed > _EXPANSION * length + _SLACK:
        raise ValueError(f"its members claim {claimed:,} bytes, the file has {length:,}")
    return {info.filename.removesuffix(".npy"): info for info in infos}


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """A member.

    Raises:
        ValueError: its head is none of a plain array of the member's size.
    """
    content = archive.read(info)  # compares length and checksum
    data = io.BytesIO(content)
    version = np.lib.format.read_magic(data)
    if version not in _HEADS:
        raise ValueError(f"the member {info.filename!r} is of another version of NumPy's format")
    shape, by_columns, dtype = _HEADS[version](data, max_header_size=_HEAD)
    size = math.prod(shape) * dtype.itemsize
    if dtype.kind not in _KINDS or size != len(content) - data.tell() or min(shape, default=0) < 0:
        raise ValueError(f"the member {info.filename!r} is not {dtype} of shape {shape}")
    if not size:
        return np.empty(shape, dtype)
    values = np.frombuffer(content, dtype, math.prod(shape), data.tell())
    return values.reshape(shape, order="F" if by_columns else "C").copy()
