"""Whole data sets by the command, made by processes of this machine without TensorFlow."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from data_prep import command, parts
from data_prep.coco import Coco
from data_prep.composite import Composite
from data_prep.det import Det
from data_prep.folder import Folder
from data_prep.got10k import Got10k
from data_prep.lasot import Lasot
from data_prep.trackingnet import Trackingnet
from data_prep.vid import Vid
from data_prep.youtubebb import Youtubebb
from siamjax.data import shards
from siamjax.data.index import Index, read_manifest
from siamjax.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["--shard_mb=1"]


def prepare(kind, tree, out, *flags):
    argv = [f"--source={tree}", f"--out={out}", "--crop=127", "--workers=1", *flags]
    command.main(kind, argv)
    return Index(out)


def contents(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


TREES = {
    "coco": (Coco, 3),
    "composite": (Composite, 198),
    "det": (Det, 3),
    "vid": (Vid, 7),
    "youtubebb": (Youtubebb, 5),
    "got10k": (Got10k, 3),
    "lasot": (Lasot, 3),
    "trackingnet": (Trackingnet, 13),
    "folder": (Folder, 8),
}


@pytest.mark.parametrize("name", TREES)
def test_each_source_becomes_a_data_set(request, tmp_path, capsys, name):
    kind, count = TREES[name]
    out = tmp_path / "out"
    index = prepare(kind, request.getfixturevalue(f"{name}_tree"), out)
    assert index.crops == count
    assert index.manifest["name"] == name
    assert shards.verify(out) == []
    assert f"{count} crops, 1 shard\n" in capsys.readouterr().out
    assert sorted(p.name for p in out.parent.iterdir() if p.name.startswith("out")) == ["out"]


@pytest.mark.slow
@pytest.mark.parametrize("program", [["data_prep", "composite"], ["data_prep.composite"]])
def test_worker_processes_find_the_source_of_a_command(tmp_path, composite_tree, program):
    """As a script the source's module is called __main__, which workers cannot import."""
    argv = [f"--source={composite_tree}", f"--out={tmp_path / 'out'}", "--workers=2", "--limit=3"]
    done = subprocess.run(
        [sys.executable, "-m", *program, *argv, *SMALL], cwd=ROOT, capture_output=True, text=True
    )
    assert ", 2 shards" in done.stdout, done.stderr


def test_two_workers_make_the_same(tmp_path, trackingnet_tree, monkeypatch):
    """Two processes of Beam's direct runner; two parts."""
    monkeypatch.setattr(parts, "_CROP_BYTES", 30 << 20)  # with SMALL: a part per video
    trees = {}
    for workers in (1, 2):
        out = tmp_path / str(workers)
        prepare(Trackingnet, trackingnet_tree, out, f"--workers={workers}", *SMALL)
        trees[workers] = contents(out)
    assert len(Index(tmp_path / "1").shards) == 2
    assert trees[1].keys() == trees[2].keys()
    for name in trees[1]:
        assert trees[1][name] == trees[2][name], name


