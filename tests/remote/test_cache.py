"""The cache of copies: one process fetches, the others wait; bounded; what is in use stays."""

import hashlib
import json
import os
import subprocess
import sys
import time

import pytest

from siamjax import locks
from siamjax.errors import UserError
from siamjax.remote import cache
from siamjax.remote.fetch import Wanted
from siamjax.remote.places import Place


@pytest.fixture
def fetched(files, cache_folder):
    """fetched(name, size, digest) -> the folder of a copy that has one file."""

    def get(name, size=1000, version="1"):
        if not (files.folder / name).exists():
            (files.folder / name).write_bytes(os.urandom(size))
        return cache.fetched(
            Place(files.address), f"{name} {version}", lambda: [Wanted(name, size)]
        )

    return get


def forget():
    """As if the process had ended: nothing is in use."""
    for descriptor in locks._shared.values():
        os.close(descriptor)
    locks._shared.clear()


def names(folder):
    """Files of finished copies."""
    return sorted(path.name for path in folder.glob("*/content/*"))


def test_where_it_lies(monkeypatch, tmp_path):
    monkeypatch.delenv("SIAMJAX_REMOTE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert cache.folder() == tmp_path / "x" / "siamjax" / "remote"
    monkeypatch.setenv("SIAMJAX_REMOTE_CACHE", str(tmp_path / "y"))
    assert cache.folder() == tmp_path / "y"


@pytest.mark.parametrize("text", ["much", "0", "-1", "nan", "inf"])
def test_limits_that_are_none(monkeypatch, tmp_path, text):
    monkeypatch.setenv("SIAMJAX_REMOTE_CACHE_GB", text)
    with pytest.raises(UserError, match=f"SIAMJAX_REMOTE_CACHE_GB={text}: give gigabytes, a"):
        cache.limit(tmp_path)
    monkeypatch.setenv("SIAMJAX_REMOTE_CACHE_GB", "1.5")
    assert cache.limit(tmp_path) == 1_500_000_000
    monkeypatch.delenv("SIAMJAX_REMOTE_CACHE_GB")
    assert (
        cache.limit(tmp_path) == os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize // 2
    )


def test_a_content_is_fetched_once(files, fetched):
    first = fetched("a")
    assert (first / "a").read_bytes() == (files.folder / "a").read_bytes()
    asked = len(files.asked)
    assert fetched("a") == first
    assert len(files.asked) == asked
    assert fetched("a", version="2") != first


def test_a_cut_copy_is_fetched_again(files, fetched):
    path = fetched("a") / "a"
    path.write_bytes(b"cut")
    assert (fetched("a") / "a").read_bytes() == (files.folder / "a").read_bytes()
    path.unlink()
    assert fetched("a").joinpath("a").exists()


def test_the_one_used_longest_ago_goes(fetched, cache_folder, monkeypatch):
    monkeypatch.setenv("SIAMJAX_REMOTE_CACHE_GB", str(2500 / 1e9))
    for i, name in enumerate("abc"):
        os.utime(fetched(name).parent / ".use", (i, i))
        forget()
        if name == "b":
            fetched("a")  # used again
            forget()
    assert names(cache_folder) == ["a", "c"]
    assert not list(cache_folder.glob(".*"))


def test_what_is_in_use_stays(fetched, cache_folder, monkeypatch):
    monkeypatch.setenv("SIAMJAX_REMOTE_CACHE_GB", str(2500 / 1e9))
    fetched("a")
    forget()
    fetched("b")
    fetched("c")
    assert names(cache_folder) == ["b", "c"]
    with pytest.raises(UserError) as raised:
        fetched("d")
    said = str(raised.value)
    assert said.startswith(f"{cache_folder}: no room for 1e-06 GB: ")
    assert ", 2e-06 GB in use, 2.5e-06 GB allowed; raise SIAMJAX_REMOTE_CACHE_GB or" in said
    assert names(cache_folder) == ["b", "c"]
    forget()
    fetched("d")
    assert names(cache_folder) == ["c", "d"]


def test_what_is_begun_counts_in_full(fetched, cache_folder, monkeypatch):
    """A copy that another process is fetching."""
    monkeypatch.setenv("SIAMJAX_REMOTE_CACHE_GB", str(2500 / 1e9))
    begun = cache_folder / "begun"
    begun.mkdir(parents=True)
    (begun / "about.json").write_text(json.dumps({"address": "x", "bytes": 2000}))
    locks.share(begun / ".use")
    with pytest.raises(UserError, match="no room"):
        fetched("a")
    forget()
    fetched("a")
    assert names(cache_folder) == ["a"]


def test_leftovers_of_a_killed_removal_go(fetched, cache_folder):
    (cache_folder / ".12345678.removed" / "content").mkdir(parents=True)
    fetched("a")
    assert not list(cache_folder.glob(".*"))


def test_equal_digests_share_a_copy(files, cache_folder):
    (files.folder / "a").write_bytes(b"abc")
    (files.folder / "b").write_bytes(b"abc")
    digest = hashlib.sha256(b"abc").hexdigest()

    def get(name):
        place = Place(f"{files.address}/{name}#sha256={digest}")
        return cache.fetched(place, "", lambda: [Wanted("w", sha256=digest, source="")])

    assert get("a").parent.name.rpartition("-")[2] == get("b").parent.name.rpartition("-")[2]


CHILD = """
import sys
from siamjax.remote import cache, fetch
fetch.PIECE = 100
place = cache.Place(sys.argv[1])
print(cache.fetched(place, "1", lambda: [fetch.Wanted("a", 1000)]) / "a")
"""


def test_two_processes_fetch_once(files, cache_folder):
    (files.folder / "a").write_bytes(os.urandom(1000))
    files.gate.clear()
    command = [sys.executable, "-c", CHILD, files.address]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    first = subprocess.Popen(command, **pipes)
    while not files.asked:
        time.sleep(0.01)
    second = subprocess.Popen(command, **pipes)
    waits = second.stderr.readline()
    files.gate.set()
    (out, errors), (out2, errors2) = first.communicate(), second.communicate()
    assert (first.returncode, second.returncode) == (0, 0), errors + errors2
    assert out == out2
    assert len(files.asked) == 10
    assert waits.startswith(f"{files.address}: is being fetched; waits (")
    assert f"in use by process {first.pid} on " in waits
