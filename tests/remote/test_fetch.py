"""Fetching: whole and checked or not under its name, resumed from what a kill left."""

import hashlib
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from siamjax.errors import UserError
from siamjax.remote import fetch as fetch_lib
from siamjax.remote.fetch import Damaged, Wanted, fetch
from siamjax.remote.places import Missing, Place


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(fetch_lib, "PIECE", 10)


@pytest.fixture
def served(files):
    """names -> contents of 25, 10, 7 and 0 bytes."""
    rng = np.random.default_rng(0)
    contents = {name: rng.bytes(n) for name, n in (("a", 25), ("b/c", 10), ("d", 7), ("e", 0))}
    for name, content in contents.items():
        path = files.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    return contents


def wanted(contents):
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    return [Wanted(name, len(content), digests[name]) for name, content in contents.items()]


def found(folder):
    """Contents by name, partial files too."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_files_in_pieces(files, served, tmp_path):
    fetch(Place(files.address), wanted(served), tmp_path / "out")
    assert found(tmp_path / "out") == served
    ranges = sorted(span for name, span in files.asked if name == "a")
    assert ranges == ["bytes=0-9", "bytes=10-19", "bytes=20-24"]
    files.asked.clear()
    fetch(Place(files.address), wanted(served), tmp_path / "out")
    assert files.asked == []


@pytest.mark.parametrize("attribute", ["ranges", "lengths"])
def test_servers_without_ranges_or_lengths(files, served, tmp_path, attribute):
    setattr(files, attribute, False)
    some = [Wanted(name, None, each.sha256) for name, each in zip(served, wanted(served))]
    fetch(Place(files.address), some, tmp_path / "out")
    assert found(tmp_path / "out") == served


def test_it_continues_where_it_stopped(files, served, tmp_path, monkeypatch):
    monkeypatch.setattr("siamjax.remote.places._PAUSES", ())
    place, real = Place(files.address), Place.piece

    def breaks(self, name, begin, end):
        if begin == 20:
            raise UserError("broke off")
        return real(self, name, begin, end)

    monkeypatch.setattr(Place, "piece", breaks)
    with pytest.raises(UserError, match="broke off"):
        fetch(place, wanted(served), tmp_path / "out")
    (partial,) = (tmp_path / "out").glob(".a.????????.partial")
    assert partial.read_bytes() == served["a"][:20]
    monkeypatch.undo()
    files.asked.clear()
    monkeypatch.setattr(fetch_lib, "PIECE", 10)
    fetch(place, wanted(served), tmp_path / "out")
    assert [span for name, span in files.asked if name == "a"] == ["bytes=20-24"]
    assert found(tmp_path / "out") == served


def test_what_another_file_left_is_not_continued(files, served, tmp_path):
    """The file at the address was replaced in between."""
    (tmp_path / "out").mkdir()
    old = tmp_path / "out" / ".a.00000000.partial"
    old.write_bytes(b"x" * 20)
    fetch(Place(files.address), wanted(served)[:1], tmp_path / "out")
    assert found(tmp_path / "out") == {"a": served["a"]}


def test_damage_on_the_way_is_fetched_again(files, served, tmp_path):
    files.damaged["a"] = 1
    fetch(Place(files.address), wanted(served), tmp_path / "out")
    assert found(tmp_path / "out") == served


def test_damage_there_is_refused(files, served, tmp_path):
    files.damaged["a"] = 99
    with pytest.raises(Damaged, match=r"/a: its SHA-256 is .{64} in place of .{64}, downloaded 2"):
        fetch(Place(files.address), wanted(served), tmp_path / "out")
    assert "a" not in found(tmp_path / "out")


@pytest.mark.parametrize(
    "change, error, words",
    [
        ({"size": 24}, Damaged, "/a: 25 bytes, 24 in the list of its folder; copy"),
        ({"check": lambda path: "it is blue"}, Damaged, "/a: it is blue, downloaded 2 times"),
        ({"name": "nope"}, Missing, "/nope: nothing there"),
        ({"name": "x", "source": "b"}, Missing, "/b: nothing there"),
        ({"name": "../a"}, UserError, r"names a file '\.\./a', which is not in that folder"),
        ({"name": "/a"}, UserError, "which is not in that folder"),
        ({"name": ""}, UserError, "which is not in that folder"),
    ],
)
def test_what_is_refused(files, served, tmp_path, change, error, words):
    (first, *_) = wanted(served)
    with pytest.raises(error, match=words):
        fetch(Place(files.address), [first._replace(**change)], tmp_path / "out")
    assert not list(tmp_path.glob("a")) + list((tmp_path / "out").glob("a"))


def test_a_folder_is_no_file(tmp_path):
    place = Place("memory://fetching/folder")
    place.write("a/b", b"1")
    with pytest.raises(UserError, match="/folder/a: is a folder; name a file in it"):
        fetch(place, [Wanted("a")], tmp_path)


CHILD = """
import sys
from pathlib import Path
from siamjax.remote import fetch
from siamjax.remote.places import Place
fetch.PIECE = 10
fetch.fetch(Place(sys.argv[1]), [fetch.Wanted("a", 1000)], Path(sys.argv[2]))
"""


def test_killed_and_resumed(files, tmp_path):
    content = np.random.default_rng(1).bytes(1000)
    (files.folder / "a").write_bytes(content)
    files.delay = 0.02
    child = subprocess.Popen([sys.executable, "-c", CHILD, files.address, tmp_path / "out"])
    while len(files.asked) < 20:
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    (partial,) = (tmp_path / "out").iterdir()
    there = partial.stat().st_size
    assert 100 <= there < 1000
    files.delay = 0
    time.sleep(0.1)
    files.asked.clear()
    fetch(Place(files.address), [Wanted("a", 1000)], tmp_path / "out")
    assert files.asked[0] == ("a", f"bytes={there}-{there + 9}")
    assert found(tmp_path / "out") == {"a": content}