def test_a_second_run_changes_nothing(tmp_path, det_tree, capsys):
    out = tmp_path / "out"
    prepare(Det, det_tree, out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    prepare(Det, det_tree, out)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    assert "complete already" in capsys.readouterr().out


def test_a_kill_at_the_very_end_leaves_nothing(tmp_path, det_tree):
    """Before: parts whose removal was killed stayed beside the finished set for good."""
    out, work = tmp_path / "out", tmp_path / "out.parts"
    prepare(Det, det_tree, out)
    before = contents(out)
    (work / "part-00000").mkdir(parents=True)
    prepare(Det, det_tree, out)
    assert contents(out) == before
    assert not work.exists()


def test_other_options_do_not_overwrite(tmp_path, det_tree):
    out = tmp_path / "out"
    prepare(Det, det_tree, out)
    with pytest.raises(UserError, match="with other options"):
        prepare(Det, det_tree, out, "--jpeg_quality=80")
    assert read_manifest(out)["jpeg_quality"] == 95


def test_an_empty_folder_is_used_and_a_full_one_refused(tmp_path, det_tree):
    out = tmp_path / "out"
    out.mkdir()
    assert prepare(Det, det_tree, out).crops == 3
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("")
    with pytest.raises(UserError, match="holds something else"):
        prepare(Det, det_tree, tmp_path / "full")


def test_an_interrupted_run_goes_on(tmp_path, trackingnet_tree, monkeypatch):
    """The second part fails at first; the next run makes that part alone, and the same data set."""
    monkeypatch.setattr(parts, "_CROP_BYTES", 30 << 20)  # with SMALL: a part per video
    whole = tmp_path / "whole"
    prepare(Trackingnet, trackingnet_tree, whole, *SMALL)
    out, original, made = tmp_path / "out", parts.make_part, []

    def make_part(folder, i, fail=True):
        made.append(i)
        if fail and len(made) == 2:
            raise KeyError("interrupted")
        return original(folder, i)

    monkeypatch.setattr(parts, "make_part", make_part)
    with pytest.raises(Exception, match="interrupted"):
        prepare(Trackingnet, trackingnet_tree, out, *SMALL)
    assert not out.exists()
    assert sorted(made) == [0, 1]
    with pytest.raises(UserError, match="no such data set"):
        Index(out)
    (tmp_path / "incomplete.ABC123_out").mkdir()  # left by a run that was killed
    made.append("again")
    prepare(Trackingnet, trackingnet_tree, out, *SMALL)
    assert len(made) == 4
    assert made[3] == made[1]
    assert contents(out) == contents(whole)
    assert not list(tmp_path.glob("*out?*")) + list(tmp_path.glob("incomplete*"))


def test_the_name_of_a_folder_is_no_pattern(tmp_path, det_tree):
    """Before: `--out=data/o[tu]t` removed what another run was writing for `--out=data/out`, and
    left its own."""
    others = [tmp_path / name for name in ("incomplete.ABC123_out", ".o[tu]t.v2.12.partial")]
    own = [tmp_path / name for name in ("incomplete.ABC123_o[tu]t", ".o[tu]t.12.partial")]
    for folder in (*others, *own):
        folder.mkdir()
    assert prepare(Det, det_tree, tmp_path / "o[tu]t").crops == 3
    assert all(folder.is_dir() for folder in others)
    assert not any(folder.exists() for folder in own)


def test_two_runs_into_one_folder(tmp_path, det_tree):
    lock = shards.lock_folder(tmp_path / "out.parts")
    try:
        with pytest.raises(UserError, match=r"out\.parts: in use by process .*; wait for it"):
            prepare(Det, det_tree, tmp_path / "out")
    finally:
        lock.close()
    assert not (tmp_path / "out").exists()


def test_a_full_disk(tmp_path, det_tree, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shards.os, "fsync", full)
    with pytest.raises(UserError, match="no space left; free some and run again"):
        prepare(Det, det_tree, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    monkeypatch.undo()
    assert prepare(Det, det_tree, tmp_path / "out").crops == 3


def test_a_folder_without_permission(tmp_path, det_tree):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="not a folder"):
        prepare(Det, det_tree, tmp_path / "file/out")


def test_nothing_to_make(tmp_path, det_tree):
    shutil.rmtree(det_tree / "Data/DET/train")
    (det_tree / "Data/DET/train").mkdir()
    with pytest.raises(UserError, match="no crop was written"):
        prepare(Det, det_tree, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_source_that_is_mended_is_read_again(tmp_path, det_tree):
    """Before: the same command gave the same error for ever, from what it had kept."""
    images = det_tree / "Data/DET/train"
    images.rename(tmp_path / "elsewhere")
    images.mkdir()
    message = rf"image is missing: 3 boxes, .*\); put whole images under {det_tree}$"
    with pytest.raises(UserError, match=message):
        prepare(Det, det_tree, tmp_path / "out")
    images.rmdir()
    (tmp_path / "elsewhere").rename(images)
    assert prepare(Det, det_tree, tmp_path / "out").crops == 3


@pytest.mark.parametrize("flag", ["--crop=1", "--workers=-1", "--jpeg_quality=101", "--limit=-1"])
def test_flags_out_of_range(tmp_path, det_tree, flag):
    with pytest.raises(UserError, match=flag):
        prepare(Det, det_tree, tmp_path / "out", flag)


@pytest.mark.slow
@pytest.mark.reference
@pytest.mark.parametrize(
    "kind, path, expected, skipped",
    [
        (Coco, "coco", (126, 929, 929), {"crowd": 10}),
        (Vid, "vid/ILSVRC2015", (5, 5, 1000), {}),
        (Det, "det/ILSVRC2015", (65, 65, 65), {}),
        (Youtubebb, "ytbb", (9, 10, 653), {"absent": 1}),
        (Got10k, "got10k", (20, 20, 690), {}),
    ],
)
def test_real_sets(reference, tmp_path, kind, path, expected, skipped):
    index = prepare(kind, reference / "data/train" / path, tmp_path / "out")
    assert (index.videos, index.tracks, index.crops) == expected
    assert index.manifest["skipped"] == skipped
    assert shards.verify(tmp_path / "out") == []
