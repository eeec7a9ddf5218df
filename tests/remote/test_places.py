"""Places: what fsspec raises becomes one line that names address and fix, without secrets."""

import pytest

from siamjax.errors import UserError
from siamjax.remote.places import Missing, Place, is_address, without_secrets


def test_what_is_an_address():
    good = "s3://b/k", "hf://o/r/f.npz", "HTTPS://h/f", "zip://a.npz::s3://b/z.zip", "a+b://x"
    assert all(map(is_address, good))
    assert not any(map(is_address, ("runs/r50", "C:\\x", "/a", "a:b", "", "https:/x", "1://x")))


def test_secrets_are_left_out():
    text = "GET https://me:pw@host/f.npz?sig=abc&x=1 failed: url='http://t@h/a?k=v', why?"
    assert without_secrets(text) == "GET https://host/f.npz failed: url='http://h/a', why"
    assert without_secrets("what is that? nothing") == "what is that? nothing"


def test_the_digest_of_an_address():
    digest = "Ab" * 32
    place = Place(f"memory://a/w.npz#sha256={digest}")
    assert (place.address, place.digest) == ("memory://a/w.npz", digest.lower())
    assert place.name == "w.npz"
    assert Place("memory://a/w#1.npz").digest is None
    for wrong in ("ab", "zz" * 32, digest + "0"):
        with pytest.raises(UserError, match=r"^memory://a/w.npz: give #sha256= with 64 hex"):
            Place(f"memory://a/w.npz#sha256={wrong}")


@pytest.mark.parametrize("address", ["memory://places/deep", "file://{folder}/deep/er"])
def test_files_are_written_read_listed_and_removed(tmp_path, address):
    place = Place(address.format(folder=tmp_path))
    assert place.files() == {}
    (tmp_path / "local").write_bytes(b"12345")
    place.write("a/b.txt", b"one")
    place.write("a/b.txt", b"other")
    place.put(tmp_path / "local", "c/d")
    assert {name: info.size for name, info in place.files().items()} == {"a/b.txt": 5, "c/d": 5}
    assert place.read("a/b.txt") == b"other"
    assert place.piece("c/d", 1, 3) == b"23"
    assert place.info("a").is_folder
    place.remove(["a/b.txt"])
    assert list(place.files()) == ["c/d"]
    with pytest.raises(Missing, match=r"deep.*a/b.txt: nothing there; look after the address$"):
        place.read("a/b.txt")


def test_over_http(files):
    (files.folder / "a.bin").write_bytes(bytes(range(100)))
    place = Place(f"{files.address}?token=hidden")
    assert place.info("a.bin").size == 100
    assert place.piece("a.bin", 10, 13) == bytes((10, 11, 12))
    before = place.info("a.bin").mark
    (files.folder / "a.bin").write_bytes(bytes(100))
    assert place.info("a.bin").mark != before


@pytest.mark.parametrize(
    "status, words",
    [
        (404, "nothing there; look after the address"),
        (403, r"access refused \(ClientResponseError: 403.*\); look after .*netrc"),
        (500, r"failed \(ClientResponseError: 500"),
    ],
)
def test_what_a_server_refuses(files, status, words):
    files.refused["w.npz"] = status
    address = files.address.replace("://", "://me:hidden@")
    with pytest.raises(UserError, match=rf"^{files.address}/w.npz: {words}") as raised:
        Place(f"{address}?sig=hidden").info("w.npz")
    assert "hidden" not in str(raised.value)
    assert "\n" not in str(raised.value)
    assert isinstance(raised.value, Missing) == (status == 404)


def test_no_server_no_scheme_no_package(monkeypatch):
    with pytest.raises(UserError, match=r"^http://127.0.0.1:9/x: failed \(.*; look after the net"):
        Place("http://127.0.0.1:9/x").info()
    with pytest.raises(UserError, match=r"^nope://x: no addresses with nope:// are known; look"):
        Place("nope://x")
    monkeypatch.setitem(__import__("sys").modules, "fsspec", None)
    with pytest.raises(UserError, match=r"fsspec is not installed; .*pip install -e '\S+\[remote"):
        Place("memory://x")


def test_a_piece_is_asked_for_again(files, monkeypatch):
    monkeypatch.setattr("siamjax.remote.places._PAUSES", (0, 0))
    (files.folder / "a").write_bytes(b"abc")
    place = Place(files.address)
    real = place._fs.cat_file
    calls = []

    def fails_twice(*args, **kwargs):
        calls.append(args)
        if len(calls) < 3:
            raise TimeoutError
        return real(*args, **kwargs)

    monkeypatch.setattr(place._fs, "cat_file", fails_twice)
    assert place.piece("a", 0, 3) == b"abc"
    assert len(calls) == 3
    monkeypatch.setattr(place._fs, "cat_file", lambda *_, **__: 1 / 0)
    with pytest.raises(UserError, match="ZeroDivisionError"):
        place.piece("a", 0, 3)


@pytest.mark.slow
def test_on_s3(s3, tmp_path):
    place = Place(f"{s3}/run")
    assert place.files() == {}
    place.write("a/b", b"12345")
    (tmp_path / "local").write_bytes(b"6")
    place.put(tmp_path / "local", "c")
    assert {name: info.size for name, info in place.files().items()} == {"a/b": 5, "c": 1}
    assert place.piece("a/b", 1, 3) == b"23"
    assert place.info("a").is_folder
    place.remove(["c"])
    with pytest.raises(Missing):
        place.info("c")
    with pytest.raises(Missing):  # no bucket is made
        Place("s3://no-such-bucket/x").write("a", b"1")
