"""The container: bytes by the TFRecord and Example formats, random access, damage, the writer's
promises.
"""

import errno
import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamjax.data import records
from siamjax.data.index import Index, read_manifest
from siamjax.errors import UserError

from .conftest import crop_image, write_set


def test_framing_by_hand():
    """The empty record, from the format's description: CRC-32C of eight zero bytes is 0x8c28b28a,
    of nothing 0.
    """
    crc = 0x8C28B28A
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    assert records.frame_record(b"") == bytes(8) + struct.pack("<II", masked, 0xA282EAD8)


def test_example_is_the_protobuf_of_tensorflow():
    """Field by field in the wire format: Example.features = 1, map entries key = 1, value = 2,
    ...
    """
    data = records.encode_example(records.Record(b"J", "v", "t", 5, (1.0, 2.0)))

    def field(number, content):
        return bytes([number << 3 | 2, len(content)]) + content

    def entry(key, kind, content):
        return field(1, field(1, key) + field(2, field(kind, content)))

    expected = {
        entry(b"image/encoded", 1, field(1, b"J")),
        entry(b"video", 1, field(1, b"v")),
        entry(b"track", 1, field(1, b"t")),
        entry(b"frame", 3, field(1, b"\x05")),
        entry(b"size", 2, field(1, struct.pack("<ff", 1, 2))),
    }
    assert data[:1] == b"\x0a"
    assert data[1] == len(data) - 2
    for part in expected:
        assert part in data
    assert sum(map(len, expected)) == len(data) - 2


@settings(max_examples=30, deadline=None)
@given(
    st.binary(max_size=300),
    st.text(max_size=20),
    st.text(max_size=20),
    st.integers(0, 2**40),
    st.tuples(st.floats(0.5, 1e4, width=32), st.floats(0.5, 1e4, width=32)),
)
def test_example_round_trip(image, video, track, frame, size):
    record = records.Record(image, video, track, frame, size)
    data = records.encode_example(record)
    assert records.decode_example(data) == record
    assert records.encode_example(record) == data


def test_not_an_example():
    with pytest.raises(records.BadRecord):
        records.decode_example(b"\xff\xff\xff")
    with pytest.raises(records.BadRecord):
        records.decode_example(b"")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=5))
def test_records_come_back_in_order_and_by_offset(tmp_path_factory, payloads):
    path = tmp_path_factory.mktemp("r") / "shard"
    path.write_bytes(b"".join(map(records.frame_record, payloads)))
    found = list(records.read_records(path))
    assert [data for _, data in found] == payloads
    for offset, data in found:
        assert records.read_record(path, offset, len(data)) == data


@pytest.mark.parametrize("position", range(0, 12 + 5 + 4))
def test_any_flipped_bit_is_noticed(tmp_path, position):
    data = bytearray(records.frame_record(b"hello"))
    data[position] ^= 4
    path = tmp_path / "shard"
    path.write_bytes(data)
    with pytest.raises(records.BadRecord):
        records.read_record(path, 0, 5)
    with pytest.raises(records.BadRecord, match="at byte 0"):
        list(records.read_records(path))


@pytest.mark.parametrize("keep", [5, 14, 20])
def test_a_shard_that_ends_early_is_noticed(tmp_path, keep):
    path = tmp_path / "shard"
    path.write_bytes(records.frame_record(b"hello")[:keep])
    with pytest.raises(records.BadRecord, match="ends inside"):
        list(records.read_records(path))
    with pytest.raises(records.BadRecord, match="ends inside"):
        records.read_record(path, 0, 5)


def test_a_truncated_jpeg_is_noticed():
    data = records.encode_image(crop_image(0, 64), 95)
    assert records.decode_image(data).shape == (64, 64, 3)
    for damaged in (data[:-10], data[: len(data) // 2], b"", b"GIF89a"):
        with pytest.raises(records.BadRecord):
            records.decode_image(damaged)


def test_written_crops_come_back(tmp_path):
    write_set(tmp_path / "s", "toy", videos=3, tracks=2, frames=4, side=64, max_bytes=20_000)
    index = Index(tmp_path / "s")
    assert (index.videos, index.tracks, index.crops) == (3, 6, 24)
    assert len(index.shards) > 2
    for path in index.shards[:-1]:
        assert path.stat().st_size <= 20_000
    for crop in range(index.crops):
        video, track = index.locate(crop)
        image, size = records.read_crop(index, crop)
        assert tuple(size) == (20 + video, 30 + track % 2)
        key = track * 4 + int(index.frame[crop]) // 3
        expected = records.decode_image(records.encode_image(crop_image(key, 64), 95))
        np.testing.assert_array_equal(image, expected)
    assert records.verify(tmp_path / "s") == []


def test_jpeg_quality_and_manifest(tmp_path):
    for quality in (30, 95):
        with records.ShardWriter(tmp_path / str(quality), "toy", jpeg_quality=quality) as writer:
            writer.add("v", "t", 0, crop_image(1), (10, 10))
    low, high = (read_manifest(tmp_path / str(q)) for q in (30, 95))
    assert low["shards"][0]["bytes"] < high["shards"][0]["bytes"]
    assert (low["jpeg_quality"], high["jpeg_quality"]) == (30, 95)
    assert (high["name"], high["crop"], high["crops"]) == ("toy", 511, 1)


def test_extra_entries_of_the_manifest(tmp_path):
    writer = records.ShardWriter(tmp_path, "toy", crop=64)
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
    (line,) = records.verify(tmp_path)
    assert "video v1, track 00, frame 3" in line
    assert "checksum" in line


def test_the_writer_starts_over_in_an_unfinished_folder(tmp_path):
    writer = records.ShardWriter(tmp_path, "toy", crop=64)
    writer.add("old", "t", 0, crop_image(1, 64), (10, 10))
    with pytest.raises(UserError, match="another run"):
        records.ShardWriter(tmp_path, "toy", crop=64)
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
        records.ShardWriter(tmp_path, "toy")


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="not a folder"):
        records.ShardWriter(tmp_path / "file" / "out", "toy")


def test_nothing_added(tmp_path):
    with pytest.raises(UserError, match="no crop"), records.ShardWriter(tmp_path, "toy"):
        pass
    with pytest.raises(UserError, match="not a finished data set"):
        Index(tmp_path)


def test_wrong_crops_and_sizes_are_refused(tmp_path):
    with records.ShardWriter(tmp_path, "toy", crop=64) as writer:
        with pytest.raises(ValueError):
            writer.add("v", "t", 0, crop_image(1, 63), (10, 10))
        for size in ((0, 5), (5, float("nan")), (float("inf"), 5), (-1, 5)):
            with pytest.raises(ValueError):
                writer.add("v", "t", 0, crop_image(1, 64), size)
        writer.add("v", "t", 0, crop_image(1, 64), (10, 10))
    assert Index(tmp_path).crops == 1


def test_a_full_disk(tmp_path, monkeypatch):
    """The disk fills up while a shard or the index is written: one line, and the folder stays
    unfinished.
    """
    writer = records.ShardWriter(tmp_path, "toy", crop=64)
    writer.add("v", "t", 0, crop_image(1, 64), (10, 10))

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(UserError, match="no space left"):
        writer.close()
    with pytest.raises(UserError, match="not a finished data set"):
        Index(tmp_path)
