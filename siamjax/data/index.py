"""The index of a data set: which crop lies where, as memory-mapped columns.

Crops are sorted by video, track and frame, so a video is a range of tracks and a track a range of
crops.
Opening maps the columns and reads nothing: ten million crops open in milliseconds.
"""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from siamjax.errors import UserError

FOLDER = "index"
MANIFEST = "manifest.json"
VERSION = 1

# None: the smallest unsigned integers that hold the values. These columns are looked up at random
# for every crop, so a long training brings all of them into memory.
_COLUMNS = {
    "frame": np.int32,
    "size": np.float32,
    "shard": None,
    "offset": None,
    "length": None,
    "track_start": np.int64,
    "video_start": np.int64,
    "video_names": np.uint8,
    "video_names_end": np.int64,
    "track_names": np.uint8,
    "track_names_end": np.int64,
}


class Index:
    """The crops of one finished data set.

    Attributes:
        folder: the data set's folder.
        manifest: its manifest: name, shards with their sizes in bytes, counts, what was skipped.
        shards: paths of the shards; `shard` counts in them.
        frame: (crops,) int32 number of the frame in its video.
        size: (crops, 2) float32 width and height of the target, px of the source image.
        shard, offset, length: (crops,) where the record begins and the bytes of its payload.
        track_start: (tracks + 1,) first crop of each track.
        video_start: (videos + 1,) first track of each video.
    """

    def __init__(self, folder: str | Path):
        """Maps the index of `folder`.

        Raises:
            UserError: no such folder, empty, unfinished, another version, a shard missing or
                truncated.
        """
        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder)
        self.shards = [self.folder / shard["file"] for shard in self.manifest["shards"]]
        for path, shard in zip(self.shards, self.manifest["shards"]):
            size = path.stat().st_size if path.is_file() else None
            if size != shard["bytes"]:
                found = "it is missing" if size is None else f"{size} bytes"
                raise UserError(
                    f"{path}: truncated or replaced shard ({shard['bytes']} bytes expected,"
                    f" {found}); prepare the data set again"
                )
        self._columns = {name: _map(self.folder / FOLDER / f"{name}.npy") for name in _COLUMNS}
        self.__dict__.update(self._columns)
        if self.crops != self.manifest["crops"] or self.videos != self.manifest["videos"]:
            raise UserError(
                f"{self.folder}: index and {MANIFEST} disagree; prepare the data set again"
            )

    @property
    def crops(self) -> int:
        """Number of crops."""
        return len(self._columns["frame"])

    @property
    def tracks(self) -> int:
        """Number of tracks."""
        return len(self._columns["track_start"]) - 1

    @property
    def videos(self) -> int:
        """Number of videos."""
        return len(self._columns["video_start"]) - 1

    def tracks_of(self, video: int) -> tuple[int, int]:
        """First track of a video and the one behind its last."""
        start = self._columns["video_start"]
        return int(start[video]), int(start[video + 1])

    def crops_of(self, track: int) -> tuple[int, int]:
        """First crop of a track and the one behind its last, in the order of frames."""
        start = self._columns["track_start"]
        return int(start[track]), int(start[track + 1])

    def video_name(self, video: int) -> str:
        """The video's name."""
        return self._name("video_names", video)

    def track_name(self, track: int) -> str:
        """The track's name, unique within its video."""
        return self._name("track_names", track)

    def locate(self, crop: int) -> tuple[int, int]:
        """The video and the track of a crop."""
        track = int(np.searchsorted(self._columns["track_start"], crop, side="right")) - 1
        video = int(np.searchsorted(self._columns["video_start"], track, side="right")) - 1
        return video, track

    def describe(self, crop: int) -> str:
        """A crop in words for messages: shard, video, track and frame."""
        video, track = self.locate(crop)
        shard, offset = self.shards[int(self.shard[crop])], int(self.offset[crop])
        names = f"video {self.video_name(video)}, track {self.track_name(track)}"
        return f"{shard} at byte {offset} ({names}, frame {int(self.frame[crop])})"

    def _name(self, column, i):
        ends = self._columns[f"{column}_end"]
        begin = int(ends[i - 1]) if i else 0
        return bytes(self._columns[column][begin : int(ends[i])]).decode()


