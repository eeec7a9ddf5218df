"""Writing and checking a data set: shards of records, then the index and the manifest."""

import array
import contextlib
import errno
import itertools
import os
from collections.abc import Sequence
from pathlib import Path

import google_crc32c
import numpy as np

from siamjax.data import index as index_lib
from siamjax.data import jpeg, tfds_metadata
from siamjax.data.tfrecord import (
    FOOTER,
    HEADER,
    BadRecord,
    Record,
    encode_example,
    frame_record,
    locate_records,
)
from siamjax.errors import UserError, refused
from siamjax.locks import Lock

_EXPLAINED = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM),
    *(errno.ENOTDIR, errno.EEXIST),
)


def verify(folder: str | Path) -> list[str]:
    """Checks a finished data set completely.

    Every column of the index; that each video's tracks and each track's frames are in order and
    single; that every record of the shards is in the index, is whole, and its image decodes; what
    TensorFlow Datasets reads beside them.

    Returns:
        One line per fault. Records are read if the columns are sound.

    Raises:
        UserError: as `Index`.
    """
    index = index_lib.Index(folder)
    if faults := index.check():
        return faults
    counts, lacking = _records(index)
    bad = [*_out_of_order(index), *lacking]
    side = index.manifest["crop"]
    for crop in range(index.crops):
        try:
            record = index.read(crop)
            if (record.video, record.track, record.frame) != index.key(crop):
                raise BadRecord("the record is not the one in the index")
            if not np.array_equal(np.float32(record.size), index.size[crop]):
                raise BadRecord("the target's size is not the one in the index")
            if jpeg.decode(record.image).shape != (side, side, 3):
                raise BadRecord(f"the image is not {side} x {side} px")
        except BadRecord as error:
            bad.append(f"{index.describe(crop)}: {error}")
    return bad + tfds_metadata.faults(index.folder, side, counts)


def _out_of_order(index):
    """Names and frames that are not sorted and single, which `Index.locate` relies on."""
    where = f"{index.folder / index_lib.FOLDER}: "
    names = [index.video_name(video) for video in range(index.videos)]
    for before, name in itertools.pairwise(names):
        if before >= name:
            yield f"{where}video {name} stands behind {before}"
    for video, name in enumerate(names):
        tracks = [index.track_name(track) for track in range(*index.tracks_of(video))]
        for before, track in itertools.pairwise(tracks):
            if before >= track:
                yield f"{where}track {track} of video {name} stands behind {before}"
    inner = np.ones(index.crops, bool)
    inner[index.track_start[:-1]] = False
    steps = np.diff(index.frame, prepend=0)
    for crop in np.flatnonzero(inner & (steps <= 0)).tolist():
        yield f"{where}crop {crop} stands behind a later frame of its track"


def _records(index):
    """The number of records in each shard, and lines on those the index lacks."""
    order = np.lexsort((index.offset, index.shard))
    cuts = np.searchsorted(index.shard[order], np.arange(len(index.shards) + 1))
    counts, lines = [], []
    for i, path in enumerate(index.shards):
        known = index.offset[order[cuts[i] : cuts[i + 1]]]
        found = []
        with contextlib.suppress(BadRecord):  # the crop is named where it is read
            found += [offset for offset, _ in locate_records(path)]
        lacking = len(np.setdiff1d(found, known))
        if lacking or len(np.unique(known)) < len(known):
            lines.append(
                f"{path}: {lacking} records that are not in the index, {len(known)} that are"
            )
        counts.append(len(found))
    return counts, lines


class Rows:
    """Columns of the index of records in the order in which they come."""

    def __init__(self):
        """No record yet."""
        self._videos: dict[str, int] = {}
        self._tracks: dict[tuple[int, str], int] = {}
        self._categories: list[str] = []  # of the tracks
        self._columns = {
            name: array.array("f" if name == "size" else "q")
            for name in ("crop_track", "frame", "size", "shard", "offset", "length")
        }

    def add(self, record: Record, shard: int, offset: int, length: int) -> None:
        """One more record, which lies in this shard from this byte on; bytes of its payload."""
        video = self._videos.setdefault(record.video, len(self._videos))
        track = self._tracks.setdefault((video, record.track), len(self._tracks))
        if track == len(self._categories):
            self._categories.append(record.category)
        values = ((track,), (record.frame,), record.size, (shard,), (offset,), (length,))
        for column, value in zip(self._columns.values(), values):
            column.extend(value)

    def columns(self) -> dict:
        """The arguments of `index.write` from `videos` on."""
        return {
            "videos": list(self._videos),
            "tracks": [name for _, name in self._tracks],
            "track_video": np.array([video for video, _ in self._tracks], np.int64),
            "track_category": list(self._categories),
            **{name: np.array(column) for name, column in self._columns.items()},
        }


