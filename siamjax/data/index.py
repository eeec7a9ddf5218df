"""The index of a data set: which crop lies where, as memory-mapped columns.

Crops are sorted by video, track and frame, so a video is a range of tracks and a track a range of
crops.
Opening maps the columns and reads nothing: ten million crops open in milliseconds.
"""

import json
import shutil
from pathlib import Path

import numpy as np

from siamjax.data import tfrecord
from siamjax.errors import UserError
from siamjax.files import write_whole

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
        crops, tracks, videos: their numbers.
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
            found = f"{path.stat().st_size} bytes" if path.is_file() else "it is missing"
            if found != f"{shard['bytes']} bytes":
                raise UserError(
                    f"{path}: truncated or replaced shard ({shard['bytes']} bytes expected,"
                    f" {found}); prepare the data set again"
                )
        for name in _COLUMNS:
            path = self.folder / FOLDER / f"{name}.npy"
            try:
                # A plain array over the map: numpy.memmap makes every access ten times slower.
                setattr(self, name, np.asarray(np.load(path, mmap_mode="r")))
            except (OSError, EOFError, ValueError) as error:
                raise UserError(
                    f"{path}: unreadable index column; prepare the data set again"
                ) from error
        self.crops = len(self.frame)
        self.tracks, self.videos = len(self.track_start) - 1, len(self.video_start) - 1
        if (self.crops, self.videos) != (self.manifest["crops"], self.manifest["videos"]):
            raise UserError(
                f"{self.folder}: index and {MANIFEST} disagree; prepare the data set again"
            )

    def tracks_of(self, video: int) -> tuple[int, int]:
        """First track of a video and the one behind its last."""
        return int(self.video_start[video]), int(self.video_start[video + 1])

    def crops_of(self, track: int) -> tuple[int, int]:
        """First crop of a track and the one behind its last, in the order of frames."""
        return int(self.track_start[track]), int(self.track_start[track + 1])

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


def read_manifest(folder: str | Path) -> dict:
    """The manifest of a finished data set.

    Raises:
        UserError: no such folder, empty, unfinished, another version.
    """
    folder = Path(folder)
    path = folder / MANIFEST
    fault = None
    if not folder.is_dir():
        fault = f"no such data set; write it with python -m data_prep.NAME --out={folder}"
    elif not any(folder.iterdir()):
        fault = f"empty folder; write shards with python -m data_prep.NAME --out={folder}"
    elif not path.is_file() or not (folder / FOLDER).is_dir():
        fault = f"not a finished data set (no {MANIFEST}); run its preparation again"
    if fault:
        raise UserError(f"{folder}: {fault}")
    try:
        manifest = json.loads(path.read_text())
        version = manifest["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a manifest; prepare the data set again") from error
    if version != VERSION:
        raise UserError(
            f"{folder}: written in format {version}, this siamjax reads {VERSION}; prepare it again"
        )
    return manifest


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
        rows: columns frame, size, shard, offset, length as in `Index`.

    Raises:
        UserError: no crop at all, or two crops of one frame of a track.
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
    rows["size"] = np.reshape(rows["size"], (-1, 2))
    columns = {name: np.asarray(column)[order] for name, column in rows.items()}
    frame = columns["frame"]
    for double in np.flatnonzero((np.diff(crop_rank) == 0) & (np.diff(frame) == 0)):
        track = used[crop_rank[double]]
        raise UserError(
            f"{folder}: video {videos[track_video[track]]}, track {tracks[track]} has two crops"
            f" of frame {frame[double]}; track names must be unique in a video"
        )
    track_video = track_video[used]
    video_start = np.flatnonzero(np.diff(track_video, prepend=-1))
    columns |= {
        "track_start": np.searchsorted(crop_rank, np.arange(len(used) + 1)),
        "video_start": np.append(video_start, len(used)),
        **_names("video_names", [videos[v] for v in track_video[video_start]]),
        **_names("track_names", [tracks[t] for t in used]),
    }
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    (folder / FOLDER).mkdir(parents=True)
    for name, dtype in _COLUMNS.items():
        dtype = dtype or np.min_scalar_type(int(columns[name].max()))
        np.save(folder / FOLDER / f"{name}.npy", np.ascontiguousarray(columns[name], dtype))
    counts = {"videos": len(video_start), "tracks": len(used), "crops": len(frame)}
    manifest = {"version": VERSION, **manifest, **counts}
    write_whole(folder / MANIFEST, json.dumps(manifest, indent=2) + "\n")


def _names(column, names):
    encoded = [name.encode() for name in names]
    return {
        column: np.frombuffer(b"".join(encoded), np.uint8),
        f"{column}_end": np.cumsum([len(name) for name in encoded]),
    }
