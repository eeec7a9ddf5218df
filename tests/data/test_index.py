"""The index: order, look-up, refusals, and its cost at ten million crops."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.__main__ import SOURCES
from siamjax import bundled
from siamjax.data import index as index_lib
from siamjax.data.index import Index
from siamjax.errors import UserError

from .conftest import write_set


def write(folder, rows, shuffle=0):
    """rows: (video, track, frame); everything else follows from them."""
    rows = list(rows)
    np.random.default_rng(shuffle).shuffle(rows)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "s").write_bytes(bytes(1000))
    videos = sorted({r[0] for r in rows}, key=hash)
    tracks = list(dict.fromkeys((r[0], r[1]) for r in rows))
    index_lib.write(
        folder,
        {"name": "toy", "crop": 511, "shards": [{"file": "s", "bytes": 1000}]},
        videos,
        [t for _, t in tracks],
        np.array([videos.index(v) for v, _ in tracks]),
        [tracks.index((r[0], r[1])) for r in rows],
        frame=[r[2] for r in rows],
        size=[(r[2] + 1, len(r[0])) for r in rows],
        shard=[0] * len(rows),
        offset=[r[2] * 100 for r in rows],
        length=[7] * len(rows),
    )
    return Index(folder)


ROWS = [("b", "1", 4), ("b", "1", 2), ("b", "0", 9), ("a", "x", 0), ("ü", "0", 1), ("ü", "0", 0)]


def test_sorted_by_video_track_frame(tmp_path):
    index = write(tmp_path, ROWS)
    assert (index.videos, index.tracks, index.crops) == (3, 4, 6)
    assert [index.video_name(v) for v in range(3)] == ["a", "b", "ü"]
    assert [index.track_name(t) for t in range(4)] == ["x", "0", "1", "0"]
    assert [index.tracks_of(v) for v in range(3)] == [(0, 1), (1, 3), (3, 4)]
    assert [index.crops_of(t) for t in range(4)] == [(0, 1), (1, 2), (2, 4), (4, 6)]
    np.testing.assert_array_equal(index.frame, [0, 9, 2, 4, 0, 1])
    np.testing.assert_array_equal(index.offset, [0, 900, 200, 400, 0, 100])
    np.testing.assert_array_equal(index.size[:, 0], [1, 10, 3, 5, 1, 2])
    assert [index.locate(c) for c in range(6)] == [(0, 0), (1, 1), (1, 2), (1, 2), (2, 3), (2, 3)]
    assert "video b, track 1, frame 2" in index.describe(2)


@settings(max_examples=20, deadline=None)
@given(
    st.sets(
        st.tuples(st.text("abé", max_size=2), st.text("01", max_size=2), st.integers(0, 5)),
        min_size=1,
        max_size=20,
    ),
    st.integers(0, 1000),
)
def test_content_does_not_depend_on_the_order_of_writing(tmp_path_factory, rows, seed):
    folder = tmp_path_factory.mktemp("i")
    rows = sorted(rows)
    write(folder / "a", rows)
    write(folder / "b", rows, shuffle=seed)
    for file in sorted((folder / "a/index").iterdir()):
        assert file.read_bytes() == (folder / "b/index" / file.name).read_bytes()
    assert (folder / "a/manifest.json").read_bytes() == (folder / "b/manifest.json").read_bytes()


def test_two_crops_of_one_frame_are_refused(tmp_path):
    with pytest.raises(UserError, match="video a, track x has two crops of frame 3"):
        write(tmp_path, [("a", "x", 3), ("a", "x", 3)])


def test_missing_folder(tmp_path):
    with pytest.raises(UserError, match="no such data set"):
        Index(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "folder, words",
    [
        ("data/coco", "write it with python -m data_prep coco --source=DIR --out=data/coco"),
        ("data/mine", "write it with python -m data_prep NAME --source=DIR --out=data/mine"),
        ("runs/demo/shards", "siamjax demo --out=runs/demo writes it, and trains with it"),
    ],
)
def test_how_a_missing_data_set_is_written(folder, words, tmp_path, monkeypatch):
    """Before: "write it with python -m data_prep.NAME" for each of them."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"^{folder}: no such data set; {words}$"):
        Index(folder)


