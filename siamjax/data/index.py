"""The index of a data set: which crop lies where, as memory-mapped columns.

Crops are sorted by video, track and frame, so a video is a range of tracks and a track a range of
crops.
Opening reads the manifest, which is checked by its own checksum; a column is mapped and checked
when it is first used: ten million crops open in milliseconds.
"""

import functools
import json
import os
import shutil
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

from siamjax import bundled
from siamjax.data import columns as column_files
from siamjax.data import tfrecord
from siamjax.data.categories import Categories, numbered
from siamjax.errors import UserError
from siamjax.files import replacing, write_whole

FOLDER = "index"
MANIFEST = "manifest.json"
VERSION = 2
_WITHOUT_CHECKSUMS = 1  # until 0.2


class Index:
    """The crops of one finished data set.

    Attributes:
        folder: the data set's folder.
        manifest: its manifest: name, shards with their sizes in bytes, counts, what was skipped.
        shard_bytes: sizes of the shards; `shard` counts in them.
        crops, tracks, videos: their numbers.
        frame: (crops,) int32 number of the frame in its video.
        size: (crops, 2) float32 width and height of the target, px of the source image.
        shard, offset, length: (crops,) where the record begins and the bytes of its payload.
        track_start: (tracks + 1,) first crop of each track.
        video_start: (videos + 1,) first track of each video.
        category: (tracks,) int32 number of each track's category, -1 where none is known.

    Each column raises UserError at its first use where it is damaged: methods do, too.
    """

    def __init__(self, folder: str | Path):
        """Opens the index of `folder`.

        Raises:
            UserError: no such folder, empty, unfinished, another version, a damaged manifest, a
                shard missing or truncated, a column missing or of another size.
        """
        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder)
        files = self.manifest["shards"]
        self.shard_bytes = [shard["bytes"] for shard in files]
        self.crops, self.tracks, self.videos = (
            self.manifest[name] for name in ("crops", "tracks", "videos")
        )
        sizes = {shard["file"]: shard["bytes"] for shard in files}
        _check_sizes(
            self.folder, sizes, "truncated or replaced shard", "prepare the data set again"
        )
        columns = self.manifest.get("columns", {})
        sizes = {f"{name}.npy": known["bytes"] for name, known in columns.items()}
        _check_sizes(self.folder / FOLDER, sizes, "unreadable index column", fix(self.folder))

    @functools.cached_property
    def shards(self) -> list[Path]:
        """Paths of the shards."""
        return [self.folder / shard["file"] for shard in self.manifest["shards"]]

    def __getattr__(self, name: str) -> np.ndarray:
        """A column, when it is first used; from then on it is an attribute as any other."""
        if name not in column_files.TABLE:
            raise AttributeError(f"Index has no {name}")
        if name == column_files.LATER and name not in self.manifest.get("columns", {}):
            return np.full(self.tracks, -1, np.int32)
        path = self.folder / FOLDER / f"{name}.npy"
        setattr(self, name, column_files.read(self, name, path, fix(self.folder)))
        return self.__dict__[name]

    def check(self) -> list[str]:
        """Checks all columns, whatever is used of them.

        Returns:
            A line for each that is damaged.
        """
        faults = []
        for name in column_files.TABLE:
            try:
                getattr(self, name)
            except UserError as error:
                faults.append(str(error))
        return list(dict.fromkeys(faults))

    def tracks_of(self, video: int) -> tuple[int, int]:
        """First track of a video and the one behind its last."""
        return int(self.video_start[video]), int(self.video_start[video + 1])

    def crops_of(self, track: int) -> tuple[int, int]:
        """First crop of a track and the one behind its last, in the order of frames."""
        return int(self.track_start[track]), int(self.track_start[track + 1])

    @functools.cached_property
    def categories(self) -> Categories:
        """Which tracks have a category in common."""
        return Categories(self.category, self.video_start)

    def video_name(self, video: int) -> str:
        """The video's name."""
        return self._name("video_names", video)

    def track_name(self, track: int) -> str:
        """The track's name, unique within its video."""
        return self._name("track_names", track)

    def locate(self, crop: int) -> tuple[int, int]:
        """The video and the track of a crop."""
        track = int(np.searchsorted(self.track_start, crop, side="right")) - 1
        video = int(np.searchsorted(self.video_start, track, side="right")) - 1
        return video, track

    def key(self, crop: int) -> tuple[str, str, int]:
        """Video, track and frame of a crop."""
        video, track = self.locate(crop)
        return self.video_name(video), self.track_name(track), int(self.frame[crop])

    def describe(self, crop: int) -> str:
        """A crop in words for messages: shard, video, track and frame."""
        video, track, frame = self.key(crop)
        place = f"{self.shards[int(self.shard[crop])]} at byte {int(self.offset[crop])}"
        return f"{place} (video {video}, track {track}, frame {frame})"

    def read(self, crop: int) -> tfrecord.Record:
        """Reads one crop as it is stored.

        Raises:
            BadRecord: the record is damaged.
        """
        path = self.shards[int(self.shard[crop])]
        payload = tfrecord.read_record(path, int(self.offset[crop]), int(self.length[crop]))
        return tfrecord.decode_example(payload)

    def _name(self, column, i):
        ends = getattr(self, f"{column}_end")
        begin = int(ends[i - 1]) if i else 0
        return bytes(getattr(self, column)[begin : int(ends[i])]).decode()


