"""Lists of checksums: every bit counts, of the files and of the list."""

import hashlib
import subprocess

import pytest

from siamjax import checksums


@pytest.fixture
def listed(tmp_path):
    (tmp_path / "files" / "in").mkdir(parents=True)
    (tmp_path / "files" / "a.txt").write_bytes(b"1,2\n")
    (tmp_path / "files" / "in" / "b c.bin").write_bytes(bytes(range(256)))
    checksums.write(tmp_path / "sums.txt", tmp_path / "files", ["a.txt", "in/b c.bin"])
    return tmp_path / "sums.txt", tmp_path / "files"


def test_the_list_is_one_of_sha256sum(listed):
    path, folder = listed
    first, second = path.read_text().splitlines()
    assert first == f"{hashlib.sha256(b'1,2' + bytes([10])).hexdigest()}  a.txt"
    assert second.endswith("  in/b c.bin")
    shown = subprocess.run(["sha256sum", "--check", path], cwd=folder, capture_output=True)
    assert shown.returncode == 0
    assert checksums.first_damaged(path, folder) is None


def test_every_flipped_bit_is_found(listed):
    path, folder = listed
    names = {"a.txt": folder / "a.txt", "b": folder / "in" / "b c.bin", "list": path}
    for name, file in names.items():
        good = file.read_bytes()
        for place in {*range(0, len(good), 31), 2, 64, 65, 66, 71, len(good) - 1}:
            for bit in (0, 1, 7) if place < len(good) else ():
                file.write_bytes(good[:place] + bytes([good[place] ^ 1 << bit]) + good[place + 1 :])
                found = checksums.first_damaged(path, folder)
                assert found in names.values(), (name, place, bit)
                assert name == "list" or found == file
        file.write_bytes(good)


def crc32c(data):
    """Bit by bit, Castagnoli's polynomial."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def test_a_checksum_among_the_values_or_in_one_of_them():
    fits = crc32c(b'{"a": 1, "b": {"c": 2}}')
    for stored, expected in ((fits, True), (fits ^ 1, False), (str(fits), False)):
        values = {"b": {"c": 2}, "a": 1, "sum": stored}
        assert checksums.unseal(values, "sum", values) == expected
        values = {"b": {"c": 2, "sum": stored}, "a": 1}
        assert checksums.unseal(values["b"], "sum", values) == expected
        assert values == {"b": {"c": 2}, "a": 1}
    assert checksums.unseal(values, "sum", values)  # as files from before 0.3


@pytest.mark.parametrize("content", [b"", b"\n", b"x" * 66, b"\xff\xfe", b"x" * 66 + b"\0"])
def test_a_damaged_list_is_named(listed, content):
    path, folder = listed
    path.write_bytes(content)
    assert checksums.first_damaged(path, folder) == path
    path.unlink()
    assert checksums.first_damaged(path, folder) == path


def test_a_missing_file_is_a_damaged_list(listed):
    path, folder = listed
    (folder / "a.txt").unlink()
    assert checksums.first_damaged(path, folder) == path
