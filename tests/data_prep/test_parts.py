"""Preparation in parts, without Beam: plan, resuming, the whole."""

import errno
import json
from collections import Counter

import numpy as np
import pytest

from data_prep import parts
from data_prep.coco import Coco
from data_prep.vid import Vid
from siamjax.data import shards, tfrecord
from siamjax.errors import UserError

from .conftest import save_image, write_text

SMALL = parts.Options(crop=127, shard_mb=1)


@pytest.fixture
def many(tmp_path):
    """COCO with 30 images of one object each."""
    root = tmp_path / "coco"
    for i in range(30):
        save_image(root / f"train2017/{i:012d}.jpg", i)
    content = {
        "images": [{"id": i, "file_name": f"{i:012d}.jpg"} for i in range(30)],
        "annotations": [{"id": i, "image_id": i, "bbox": [5, 5, 20, 20]} for i in range(30)],
    }
    write_text(root / "annotations/instances_train2017.json", json.dumps(content))
    return root


@pytest.fixture
def plan(many, monkeypatch):
    monkeypatch.setattr(parts, "_CROP_BYTES", 1 << 20)  # 16 crops of 127 px per part
    return parts.make_plan(Coco(many), SMALL)


def make(folder, plan):
    for i in parts.open_work(folder, plan):
        parts.make_part(str(folder), i)


def test_a_plan_has_each_video_once_in_shuffled_order(plan):
    assert [len(part) for part in plan.parts] == [17, 13]
    names = [video.name for part in plan.parts for video in part]
    assert sorted(names) == [f"train2017/{i:012d}" for i in range(30)]
    assert names != sorted(names)


def test_what_changes_the_key(many, plan, monkeypatch):
    def key(**options):
        return parts.make_plan(
            Coco(many), parts.Options(**{"crop": 127, "shard_mb": 1, **options})
        ).key

    assert key() == plan.key
    for change in (
        {"crop": 128},
        {"seed": 1},
        {"jpeg_quality": 90},
        {"limit": 29},
        {"context": 0.4},
    ):
        assert key(**change) != plan.key
    path = many / "annotations/instances_train2017.json"
    text = path.read_text()
    path.write_text(text.replace("[5, 5, 20, 20]", "[5, 5, 20, 21]", 1))
    assert key() != plan.key
    path.write_text(text)
    assert key() == plan.key
    monkeypatch.setattr(parts, "code_hash", lambda modules: "another")
    assert key() != plan.key


def test_limit_takes_the_first_videos(many):
    plan = parts.make_plan(Coco(many), parts.Options(limit=3))
    assert sorted(v.name[-1] for part in plan.parts for v in part) == ["0", "1", "2"]


def test_videos_are_left_out_by_name(many):
    source = Coco(many)
    names = [video.name for video in source.videos()]
    source.left_out = frozenset(names[:2])
    assert [video.name for video in source.first_videos()] == names[2:]
    assert [video.name for video in source.first_videos(3)] == names[2:5]
    source.left_out = frozenset([*names[:2], "cat"])
    with pytest.raises(UserError, match=f"--leave_out=cat: .* called {names[0]}"):
        list(source.first_videos())
    source.left_out = frozenset(names)
    with pytest.raises(UserError, match="names all videos"):
        list(source.first_videos())


def test_parts_join_to_the_whole(tmp_path, plan):
    work = tmp_path / "work"
    work.mkdir()
    make(work, plan)
    columns, files, skipped = parts.join_parts(work, len(plan.parts))
    assert skipped == {}
    assert len(columns["frame"]) == 30
    assert [file["records"] for file in files] == [17, 13]
    for crop in range(30):
        track = columns["crop_track"][crop]
        name = columns["videos"][columns["track_video"][track]]
        file = files[columns["shard"][crop]]
        data = tfrecord.read_record(file["path"], columns["offset"][crop], columns["length"][crop])
        assert tfrecord.decode_example(data).video == name


def test_resuming_makes_only_what_is_missing(tmp_path, plan):
    work = tmp_path / "work"
    work.mkdir()
    assert parts.open_work(work, plan) == [0, 1]
    parts.make_part(str(work), 1)
    (work / "part-00000.tmp-123").mkdir()  # left by a killed worker
    assert parts.open_work(work, plan) == [0]
    assert not list(work.glob("*.tmp-*"))
    parts.make_part(str(work), 0)
    assert parts.open_work(work, plan) == []