def fix(folder: str | Path) -> str:
    """What makes a damaged index whole."""
    return f"siamjax inspect shards {folder} --reindex writes it anew from the shards"


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """The manifest of a finished data set.

    Raises:
        UserError: no such folder, empty, unfinished, another version, damaged or changed.
    """
    folder = Path(folder)
    path = folder / MANIFEST
    try:
        if fault := _unfinished(folder):
            raise UserError(f"{folder}: {fault}")
        text = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); make it readable") from error
    return parse_manifest(text, path, fix(folder))


def parse_manifest(text: bytes, shown: str | Path, cure: str) -> dict[str, Any]:
    """The manifest in a file's bytes.

    Args:
        shown: what messages call the file.
        cure: what makes a damaged one whole.

    Raises:
        UserError: another version, damaged or changed.
    """
    try:
        manifest = json.loads(text)
        version = manifest["version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{shown}: not a manifest; {cure}") from error
    if version not in (VERSION, _WITHOUT_CHECKSUMS):
        raise UserError(
            f"{shown}: written in format {version}, this siamjax reads {VERSION}; prepare it again"
        )
    sealed = version == VERSION or "crc32c" in manifest
    if sealed and manifest.get("crc32c") != _seal(manifest):
        raise UserError(f"{shown}: damaged or changed (its checksum is wrong); {cure}")
    if not _is_manifest(manifest, version):
        raise UserError(f"{shown}: not a manifest; {cure}")
    return manifest


