"""The container of training crops: TFRecord shards of tf.train.Example, without TensorFlow.

A TFRecord is: length (uint64), its masked CRC-32C (uint32), payload, the payload's masked CRC-32C;
little endian.
Each payload is a `tf.train.Example` with the features

- `image/encoded`: JPEG of one context crop,
- `video`, `track`: names,
- `frame`: number of the frame in its video,
- `size`: width and height of the target, px of the source image.
"""

import array
import contextlib
import errno
import fcntl
import functools
import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import google_crc32c
import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from siamjax.data import index as index_lib
from siamjax.data import jpeg
from siamjax.errors import UserError

HEADER = 12  # bytes before the payload: length and its checksum
FOOTER = 4


class BadRecord(Exception):
    """A record that can't be used: wrong checksum, not an Example, or no whole image."""


class Record(NamedTuple):
    """One stored crop; fields as in the module's description."""

    image: bytes
    video: str
    track: str
    frame: int
    size: tuple[float, float]


# --- framing


def frame_record(payload: bytes) -> bytes:
    """A payload with its TFRecord header and footer."""
    length = struct.pack("<Q", len(payload))
    return b"".join(
        (length, struct.pack("<I", _masked(length)), payload, struct.pack("<I", _masked(payload)))
    )


def read_record(path: str | Path, offset: int, length: int) -> bytes:
    """Reads one payload by random access.

    Args:
        path: shard.
        offset: of the record's header.
        length: of the payload, bytes.

    Raises:
        BadRecord: the header's length or a checksum is wrong, or the file ends early.
    """
    fd = os.open(path, os.O_RDONLY)
    try:
        data = os.pread(fd, HEADER + length + FOOTER, offset)
    finally:
        os.close(fd)
    if len(data) != HEADER + length + FOOTER:
        raise BadRecord("the shard ends inside the record")
    return _payload(memoryview(data), length)


def read_records(path: str | Path) -> Iterator[tuple[int, bytes]]:
    """All (offset, payload) of a shard, in order.

    Raises:
        BadRecord: a checksum is wrong or the file ends inside a record; the message says at which
            byte.
    """
    offset = 0
    with open(path, "rb") as file:
        while header := file.read(HEADER):
            try:
                if len(header) < HEADER:
                    raise BadRecord("the shard ends inside a header")
                (length,) = struct.unpack_from("<Q", header)
                _check_header(header)
                data = header + file.read(length + FOOTER)
                if len(data) != HEADER + length + FOOTER:
                    raise BadRecord("the shard ends inside the record")
                payload = _payload(memoryview(data), length)
            except BadRecord as error:
                raise BadRecord(f"{path} at byte {offset}: {error}") from None
            yield offset, payload
            offset += len(data)


def _masked(data) -> int:
    crc = google_crc32c.value(bytes(data))
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _check_header(header):
    if struct.unpack_from("<I", header, 8)[0] != _masked(header[:8]):
        raise BadRecord("checksum of the length is wrong")


def _payload(data, length):
    _check_header(data)
    if struct.unpack_from("<Q", data)[0] != length:
        raise BadRecord("the record's length is not the one in the index")
    payload = bytes(data[HEADER : HEADER + length])
    if struct.unpack_from("<I", data, HEADER + length)[0] != _masked(payload):
        raise BadRecord("checksum of the data is wrong")
    return payload


# --- tf.train.Example


def encode_example(record: Record) -> bytes:
    """The serialised Example of a crop; equal records give equal bytes."""
    example = _example_class()()
    feature = example.features.feature
    feature["image/encoded"].bytes_list.value.append(record.image)
    feature["video"].bytes_list.value.append(record.video.encode())
    feature["track"].bytes_list.value.append(record.track.encode())
    feature["frame"].int64_list.value.append(record.frame)
    feature["size"].float_list.value.extend(record.size)
    return example.SerializeToString(deterministic=True)


def decode_example(payload: bytes) -> Record:
    """The inverse of `encode_example`.

    Raises:
        BadRecord: not an Example, or a feature is missing.
    """
    example = _example_class()()
    try:
        example.ParseFromString(payload)
        feature = example.features.feature
        (image,) = feature["image/encoded"].bytes_list.value
        (video,) = feature["video"].bytes_list.value
        (track,) = feature["track"].bytes_list.value
        (frame,) = feature["frame"].int64_list.value
        width, height = feature["size"].float_list.value
        return Record(image, video.decode(), track.decode(), frame, (width, height))
    except Exception as error:  # protobuf's DecodeError has no stable place to import from
        raise BadRecord("not an Example of a crop") from error


