"""The writer's promises: crops come back, a folder is finished or refused, damage is named."""

import errno
import hashlib
import json

import numpy as np
import pytest

from siamjax.data import jpeg, shards
from siamjax.data.index import Index, read_manifest
from siamjax.data.tfrecord import Record, encode_example, frame_record
from siamjax.errors import UserError

from .conftest import crop_image, to_format_1, write_set


def test_written_crops_come_back(tmp_path):
    write_set(tmp_path / "s", "toy", videos=3, tracks=2, frames=4, side=64, max_bytes=20_000)
    index = Index(tmp_path / "s")
    assert (index.videos, index.tracks, index.crops) == (3, 6, 24)
    assert len(index.shards) > 2
    for path in index.shards[:-1]:
        assert path.stat().st_size <= 20_000
    for crop in range(index.crops):
        video, track = index.locate(crop)
        record = index.read(crop)
        assert record.size == (20 + video, 30 + track % 2)
        key = track * 4 + int(index.frame[crop]) // 3
        expected = jpeg.decode(jpeg.encode(crop_image(key, 64), 95))
        np.testing.assert_array_equal(jpeg.decode(record.image), expected)
    assert shards.verify(tmp_path / "s") == []


def test_jpeg_quality_and_manifest(tmp_path):
    for quality in (30, 95):
        with shards.ShardWriter(tmp_path / str(quality), "toy", jpeg_quality=quality) as writer:
            writer.add("v", "t", 0, crop_image(1), (10, 10))
    low, high = (read_manifest(tmp_path / str(q)) for q in (30, 95))
    assert low["shards"][0]["bytes"] < high["shards"][0]["bytes"]
    assert (low["jpeg_quality"], high["jpeg_quality"]) == (30, 95)
    assert (high["name"], high["crop"], high["crops"]) == ("toy", 511, 1)


def test_extra_entries_of_the_manifest(tmp_path):
    writer = shards.ShardWriter(tmp_path, "toy", crop=64)
    writer.add("v", "t", 0, crop_image(1, 64), (10, 10))
    writer.close(seed=7, skipped={"empty box": 3})
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["seed"] == 7
    assert manifest["skipped"] == {"empty box": 3}


def test_verify_names_the_damaged_crop(tmp_path):
    write_set(tmp_path, "toy", videos=2, frames=3, side=64)
    index = Index(tmp_path)
    path = index.shards[0]
    data = bytearray(path.read_bytes())
    data[int(index.offset[4]) + 40] ^= 1
    path.write_bytes(data)
    (line,) = shards.verify(tmp_path)
    assert "video v1, track 00, frame 3" in line
    assert "checksum" in line


def test_the_writer_starts_over_in_an_unfinished_folder(tmp_path):
    writer = shards.ShardWriter(tmp_path, "toy", crop=64)
    writer.add("old", "t", 0, crop_image(1, 64), (10, 10))
    with pytest.raises(UserError, match="in use by process"):
        shards.ShardWriter(tmp_path, "toy", crop=64)
    with pytest.raises(RuntimeError), writer:
        raise RuntimeError
    with pytest.raises(UserError, match="not a finished data set"):
        Index(tmp_path)
    write_set(tmp_path, "toy", videos=1, side=64)
    assert Index(tmp_path).video_name(0) == "v0"
    assert not list(tmp_path.glob("*.part"))


def test_a_finished_folder_is_not_overwritten(tmp_path):
    write_set(tmp_path, "toy", videos=1, side=64)
    with pytest.raises(UserError, match="holds a data set already"):
        shards.ShardWriter(tmp_path, "toy")


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="not a folder"):
        shards.ShardWriter(tmp_path / "file" / "out", "toy")


def test_nothing_added(tmp_path):
    with pytest.raises(UserError, match="no crop"), shards.ShardWriter(tmp_path, "toy"):
        pass
    with pytest.raises(UserError, match="not a finished data set"):
        Index(tmp_path)