def _seal(manifest: dict) -> str:
    """The checksum of a manifest's values, however the file is laid out."""
    rest = {name: value for name, value in manifest.items() if name != "crc32c"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return f"{google_crc32c.value(text.encode()):08x}"


def _is_manifest(manifest, version):
    """Whether what is used of it has the types and ranges that it needs."""

    def count(value, least=1):
        return type(value) is int and least <= value < 1 << 62

    def plain(name):
        return isinstance(name, str) and "/" not in name and "\0" not in name and "\n" not in name

    def shard(entry):
        return isinstance(entry, dict) and plain(entry.get("file")) and count(entry.get("bytes"), 0)

    def column(entry):
        return isinstance(entry, dict) and count(entry.get("bytes"))

    files, columns = manifest.get("shards"), manifest.get("columns", {})
    return (
        all(count(manifest.get(name)) for name in ("crop", "crops", "tracks", "videos"))
        and isinstance(files, list)
        and len(files) > 0
        and all(map(shard, files))
        and isinstance(columns, dict)
        and all(map(column, columns.values()))
        and (
            version != VERSION or columns.keys() | {column_files.LATER} == column_files.TABLE.keys()
        )
    )


def _unfinished(folder):
    """What a folder lacks of a data set, in words, or None."""
    if not folder.is_dir():
        return f"no such data set; {bundled.preparation(folder)}"
    with os.scandir(folder) as entries:
        if next(entries, None) is None:
            return f"empty folder; {bundled.preparation(folder)}"
    if (folder / MANIFEST).is_file() and (folder / FOLDER).is_dir():
        return None
    return (
        f"not a finished data set (no {MANIFEST} or no {FOLDER}); run its preparation again;"
        f" where all its shards are there, {fix(folder)}"
    )


def _check_sizes(folder, sizes, fault, cure):
    """Refuses files that are not there in their sizes."""
    handle = os.open(folder, os.O_RDONLY)  # names in it are found faster than whole paths
    try:
        for file, size in sizes.items():
            try:
                found = os.stat(file, dir_fd=handle).st_size
            except OSError:
                found = None
            if found != size:
                state = "it is missing" if found is None else f"{found} bytes"
                raise UserError(
                    f"{folder / file}: {fault} ({size} bytes expected, {state}); {cure}"
                )
    finally:
        os.close(handle)


def write(
    folder: str | Path, manifest: dict, videos, tracks, track_video, crop_track, **rows
) -> None:
    """Sorts the crops and writes index, then manifest, whose presence marks the set as finished.

    The content depends on the crops alone, not on the order in which they are given.

    Args:
        folder: the data set's folder; its shards are in place.
        manifest: name, shards, skipped, ...; version and counts are added.
        videos, tracks: names; those of tracks are unique within a video.
        track_video: (tracks,) positions in `videos`.
        crop_track: (crops,) positions in `tracks`.
        rows: columns frame, size, shard, offset, length as in `Index`; track_category, (tracks,)
            names, "" where none is known.

    Raises:
        UserError: no crop at all, two crops of one frame of a track, or the folder cannot be
            written.
    """
    folder = Path(folder)
    if not len(rows["frame"]):
        raise UserError(
            f"{folder}: no crop was written; look at the source folder and the skipped counts"
        )
    track_video, crop_track = np.asarray(track_video), np.asarray(crop_track)
    # Tracks without a crop vanish, and videos without a track.
    used = np.unique(crop_track).tolist()
    used.sort(key=lambda track: (videos[track_video[track]], tracks[track]))
    rank = np.empty(len(tracks), np.int64)
    rank[used] = np.arange(len(used))
    order = np.lexsort((rows["frame"], rank[crop_track]))
    crop_rank = rank[crop_track][order]
    category = rows.pop("track_category", [""] * len(tracks))
    rows["size"] = np.reshape(rows["size"], (-1, 2))
    columns = {name: np.asarray(column)[order] for name, column in rows.items()}
    frame = columns["frame"]
    for double in np.flatnonzero((np.diff(crop_rank) == 0) & (np.diff(frame) == 0)):
        track = used[crop_rank[double]]
        raise UserError(
            f"{folder}: video {videos[track_video[track]]}, track {tracks[track]} has two crops"
            f" of frame {frame[double]}; track names must be unique in a video"
        )
    columns["category"] = numbered([category[t] for t in used])
    track_video = track_video[used]
    video_start = np.flatnonzero(np.diff(track_video, prepend=-1))
    columns |= {
        "track_start": np.searchsorted(crop_rank, np.arange(len(used) + 1)),
        "video_start": np.append(video_start, len(used)),
        **_names("video_names", [videos[v] for v in track_video[video_start]]),
        **_names("track_names", [tracks[t] for t in used]),
    }
    with replacing(folder / FOLDER) as temporary:
        temporary.mkdir()
        written = column_files.write(temporary, columns)
        shutil.rmtree(folder / FOLDER, ignore_errors=True)
    counts = {"videos": len(video_start), "tracks": len(used), "crops": len(frame)}
    write_manifest(folder, {"version": VERSION, **manifest, **counts, "columns": written})


def write_manifest(folder: str | Path, manifest: dict) -> None:
    """Writes a manifest with its checksum.

    Raises:
        UserError: it cannot be written.
    """
    manifest = json.loads(json.dumps(manifest))  # as it will be read: tuples are lists
    manifest["crc32c"] = _seal(manifest)
    write_whole(Path(folder) / MANIFEST, json.dumps(manifest, indent=2) + "\n")


def _names(column, names):
    encoded = [name.encode() for name in names]
    return {
        column: np.frombuffer(b"".join(encoded), np.uint8),
        f"{column}_end": np.cumsum([len(name) for name in encoded]),
    }