def test_a_damaged_part_is_named_and_made_again(tmp_path, plan, capsys):
    """Before: a flipped bit in a part's records went into the data set; one in `columns.npz` was a
    traceback of `zipfile`, one in `spec-00000.json` a part of other videos or a traceback."""
    work = tmp_path / "work"
    work.mkdir()
    make(work, plan)
    good = {path: path.read_bytes() for path in sorted(work.rglob("*")) if path.is_file()}
    names = {path.name for path in good}
    assert {"records-00000.part", "columns.npz", "counts.json", "sums.txt"} <= names
    assert {"spec-00000.json", "plan.json"} <= names
    for path, content in good.items():
        place = len(content) // 2
        changed = content[:place] + bytes([content[place] ^ 2]) + content[place + 1 :]
        path.write_bytes(changed)
        make(work, plan)
        assert {p: p.read_bytes() for p in good} == good
        assert "its part is made again" in capsys.readouterr().err or path.parent == work
        path.write_bytes(b"")
        make(work, plan)
        assert {p: p.read_bytes() for p in good} == good
        capsys.readouterr()


def test_parts_of_another_plan_are_not_used(tmp_path, many, plan):
    work = tmp_path / "work"
    work.mkdir()
    make(work, plan)
    other = parts.make_plan(Coco(many), parts.Options(crop=255))
    assert parts.open_work(work, other) == list(range(len(other.parts)))


def test_a_part_is_the_same_twice(tmp_path, plan):
    contents = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        make(tmp_path / name, plan)
        files = sorted((tmp_path / name).glob("part-*/records-*"))
        contents.append([file.read_bytes() for file in files])
    assert contents[0] == contents[1]


def test_a_part_without_crop(tmp_path, vid_tree):
    (vid_tree / "Annotations/VID/train/b/two/000000.xml").unlink()
    plan = parts.make_plan(Vid(vid_tree), SMALL)
    single = parts.Plan(plan.source, SMALL, tuple((v,) for p in plan.parts for v in p), "", "")
    make(tmp_path, single)
    columns, files, _ = parts.join_parts(tmp_path, 2)
    assert len(files) == 1
    assert columns["videos"] == ["a/one"]
    assert len(columns["frame"]) == 6


@pytest.mark.parametrize("when", ["records", "columns"])
def test_a_full_disk_leaves_no_part(tmp_path, plan, monkeypatch, when):
    work = tmp_path / "work"
    work.mkdir()
    parts.open_work(work, plan)

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    if when == "records":
        monkeypatch.setattr(shards.os, "fsync", full)
    else:
        monkeypatch.setattr(np, "savez", full)
    with pytest.raises(UserError, match="no space left; free some and run again"):
        parts.make_part(str(work), 0)
    assert not list(work.glob("part-*"))
    monkeypatch.undo()
    make(work, plan)
    assert len(list(work.glob("part-?????"))) == 2


def test_a_file_that_cannot_be_closed_leaves_no_part(tmp_path, plan, monkeypatch):
    """Before: what a full disk had not taken yet was refused again by the closing of the file, and
    the unfinished part stayed."""

    class Full:
        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self):
            raise OSError(errno.ENOSPC, "No space left on device, again")

    work = tmp_path / "work"
    work.mkdir()
    parts.open_work(work, plan)
    monkeypatch.setattr(shards, "open", lambda *_: Full(), raising=False)
    with pytest.raises(UserError, match="no space left; free some and run again"):
        parts.make_part(str(work), 0)
    assert not list(work.glob("part-*"))


def test_an_error_behind_a_runner():
    hidden = RuntimeError(
        "Traceback ...\\nsiamjax.errors.UserError: /x: no space left; free some and run again"
        " [while running 'make-ptransform-42']"
    )
    found = parts.user_error(hidden)
    assert isinstance(found, UserError)
    assert str(found) == "/x: no space left; free some and run again"
    assert parts.user_error(RuntimeError("something else")) is None


def test_skipped_counts_add_up(tmp_path, coco_tree):
    plan = parts.make_plan(Coco(coco_tree), SMALL)
    single = parts.Plan(plan.source, SMALL, tuple((v,) for p in plan.parts for v in p), "", "")
    make(tmp_path, single)
    columns, _, skipped = parts.join_parts(tmp_path, 4)
    assert len(columns["frame"]) == 3
    assert Counter(skipped)["box is not a number"] == 2
    assert skipped["crowd"] == 1
