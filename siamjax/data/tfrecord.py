"""The container of training crops: TFRecord framing of tf.train.Example, without TensorFlow.

A TFRecord is: length (uint64), its masked CRC-32C (uint32), payload, the payload's masked CRC-32C;
little endian. Each payload is a `tf.train.Example` with the features

- `image/encoded`: JPEG of one context crop,
- `video`, `track`: names,
- `frame`: number of the frame in its video,
- `size`: width and height of the target, px of the source image,
- `category`: of the track, where one is known.
"""

import functools
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import google_crc32c
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

HEADER = 12  # bytes before the payload: length and its checksum
FOOTER = 4

# Message -> (field, type, repeated), numbered from 1. The entries of the map `Features.feature` are
# messages of their own here, which look the same in a file.
_MESSAGES = {
    "BytesList": [("value", "bytes", True)],
    "FloatList": [("value", "float", True)],
    "Int64List": [("value", "int64", True)],
    "Feature": [
        ("bytes_list", "BytesList", False),
        ("float_list", "FloatList", False),
        ("int64_list", "Int64List", False),
    ],
    "Entry": [("key", "string", False), ("value", "Feature", False)],
    "Features": [("feature", "Entry", True)],
    "Example": [("features", "Features", False)],
}


class BadRecord(ValueError):
    """A record that can't be used: wrong checksum, not an Example, or no whole image."""


class Record(NamedTuple):
    """One stored crop; fields as in the module's description."""

    image: bytes
    video: str
    track: str
    frame: int
    size: tuple[float, float]
    category: str = ""


def frame_record(payload: bytes) -> bytes:
    """A payload with its TFRecord header and footer."""
    length = struct.pack("<Q", len(payload))
    return b"".join((length, _checksum(length), payload, _checksum(payload)))


def read_record(path: str | Path, offset: int, length: int) -> bytes:
    """Reads one payload by random access.

    Args:
        path: shard.
        offset: of the record's header.
        length: of the payload, bytes.

    Raises:
        BadRecord: the header's length or a checksum is wrong, the file ends early, or the disk
            does not give it.
    """
    try:
        file = os.open(path, os.O_RDONLY)
        try:
            data = os.pread(file, HEADER + length + FOOTER, offset)
        finally:
            os.close(file)
    except OSError as error:
        raise BadRecord(f"cannot be read ({error.strerror})") from error
    if len(data) != HEADER + length + FOOTER:
        raise BadRecord("the shard ends inside the record")
    if payload_length(data) != length:
        raise BadRecord("the record's length is not the one in the index")
    payload = data[HEADER:-FOOTER]
    if data[-FOOTER:] != _checksum(payload):
        raise BadRecord("checksum of the data is wrong")
    return payload


def payload_length(header: bytes) -> int:
    """The length in front of a payload.

    Raises:
        BadRecord: its checksum is wrong.
    """
    if header[8:HEADER] != _checksum(header[:8]):
        raise BadRecord("checksum of the length is wrong")
    return struct.unpack_from("<Q", header)[0]


def locate_records(path: str | Path) -> Iterator[tuple[int, int]]:
    """Offset and length of the payload of each record of a shard, by the lengths in it.

    Raises:
        BadRecord: a length is damaged, or the shard ends inside a record: the rest is unknown.
    """
    offset = 0
    try:
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            while offset < size:
                file.seek(offset)
                header = file.read(HEADER)
                end = offset + HEADER + FOOTER
                length = payload_length(header) if end <= size else 0
                if end + length > size:
                    raise BadRecord(f"the shard ends inside the record at byte {offset}")
                yield offset, length
                offset = end + length
    except OSError as error:
        raise BadRecord(f"cannot be read ({error.strerror})") from error


def _checksum(data: bytes) -> bytes:
    """The masked CRC-32C."""
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def encode_example(record: Record) -> bytes:
    """The serialised Example of a crop; equal records give equal bytes."""
    example = _example_class()()
    category = [("category", "bytes_list", [record.category.encode()])] if record.category else []
    for key, kind, values in (  # in the order of a deterministic map
        *category,
        ("frame", "int64_list", [record.frame]),
        ("image/encoded", "bytes_list", [record.image]),
        ("size", "float_list", record.size),
        ("track", "bytes_list", [record.track.encode()]),
        ("video", "bytes_list", [record.video.encode()]),
    ):
        entry = example.features.feature.add(key=key)
        getattr(entry.value, kind).value.extend(values)
    return example.SerializeToString()


def decode_example(payload: bytes) -> Record:
    """The inverse of `encode_example`.

    Raises:
        BadRecord: not an Example, or a feature is missing.
    """
    example = _example_class()()
    try:
        example.ParseFromString(payload)
        feature = {entry.key: entry.value for entry in example.features.feature}
        (image,) = feature["image/encoded"].bytes_list.value
        (video,) = feature["video"].bytes_list.value
        (track,) = feature["track"].bytes_list.value
        (frame,) = feature["frame"].int64_list.value
        width, height = feature["size"].float_list.value
        category = b""
        if "category" in feature:
            (category,) = feature["category"].bytes_list.value
        names = video.decode(), track.decode(), frame
        return Record(image, *names, (width, height), category.decode())
    except Exception as error:  # protobuf's DecodeError has no stable place to import from
        raise BadRecord("not an Example of a crop") from error


@functools.cache
def _example_class():
    """tf.train.Example, in a pool of its own, so that TensorFlow may live in the same process."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="siamjax/example.proto", package="tensorflow", syntax="proto3"
    )
    for message, fields in _MESSAGES.items():
        descriptor = file.message_type.add(name=message)
        for number, (name, kind, repeated) in enumerate(fields, 1):
            field = descriptor.field.add(name=name, number=number)
            field.label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            if kind in _MESSAGES:
                field.type, field.type_name = kinds.TYPE_MESSAGE, f".tensorflow.{kind}"
            else:
                field.type = getattr(kinds, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.Example"))