encode_image = jpeg.encode


def decode_image(data: bytes) -> np.ndarray:
    """Decodes a JPEG to BGR uint8.

    Raises:
        BadRecord: not a whole JPEG.
    """
    try:
        return jpeg.decode(data)
    except ValueError as error:
        raise BadRecord(str(error)) from error


@functools.cache
def _example_class():
    """tf.train.Example, in a pool of its own, so that TensorFlow may live in the same process."""
    file = descriptor_pb2.FileDescriptorProto(
        name="siamjax/example.proto", package="tensorflow", syntax="proto3"
    )
    kind = descriptor_pb2.FieldDescriptorProto

    def message(parent, name, *fields):
        m = parent.add(name=name)
        for number, (field, of_type, label) in enumerate(fields, 1):
            f = m.field.add(name=field, number=number, label=label)
            if isinstance(of_type, str):
                f.type, f.type_name = kind.TYPE_MESSAGE, of_type
            else:
                f.type = of_type
        return m

    one, many = kind.LABEL_OPTIONAL, kind.LABEL_REPEATED
    message(file.message_type, "BytesList", ("value", kind.TYPE_BYTES, many))
    message(file.message_type, "FloatList", ("value", kind.TYPE_FLOAT, many))
    message(file.message_type, "Int64List", ("value", kind.TYPE_INT64, many))
    feature = message(
        file.message_type,
        "Feature",
        ("bytes_list", ".tensorflow.BytesList", one),
        ("float_list", ".tensorflow.FloatList", one),
        ("int64_list", ".tensorflow.Int64List", one),
    )
    feature.oneof_decl.add(name="kind")
    for f in feature.field:
        f.oneof_index = 0
    features = message(
        file.message_type, "Features", ("feature", ".tensorflow.Features.FeatureEntry", many)
    )
    entry = message(
        features.nested_type,
        "FeatureEntry",
        ("key", kind.TYPE_STRING, one),
        ("value", ".tensorflow.Feature", one),
    )
    entry.options.map_entry = True
    message(file.message_type, "Example", ("features", ".tensorflow.Features", one))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.Example"))


# --- reading a data set


def read_stored(index: index_lib.Index, crop: int) -> Record:
    """Reads one crop of a data set as it is stored.

    Raises:
        BadRecord: the record is damaged.
    """
    path = index.shards[int(index.shard[crop])]
    payload = read_record(path, int(index.offset[crop]), int(index.length[crop]))
    return decode_example(payload)


def read_crop(index: index_lib.Index, crop: int) -> tuple[np.ndarray, np.ndarray]:
    """Reads and decodes one crop of a data set.

    Returns:
        (crop, crop, 3) uint8 BGR and (2,) float32 width and height of the target in px of the
        source image.

    Raises:
        BadRecord: the record or its image is damaged.
    """
    record = read_stored(index, crop)
    return decode_image(record.image), np.array(record.size, np.float32)


def verify(folder: str | Path, images: bool = True) -> list[str]:
    """Reads every record of a data set and compares it with the index.

    Args:
        folder: a finished data set.
        images: decode the JPEGs as well.

    Returns:
        One line per damaged crop.

    Raises:
        UserError: as `Index`.
    """
    index = index_lib.Index(folder)
    bad = []
    for crop in range(index.crops):
        video, track = index.locate(crop)
        try:
            record = read_stored(index, crop)
            key = (index.video_name(video), index.track_name(track), int(index.frame[crop]))
            if (record.video, record.track, record.frame) != key:
                raise BadRecord("the record is not the one in the index")
            if not np.array_equal(np.float32(record.size), index.size[crop]):
                raise BadRecord("the target's size is not the one in the index")
            side = index.manifest["crop"]
            if images and decode_image(record.image).shape != (side, side, 3):
                raise BadRecord(f"the image is not {side} x {side} px")
        except BadRecord as error:
            bad.append(f"{index.describe(crop)}: {error}")
    return bad


# --- writing a data set


