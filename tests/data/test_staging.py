"""Shards at addresses: copied whole and checked before they are read."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import ml_collections
import numpy as np
import pytest

from configs import base
from siamjax.data import loader, staging
from siamjax.data.index import Index
from siamjax.data.shards import ShardWriter
from siamjax.errors import UserError
from siamjax.remote.places import Place

from .conftest import to_format_1


def write(folder, videos=3, seed=0):
    rng = np.random.default_rng(seed)
    with ShardWriter(folder, "tiny", max_bytes=60_000, crop=127) as writer:
        for video in range(videos):
            for frame in range(3):
                image = rng.integers(0, 255, (127, 127, 3), np.uint8)
                writer.add(f"video{video}", "0", frame, image, size=(40, 30))
    return folder


@pytest.fixture
def served(files, cache_folder):
    """The folder of a data set that a server has."""
    return write(files.folder / "set")


def keys(index):
    return [(index.key(crop), index.read(crop).image) for crop in range(index.crops)]


@pytest.mark.parametrize("age", [lambda folder: None, to_format_1])
def test_a_copy_is_the_data_set(served, files, age):
    """Before: a set of format 1 gave "set/index/category.npy: nothing there"."""
    age(served)
    assert len(Index(served).shards) > 2
    there = keys(Index(served))
    local = staging.local(f"{files.address}/set")
    assert keys(Index(local)) == there
    files.asked.clear()
    assert staging.local(f"{files.address}/set") == local
    assert files.asked == [("set/manifest.json", "")]
    assert staging.local(served) == served


def test_with_the_digest_of_its_manifest(served, files):
    digest = hashlib.sha256((served / "manifest.json").read_bytes()).hexdigest()
    address = f"{files.address}/set#sha256={digest}"
    local = staging.local(address)
    files.asked.clear()
    assert staging.local(address) == local
    assert files.asked == []
    with pytest.raises(UserError, match=f"SHA-256 is {digest} in place of 0+: another data set"):
        staging.local(f"{files.address}/set#sha256={'0' * 64}")


def test_another_data_set_at_the_address(served, files):
    before = staging.local(f"{files.address}/set")
    shutil.rmtree(served)
    write(served, videos=4, seed=1)
    after = staging.local(f"{files.address}/set")
    assert (Index(before).crops, Index(after).crops) == (9, 12)


@pytest.mark.parametrize("age", [lambda folder: None, to_format_1])
def test_a_damaged_shard_is_refused(served, files, cache_folder, age):
    age(served)
    name = f"set/{Index(served).shards[1].name}"
    files.damaged[name] = 1
    assert keys(Index(staging.local(f"{files.address}/set"))) == keys(Index(served))
    shutil.rmtree(cache_folder)
    files.damaged[name] = 99
    with pytest.raises(UserError, match=rf"{name}: .*, downloaded 2 times; copy it there again$"):
        staging.local(f"{files.address}/set")
    assert not list(cache_folder.glob("*/complete.json"))


def test_faults_of_old_shards_by_their_records(served):
    to_format_1(served)
    path, *_ = Index(served).shards
    check = staging._check(path.name, None)
    assert check(path) == ""
    whole = path.read_bytes()
    for data, words in (
        (whole[:-1], r"^damaged \(the shard ends inside the record at byte \d+\)$"),
        (whole[:5], r"^damaged \(the shard ends inside the record at byte 0\)$"),
        (b"\xff" * 40, r"^damaged \(checksum of the length is wrong\)$"),
        (whole[:20] + bytes([whole[20] ^ 1]) + whole[21:], r"\(checksum of the data is wrong\)$"),
        (whole[:9] + bytes([whole[9] ^ 1]) + whole[10:], r"\(checksum of the length is wrong\)$"),
    ):
        path.write_bytes(data)
        assert re.search(words, check(path))


@pytest.mark.parametrize(
    "manifest, words",
    [
        (None, r"set: no data set there \(no manifest.json\); look after the address, or copy"),
        (b"{", "set/manifest.json: not a manifest; copy the folder there again"),
        (b'{"shards": [{"file": "a"}]}', "not a manifest"),
        (b'{"shards": [{"file": 1, "bytes": 3}]}', "not a manifest"),
        (
            b'{"version": 1, "crop": 1, "crops": 1, "tracks": 1, "videos": 1,'
            b' "shards": [{"file": "../a", "bytes": 3}]}',
            "not a manifest",
        ),
        (b'{"version": 9, "shards": []}', "manifest.json: written in format 9, this siamjax reads"),
        (b"[" * 100_000, "not a manifest"),
    ],
)
def test_what_is_no_data_set(files, cache_folder, manifest, words):
    (files.folder / "set").mkdir()
    if manifest is not None:
        (files.folder / "set" / "manifest.json").write_bytes(manifest)
    with pytest.raises(UserError, match=words):
        staging.local(f"{files.address}/set")


def test_a_changed_manifest_is_refused_before_anything_is_fetched(served, files, cache_folder):
    """Before: the whole set was fetched, and then refused as a folder of this machine."""
    path = served / "manifest.json"
    path.write_text(path.read_text().replace('"name": "tiny"', '"name": "tinz"'))
    with pytest.raises(UserError, match=r"wrong\); copy the folder there again$"):
        staging.local(f"{files.address}/set")
    assert files.asked == [("set/manifest.json", "")]


def config_of(path):
    c = base.get_config()
    c.crops.stored = 127
    c.crops.exemplar, c.crops.search = 31, 63
    c.data.sources = ml_collections.ConfigDict({"tiny": base.source(str(path), 3)})
    c.data.pairs_per_epoch, c.train.batch_size = 8, 2
    c.lock()
    return c


def test_batches_are_those_of_the_folder(served):
    place = Place("memory://staging/set")
    for path in served.rglob("*"):
        if path.is_file():
            place.put(path, path.relative_to(served).as_posix())
    config = config_of("memory://staging/set")
    assert staging.with_local_sources(config_of(served)).data.sources.tiny.path == str(served)
    with (
        loader.make_loader(config, workers=0) as remote,
        loader.make_loader(config_of(served), workers=0) as local,
    ):
        there, here = next(remote), next(local)
    for name, array in here.items():
        np.testing.assert_array_equal(there[name], array)
    assert config.data.sources.tiny.path == "memory://staging/set"


CHILD = """
import sys
from siamjax.data import staging
from siamjax.remote import fetch
fetch.PIECE = 1000
print(staging.local(sys.argv[1]))
"""


def stage(address, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, address],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


@pytest.mark.slow
def test_killed_and_resumed(served, files, cache_folder):
    address = f"{files.address}/set"
    files.delay = 0.01
    child = stage(address)
    while len(files.asked) < 60:
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    files.delay = 0
    there = sum(p.stat().st_size for p in cache_folder.rglob("content/**/*") if p.is_file())
    assert there > 20_000
    time.sleep(0.1)
    files.asked.clear()
    again = stage(address)
    out, errors = again.communicate()
    assert again.returncode == 0, errors
    assert keys(Index(out.strip())) == keys(Index(served))
    asked = sum(1000 for _, span in files.asked if span)
    whole = sum(path.stat().st_size for path in served.rglob("*") if path.is_file())
    assert asked <= whole - there + 1000 * 40
    assert not list(cache_folder.rglob("*.partial"))


@pytest.mark.slow
def test_on_s3_killed_and_resumed_by_two(served, s3, cache_folder):
    """A kill in the middle, then two processes at once; damage is refused."""
    place = Place(f"{s3}/set")
    for path in served.rglob("*"):
        if path.is_file():
            place.put(path, path.relative_to(served).as_posix())
    child = stage(place.address)
    while not list(cache_folder.rglob("content/*")):
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert not list(cache_folder.glob("*/complete.json"))
    both = [stage(place.address) for _ in range(2)]
    answers = [each.communicate() for each in both]
    assert [each.returncode for each in both] == [0, 0], answers
    (local,) = {out.strip() for out, _ in answers}
    assert keys(Index(local)) == keys(Index(served))
    shutil.rmtree(cache_folder)
    name = Index(served).shards[0].name
    data = bytearray(place.read(name))
    data[len(data) // 2] ^= 1
    place.write(name, bytes(data))
    broken = stage(place.address)
    assert f"{place.address}/{name}: " in broken.communicate()[1]
