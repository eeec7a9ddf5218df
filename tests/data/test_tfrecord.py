"""The format: bytes by the TFRecord and Example formats, random access, damage."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamjax.data import tfrecord


def test_framing_by_hand():
    """The empty record, from the format's description: CRC-32C of eight zero bytes is 0x8c28b28a,
    of nothing 0.
    """
    crc = 0x8C28B28A
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    assert tfrecord.frame_record(b"") == bytes(8) + struct.pack("<II", masked, 0xA282EAD8)


def test_example_is_the_protobuf_of_tensorflow():
    """Field by field in the wire format: Example.features = 1, map entries key = 1, value = 2,
    ...
    """
    data = tfrecord.encode_example(tfrecord.Record(b"J", "v", "t", 5, (1.0, 2.0)))

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
    record = tfrecord.Record(image, video, track, frame, size)
    data = tfrecord.encode_example(record)
    assert tfrecord.decode_example(data) == record
    assert tfrecord.encode_example(record) == data


def test_not_an_example():
    with pytest.raises(tfrecord.BadRecord):
        tfrecord.decode_example(b"\xff\xff\xff")
    with pytest.raises(tfrecord.BadRecord):
        tfrecord.decode_example(b"")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=5))
def test_records_come_back_by_offset(tmp_path_factory, payloads):
    path = tmp_path_factory.mktemp("r") / "shard"
    path.write_bytes(b"".join(map(tfrecord.frame_record, payloads)))
    offset = 0
    for payload in payloads:
        assert tfrecord.read_record(path, offset, len(payload)) == payload
        offset += len(tfrecord.frame_record(payload))


@pytest.mark.parametrize("position", range(0, 12 + 5 + 4))
def test_any_flipped_bit_is_noticed(tmp_path, position):
    data = bytearray(tfrecord.frame_record(b"hello"))
    data[position] ^= 4
    path = tmp_path / "shard"
    path.write_bytes(data)
    with pytest.raises(tfrecord.BadRecord):
        tfrecord.read_record(path, 0, 5)


@pytest.mark.parametrize("keep", [5, 14, 20])
def test_a_shard_that_ends_early_is_noticed(tmp_path, keep):
    path = tmp_path / "shard"
    path.write_bytes(tfrecord.frame_record(b"hello")[:keep])
    with pytest.raises(tfrecord.BadRecord, match="ends inside"):
        tfrecord.read_record(path, 0, 5)