class Columns:
    """Index columns of records as they are written, compact in memory."""

    def __init__(self):
        self._videos: dict[str, int] = {}
        self._tracks: dict[tuple[int, str], int] = {}
        self._numbers = {
            name: array.array("f" if name == "size" else "q")
            for name in ("crop_track", "frame", "size", "shard", "offset", "length")
        }

    def add(self, record: Record, shard: int, offset: int, length: int) -> None:
        """One record and where it lies."""
        video = self._videos.setdefault(record.video, len(self._videos))
        track = self._tracks.setdefault((video, record.track), len(self._tracks))
        self._numbers["size"].extend(record.size)
        for name, value in zip(
            ("crop_track", "frame", "shard", "offset", "length"),
            (track, record.frame, shard, offset, length),
        ):
            self._numbers[name].append(value)

    def arrays(self) -> dict:
        """The arguments of `index.write` from `videos` on."""
        return {
            "videos": list(self._videos),
            "tracks": [name for _, name in self._tracks],
            "track_video": np.array([video for video, _ in self._tracks], np.int64),
            **{name: np.array(column) for name, column in self._numbers.items()},
        }


class RecordFiles:
    """Appends records to files of limited size, without index.

    Attributes:
        columns: of the records written.
        paths: the files, in order.
        sizes: their bytes.
        lengths: their numbers of records.
    """

    def __init__(self, folder: Path, stem: str, max_bytes: int):
        """Args: folder and stem of the files' names; max_bytes: of a file."""
        self._folder, self._stem, self._max_bytes = folder, stem, max_bytes
        self._file = None
        self.columns = Columns()
        self.paths: list[Path] = []
        self.sizes: list[int] = []
        self.lengths: list[int] = []

    def add(self, record: Record) -> None:
        """Appends a record; begins a new file where it would make one larger than allowed.

        Raises:
            ValueError: width or height of the target is not positive and finite.
            UserError: the disk is full.
        """
        if not all(0 < side < float("inf") for side in record.size):
            raise ValueError(f"target of {record.size[0]} x {record.size[1]} px")
        data = frame_record(encode_example(record))
        with explain_os_errors(self._folder):
            if self._file is None or self.sizes[-1] + len(data) > self._max_bytes:
                self.finish()
                self.paths.append(self._folder / f"{self._stem}-{len(self.paths):05d}.part")
                self.sizes.append(0)
                self.lengths.append(0)
                self._file = open(self.paths[-1], "wb")  # noqa: SIM115
            self._file.write(data)
        payload = len(data) - HEADER - FOOTER
        self.columns.add(record, len(self.paths) - 1, self.sizes[-1], payload)
        self.sizes[-1] += len(data)
        self.lengths[-1] += 1

    def finish(self) -> None:
        """Brings the last file to the disk.

        Raises:
            UserError: the disk is full.
        """
        if self._file is not None:
            with explain_os_errors(self._folder):
                self._file.flush()
                os.fsync(self._file.fileno())
                self.abandon()

    def abandon(self) -> None:
        """Closes the last file as it is."""
        file, self._file = self._file, None
        if file is not None:
            file.close()


class ShardWriter:
    """Writes one data set: shards, then index and manifest.

    Until `close` has returned, readers refuse the folder as unfinished. Use it as a context
    manager: after an exception the folder stays unfinished, and a new writer starts over.
    """

    def __init__(
        self,
        out_dir: str | Path,
        name: str,
        max_bytes: int = 128 << 20,
        jpeg_quality: int = 95,
        crop: int = 511,
    ):
        """Opens a folder for writing.

        Args:
            out_dir: folder of the data set; made if need be.
            name: of the data set.
            max_bytes: of a shard.
            jpeg_quality: 0..100.
            crop: side of the crops, px.

        Raises:
            UserError: the folder can't be written, holds a finished data set, or another run
                writes to it.
        """
        self.folder = Path(out_dir)
        self.name, self.crop, self.jpeg_quality = name, crop, jpeg_quality
        self._lock = lock_folder(self.folder)
        if (self.folder / index_lib.MANIFEST).exists():
            self._release()
            raise UserError(
                f"{self.folder}: holds a data set already; remove it or choose another --out"
            )
        for old in self.folder.glob(f"{name}-train.tfrecord-*"):
            old.unlink()
        self._files = RecordFiles(self.folder, f"{name}-train.tfrecord", max_bytes)

    def add(self, video: str, track: str, frame: int, image: np.ndarray, size) -> None:
        """Encodes and appends one crop.

        Args:
            video, track: names; a track's name is unique in its video.
            frame: number of the frame in the video, >= 0; unique in its track.
            image: (crop, crop, 3) uint8 BGR.
            size: width and height of the target, px of the source image, > 0.

        Raises:
            ValueError: an image of another shape or type.
        """
        if image.shape != (self.crop, self.crop, 3) or image.dtype != np.uint8:
            raise ValueError(f"crop of shape {image.shape} {image.dtype}, not {self.crop} px uint8")
        self.add_encoded(video, track, frame, encode_image(image, self.jpeg_quality), size)

    def add_encoded(self, video: str, track: str, frame: int, image: bytes, size) -> None:
        """Appends one crop that is encoded already, by `jpeg.encode` best; else as `add`."""
        self._files.add(Record(image, video, track, frame, (float(size[0]), float(size[1]))))

    def close(self, **manifest) -> None:
        """Finishes the data set.

        Args:
            **manifest: further entries of the manifest (source, seed, skipped, ...), JSON values.

        Raises:
            UserError: nothing was added, or the folder can't be written.
        """
        files = self._files
        try:
            with explain_os_errors(self.folder):
                files.finish()
                shards = []
                for i, path in enumerate(files.paths):
                    file = shard_name(self.name, i, len(files.paths))
                    os.replace(path, self.folder / file)
                    shards.append({"file": file, "bytes": files.sizes[i]})
                write_tfds_metadata(self.folder, self.name, self.crop, files.lengths, files.sizes)
                head = {"name": self.name, "crop": self.crop, "jpeg_quality": self.jpeg_quality}
                manifest = {**head, "shards": shards, **manifest}
                index_lib.write(self.folder, manifest, **files.columns.arrays())
        finally:
            self._release()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if kind is not None:
            self._files.abandon()
            self._release()
        elif self._lock is not None:  # else: closed inside the block, with more for the manifest
            self.close()

    def _release(self):
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def shard_name(name: str, i: int, count: int) -> str:
    """File name of a shard as TensorFlow Datasets expects it."""
    return f"{name}-train.tfrecord-{i:05d}-of-{count:05d}"