class RecordFiles:
    """Appends records to files of limited size, without index.

    Attributes:
        files: path, bytes, number of records and CRC-32C of each file, in order.
        rows: columns of the index.
    """

    def __init__(self, folder: Path, stem: str, max_bytes: int):
        """Args: folder and stem of the files' names; max_bytes: of a file."""
        self._folder, self._stem, self._max_bytes = folder, stem, max_bytes
        self._file = None
        self.files: list[dict] = []
        self.rows = Rows()

    def add(self, record: Record) -> None:
        """Appends a record; begins a new file where it would make one larger than allowed.

        Raises:
            ValueError: width or height of the target is not positive and finite, or the frame's
                number is negative.
            UserError: the disk is full.
        """
        if not all(1e-37 < side < 3e38 for side in record.size):
            raise ValueError(f"target of {record.size[0]} x {record.size[1]} px")
        if not 0 <= record.frame < 1 << 31:
            raise ValueError(f"frame number {record.frame}")
        data = frame_record(encode_example(record))
        with explain_os_errors(self._folder):
            if self._file is None or self.files[-1]["bytes"] + len(data) > self._max_bytes:
                self.finish()
                path = self._folder / f"{self._stem}-{len(self.files):05d}.part"
                self.files.append({"path": path, "bytes": 0, "records": 0, "crc32c": "0"})
                self._file = open(path, "wb")  # noqa: SIM115
            self._file.write(data)
        last = self.files[-1]
        shard, payload = len(self.files) - 1, len(data) - HEADER - FOOTER
        self.rows.add(record, shard, last["bytes"], payload)
        last["bytes"] += len(data)
        last["records"] += 1
        last["crc32c"] = f"{google_crc32c.extend(int(last['crc32c'], 16), data):08x}"

    def columns(self) -> dict:
        """Of the records written: the arguments of `index.write` from `videos` on."""
        return self.rows.columns()

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
        """Closes the last file as it is, however full the disk."""
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):  # of what was not written yet
                file.close()


class ShardWriter(contextlib.AbstractContextManager):
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
            self._lock.close()
            raise UserError(
                f"{self.folder}: holds a data set already; remove it or choose another --out"
            )
        for old in list(self.folder.iterdir()):
            if old.name.startswith(f"{name}-train.tfrecord-"):
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
        self.add_encoded(video, track, frame, jpeg.encode(image, self.jpeg_quality), size)

    def add_encoded(
        self, video: str, track: str, frame: int, image: bytes, size, category: str = ""
    ) -> None:
        """Appends one crop that is encoded already, by `jpeg.encode` best; else as `add`. The
        category is the track's, that of its first crop; empty: not known."""
        sides = float(size[0]), float(size[1])
        self._files.add(Record(image, video, track, frame, sides, category))

    def close(self, **manifest) -> None:
        """Finishes the data set.

        Args:
            **manifest: further entries of the manifest (source, seed, skipped, ...), JSON values.

        Raises:
            UserError: nothing was added, or the folder can't be written.
        """
        files = self._files
        try:
            files.finish()
            head = {"name": self.name, "crop": self.crop, "jpeg_quality": self.jpeg_quality}
            write_set(self.folder, files.files, files.columns(), head, manifest)
        finally:
            self._lock.close()

    def __exit__(self, kind, error, traceback):
        if kind is not None:
            self._files.abandon()
            self._lock.close()
        elif not self._lock.closed:  # else: closed inside the block, with more for the manifest
            self.close()


def write_set(
    folder: Path, files: Sequence[dict], columns: dict, head: dict, rest: dict, place=os.replace
) -> None:
    """Makes a data set of record files: they become its shards, then metadata, index and manifest.

    Args:
        folder: the data set's folder.
        files: as of `RecordFiles`.
        columns: of the index.
        head, rest: the manifest before and behind the list of shards; name and crop in the first.
        place: puts the file of the first path under the second.

    Raises:
        UserError: there is no record, or the folder can't be written.
    """
    listed = []
    with explain_os_errors(folder):
        for i, file in enumerate(files):
            name = shard_name(head["name"], i, len(files))
            place(file["path"], folder / name)
            # parts that 0.2 made have no checksum
            kept = {key: file[key] for key in ("bytes", "crc32c") if key in file}
            listed.append({"file": name, **kept})
        tfds_metadata.write(folder, head["name"], head["crop"], files)
        index_lib.write(folder, {**head, "shards": listed, **rest}, **columns)


def shard_name(name: str, i: int, count: int) -> str:
    """File name of a shard as TensorFlow Datasets expects it."""
    return f"{name}-train.tfrecord-{i:05d}-of-{count:05d}"


def lock_folder(folder: Path) -> Lock:
    """Makes the folder and locks it for this process; closing the lock gives it back.

    Raises:
        UserError: the folder can't be written, or another run writes to it.
    """
    return Lock(folder, fix="wait for it or choose another --out")


@contextlib.contextmanager
def explain_os_errors(folder: Path):
    """For a block that writes to a folder.

    Raises:
        UserError: the disk is full, a quota exceeded, or the folder can't be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _EXPLAINED:
            raise
        raise refused(folder, error, "--out") from error