def test_every_training_set_has_its_command(tmp_path):
    names = {path.stem for path in (bundled.FOLDER / "data_prep").glob("[!_]*.py")}
    assert {n for n in names if f"{n} --" in bundled.preparation(tmp_path / n)} == SOURCES.keys()


def test_empty_folder(tmp_path):
    with pytest.raises(UserError, match="empty folder"):
        Index(tmp_path)


def test_unfinished_folder(tmp_path):
    write_set(tmp_path, "toy", videos=1, side=64)
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(UserError, match="not a finished data set"):
        Index(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", "{}", "nonsense"])
def test_damaged_manifest(tmp_path, content):
    write_set(tmp_path, "toy", videos=1, side=64)
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(UserError, match="not a manifest"):
        Index(tmp_path)


def test_another_version(tmp_path):
    write_set(tmp_path, "toy", videos=1, side=64)
    path = tmp_path / "manifest.json"
    path.write_text(path.read_text().replace('"version": 2', '"version": 99'))
    with pytest.raises(UserError, match="format 99"):
        Index(tmp_path)


def test_truncated_shard(tmp_path):
    write_set(tmp_path, "toy", videos=1, side=64)
    (shard,) = tmp_path.glob("*.tfrecord-*")
    os.truncate(shard, shard.stat().st_size - 1)
    with pytest.raises(UserError, match=f"{shard.name}: truncated"):
        Index(tmp_path)


def test_missing_shard(tmp_path):
    write_set(tmp_path, "toy", videos=1, side=64)
    (shard,) = tmp_path.glob("*.tfrecord-*")
    shard.unlink()
    with pytest.raises(UserError, match="it is missing"):
        Index(tmp_path)


def test_damaged_column(tmp_path):
    write_set(tmp_path, "toy", videos=1, side=64)
    (tmp_path / "index/frame.npy").write_bytes(b"")
    with pytest.raises(UserError, match="unreadable index column"):
        Index(tmp_path)


OPEN = """
import sys, time
from siamjax.data.index import Index
def resident():
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024
Index(sys.argv[2])
before, start = resident(), time.perf_counter()
index = Index(sys.argv[1])
index.crops_of(index.tracks_of(index.videos // 2)[0])
print(index.crops, time.perf_counter() - start, resident() - before)
"""


@pytest.mark.slow
def test_ten_million_crops_open_at_once(tmp_path):
    """In 2,500 shards of 4,000 crops, whose files have no content here."""
    count, records, size = 10_000_000, 4_000, 90_000
    tracks = np.arange(count // 20)
    (tmp_path / "big").mkdir()
    files = [{"file": f"s{i}", "bytes": records * size} for i in range(count // records)]
    for file in files:
        (tmp_path / "big" / file["file"]).touch()
        os.truncate(tmp_path / "big" / file["file"], file["bytes"])
    index_lib.write(
        tmp_path / "big",
        {"name": "toy", "crop": 511, "shards": files},
        [f"video{v:07d}" for v in range(len(tracks) // 2)],
        ["0", "1"] * (len(tracks) // 2),
        tracks // 2,
        np.repeat(tracks, 20),
        frame=np.tile(np.arange(20), len(tracks)),
        size=np.ones((count, 2)),
        shard=np.arange(count) // records,
        offset=np.arange(count) % records * size,
        length=np.full(count, size - 16),
    )
    write_set(tmp_path / "small", "toy", videos=1, side=64)
    command = [sys.executable, "-c", OPEN, tmp_path / "big", tmp_path / "small"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert int(out[0]) == count
    assert float(out[1]) < 1.0
    assert float(out[2]) < 100