def test_wrong_crops_and_sizes_are_refused(tmp_path):
    with shards.ShardWriter(tmp_path, "toy", crop=64) as writer:
        with pytest.raises(ValueError):
            writer.add("v", "t", 0, crop_image(1, 63), (10, 10))
        for size in ((0, 5), (5, float("nan")), (float("inf"), 5), (-1, 5)):
            with pytest.raises(ValueError):
                writer.add("v", "t", 0, crop_image(1, 64), size)
        for frame in (-1, 1 << 31):
            with pytest.raises(ValueError, match="frame number"):
                writer.add("v", "t", frame, crop_image(1, 64), (10, 10))
        writer.add("v", "t", 0, crop_image(1, 64), (0.5, 0.25))  # less than a pixel is no fault
    assert Index(tmp_path).crops == 1


def test_a_full_disk(tmp_path, monkeypatch):
    """The disk fills up while a shard or the index is written: one line, and the folder stays
    unfinished.
    """
    writer = shards.ShardWriter(tmp_path, "toy", crop=64)
    writer.add("v", "t", 0, crop_image(1, 64), (10, 10))

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(UserError, match="no space left"):
        writer.close()
    with pytest.raises(UserError, match="not a finished data set"):
        Index(tmp_path)


FORMAT = {
    "dataset_info.json": "739346a77899bbe9",
    "features.json": "a2c7a89cd113cae6",
    "index/category.npy": "28b01350c9c8e41a",
    "index/frame.npy": "4d11779ee8487b80",
    "index/length.npy": "3825360a13bac4fb",
    "index/offset.npy": "645379cbdc59b2d6",
    "index/shard.npy": "f99de68dd8c23d81",
    "index/size.npy": "987ad6a6a79b1375",
    "index/track_names.npy": "3080036351492c81",
    "index/track_names_end.npy": "ab5ed11a4ca1c744",
    "index/track_start.npy": "51f2043618716a4f",
    "index/video_names.npy": "2ac005a9a97069bf",
    "index/video_names_end.npy": "2b420b2a1ac0cff5",
    "index/video_start.npy": "7261baa9f1d2440c",
    "manifest.json": "6722f109dde0849b",
    "toy-train.tfrecord-00000-of-00007": "c75826722aa8d73e",
    "toy-train.tfrecord-00001-of-00007": "e98184b928430ce0",
    "toy-train.tfrecord-00002-of-00007": "fcd4c2ae442faec1",
    "toy-train.tfrecord-00003-of-00007": "2cd6028569a6d244",
    "toy-train.tfrecord-00004-of-00007": "330a108ab089bfc9",
    "toy-train.tfrecord-00005-of-00007": "a031fb3983835302",
    "toy-train.tfrecord-00006-of-00007": "7c61071c649fb628",
}


def test_the_format_byte_for_byte(tmp_path):
    """Data sets written by earlier versions stay readable, and rewritten ones stay the same."""
    with shards.ShardWriter(tmp_path, "toy", max_bytes=300, crop=64) as writer:
        for i in range(7):
            video = f"vidéo {i % 3}"
            writer.add_encoded(video, f"{i % 2}", 5 * i, bytes(range(i, 40 + i)), (3.5 + i, 9.25))
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    found = {
        str(path.relative_to(tmp_path)): hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        for path in files
    }
    assert found == FORMAT
    to_format_1(tmp_path)  # the manifest until version 0.2
    first = hashlib.sha256((tmp_path / "manifest.json").read_bytes()).hexdigest()
    assert first.startswith("d25245d31934babb")
    assert Index(tmp_path).key(6) == ("vidéo 2", "1", 25)


@pytest.mark.parametrize("spare, files", [(0, 1), (-1, 2)])
def test_a_shard_is_filled_to_its_last_byte(tmp_path, spare, files):
    record = Record(b"an image", "video", "0", 1, (3.0, 4.0))
    size = len(frame_record(encode_example(record)))
    writer = shards.RecordFiles(tmp_path, "toy", max_bytes=2 * size + spare)
    for _ in range(2):
        writer.add(record)
    writer.finish()
    assert [file["records"] for file in writer.files] == ([2] if files == 1 else [1, 1])