def lock_folder(folder: Path) -> int:
    """Makes the folder and locks it for this process; the lock goes with the returned descriptor.

    Raises:
        UserError: the folder can't be written, or another run writes to it.
    """
    with explain_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        fd = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        raise UserError(
            f"{folder}: another run writes to this folder; wait for it or choose another --out"
        ) from error
    return fd


@contextlib.contextmanager
def explain_os_errors(folder: Path):
    """Turns a full disk or a folder without permission into a UserError."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            fix = "no space left; free some and run again"
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            fix = "not writable; choose another --out"
        elif error.errno in (errno.ENOTDIR, errno.EEXIST):
            fix = "not a folder; choose another --out"
        else:
            raise
        raise UserError(f"{folder}: {fix}") from error


def write_tfds_metadata(folder: Path, name: str, crop: int, lengths, sizes) -> None:
    """Writes what `tfds.builder_from_directory` needs to read the shards, without TensorFlow.

    Args:
        folder: the data set's folder.
        name: of the data set.
        crop: side of the crops, px.
        lengths: records of each shard.
        sizes: bytes of each shard.
    """
    info = {
        "name": name,
        "version": "1.0.0",
        "description": "Context crops of siamjax.",
        "fileFormat": "tfrecord",
        "moduleName": "data_prep",
        "splits": [
            {
                "name": "train",
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
                "shardLengths": [str(n) for n in lengths],
                "numBytes": str(sum(sizes)),
            }
        ],
    }
    package = "tensorflow_datasets.core.features"

    def scalar(dtype, encoding="none"):
        return {"tensor": {"shape": {}, "dtype": dtype, "encoding": encoding}}

    def entry(kind, proto):
        return {"pythonClassName": f"{package}.{kind}", **proto}

    image = {
        "image": {
            "shape": {"dimensions": [str(crop), str(crop), "3"]},
            "dtype": "uint8",
            "encodingFormat": "jpeg",
        }
    }
    encoded = {"features": {"encoded": entry("image_feature.Image", image)}}
    size = {"tensor": {"shape": {"dimensions": ["2"]}, "dtype": "float32", "encoding": "none"}}
    features = {
        "image": entry("features_dict.FeaturesDict", {"featuresDict": encoded}),
        "video": entry("text_feature.Text", {"text": {}}),
        "track": entry("text_feature.Text", {"text": {}}),
        "frame": entry("scalar.Scalar", scalar("int64")),
        "size": entry("tensor_feature.Tensor", size),
    }
    tree = entry("features_dict.FeaturesDict", {"featuresDict": {"features": features}})
    for file, content in (("features.json", tree), ("dataset_info.json", info)):
        temporary = folder / f"{file}.tmp"
        temporary.write_text(json.dumps(content, indent=2) + "\n")
        os.replace(temporary, folder / file)