def read_manifest(folder: str | Path) -> dict:
    """The manifest of a finished data set.

    Raises:
        UserError: no such folder, empty, unfinished, another version.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(
            f"{folder}: no such data set; write it with python -m data_prep.NAME --out={folder}"
        )
    if not any(folder.iterdir()):
        raise UserError(
            f"{folder}: empty folder; write shards with python -m data_prep.NAME --out={folder}"
        )
    if not (folder / MANIFEST).is_file() or not (folder / FOLDER).is_dir():
        raise UserError(
            f"{folder}: not a finished data set (no {MANIFEST}); run its preparation again"
        )
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        version = manifest["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{folder / MANIFEST}: not a manifest; prepare the data set again"
        ) from error
    if version != VERSION:
        raise UserError(
            f"{folder}: written in format {version}, this siamjax reads {VERSION}; prepare it again"
        )
    return manifest


def write(
    folder: str | Path,
    manifest: dict,
    videos: Sequence[str],
    tracks: Sequence[str],
    track_video,
    crop_track,
    frame,
    size,
    shard,
    offset,
    length,
) -> None:
    """Sorts the crops and writes index, then manifest, whose presence says: finished.

    The content depends on the crops alone, not on the order in which they are given.

    Args:
        folder: the data set's folder; its shards are in place.
        manifest: name, shards, skipped, ...; version and counts are added.
        videos: names.
        tracks: names, unique within a video.
        track_video: (tracks,) positions in `videos`.
        crop_track: (crops,) positions in `tracks`.
        frame, size, shard, offset, length: columns as in `Index`.

    Raises:
        UserError: no crop at all, or two crops of one frame of a track.
    """
    folder = Path(folder)
    if not len(frame):
        raise UserError(
            f"{folder}: no crop was written; look at the source folder and the skipped counts"
        )
    track_video, crop_track = np.asarray(track_video), np.asarray(crop_track)
    frame, size, shard, offset, length = map(np.asarray, (frame, size, shard, offset, length))
    # Ranks by name; videos and tracks without a crop vanish.
    used = np.unique(crop_track)
    track_order = sorted(used.tolist(), key=lambda t: (videos[track_video[t]], tracks[t]))
    track_rank = np.empty(len(tracks), np.int64)
    track_rank[track_order] = np.arange(len(track_order))
    rank = track_rank[crop_track]
    order = np.lexsort((frame, rank))
    rank, frame = rank[order], frame[order]
    double = np.flatnonzero((np.diff(rank) == 0) & (np.diff(frame) == 0))
    if len(double):
        track = track_order[rank[double[0]]]
        raise UserError(
            f"{folder}: video {videos[track_video[track]]}, track {tracks[track]} has two crops"
            f" of frame {frame[double[0]]}; track names must be unique in a video"
        )
    video_of_rank = track_video[track_order]
    video_start = np.flatnonzero(np.diff(video_of_rank, prepend=-1))
    video_names = [videos[v].encode() for v in video_of_rank[video_start]]
    track_names = [tracks[t].encode() for t in track_order]
    columns = {
        "frame": frame,
        "size": size.reshape(-1, 2)[order],
        "shard": shard[order],
        "offset": offset[order],
        "length": length[order],
        "track_start": np.searchsorted(rank, np.arange(len(track_order) + 1)),
        "video_start": np.append(video_start, len(track_order)),
        "video_names": np.frombuffer(b"".join(video_names), np.uint8),
        "video_names_end": np.cumsum([len(n) for n in video_names]),
        "track_names": np.frombuffer(b"".join(track_names), np.uint8),
        "track_names_end": np.cumsum([len(n) for n in track_names]),
    }
    manifest = {
        "version": VERSION,
        **manifest,
        "videos": len(video_names),
        "tracks": len(track_names),
        "crops": len(frame),
    }
    temporary = folder / f"{FOLDER}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    for name, dtype in _COLUMNS.items():
        column = np.asarray(columns[name])
        dtype = dtype or np.min_scalar_type(int(column.max()))
        np.save(temporary / f"{name}.npy", np.ascontiguousarray(column, dtype))
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    os.replace(temporary, folder / FOLDER)
    write_manifest(folder, manifest)


def write_manifest(folder: str | Path, manifest: dict) -> None:
    """Writes the manifest whole or not at all."""
    temporary = Path(folder) / f"{MANIFEST}.tmp"
    temporary.write_text(json.dumps(manifest, indent=2) + "\n")
    os.replace(temporary, Path(folder) / MANIFEST)


def _map(path):
    try:
        # A plain array over the map: numpy.memmap makes every access some ten times slower.
        return np.asarray(np.load(path, mmap_mode="r"))
    except (OSError, EOFError, ValueError) as error:
        raise UserError(f"{path}: unreadable index column; prepare the data set again") from error
