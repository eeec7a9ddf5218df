"""Shards of the synthetic world: what is in them, and what a second run does."""

from pathlib import Path

import cv2
import numpy as np
import pytest

import data_prep.synthetic as prep
import siamjax.synthetic
from siamjax.data import index, jpeg, shards
from siamjax.data.crops import context_crop
from siamjax.errors import UserError
from siamjax.geometry.boxes import xywh_to_xyxy
from siamjax.synthetic import SyntheticVideo


def build(folder, videos=2, **arguments):
    arguments = {"seed": 3, "length": 12, "every": 4, "workers": 0, "progress": False} | arguments
    prep.build(folder, videos, **arguments)
    return folder


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build(tmp_path_factory.mktemp("shards") / "synthetic")


def test_the_code_hash_covers_the_whole_world():
    (folder,) = siamjax.synthetic.__path__
    modules = {path.stem for path in Path(folder).glob("[!_]*.py")}
    assert len(modules) >= 7
    assert {f"siamjax.synthetic.{name}" for name in modules} <= set(prep.CODE)


def test_every_well_visible_target_is_there(folder):
    found = index.Index(folder)
    expected = {}
    for seed in (3, 4):
        video = SyntheticVideo(seed, length=12, split="train")
        for target, i in zip(*np.nonzero(video.visible[:, ::4] > 0.5)):
            expected[f"train{seed:06d}", f"{target:02d}", 4 * i] = video.boxes[target, 4 * i, 2:]
    crops = {}
    for crop in range(found.crops):
        video, track = found.locate(crop)
        key = found.video_name(video), found.track_name(track), int(found.frame[crop])
        crops[key] = found.size[crop]
    assert crops.keys() == expected.keys()
    for key, size in expected.items():
        np.testing.assert_allclose(crops[key], size, rtol=1e-6)
    assert found.videos == 2
    assert len({track for _, track, _ in expected}) >= 3
    assert shards.verify(folder) == []


def test_crops_are_those_of_the_frames(folder):
    found = index.Index(folder)
    for crop in (0, found.crops - 1):
        image = jpeg.decode(found.read(crop).image)
        video, track = found.locate(crop)
        clip = SyntheticVideo(3 + video, length=12, split="train")
        i = int(found.frame[crop])
        box = clip.boxes[int(found.track_name(track)), i]
        expected = context_crop(clip.frames[i], xywh_to_xyxy(box), edges=True)
        assert np.abs(cv2.subtract(image, expected).astype(int)).mean() < 3
        assert np.corrcoef(image.ravel(), expected.ravel())[0, 1] > 0.99


def test_workers_do_not_matter(folder, tmp_path):
    assert contents(build(tmp_path / "two", workers=2)) == contents(folder)


def test_a_second_run_changes_nothing(folder):
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    build(folder)
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == before


@pytest.mark.parametrize("other", [{"seed": 4}, {"length": 13}, {"every": 3}, {"videos": 3}])
def test_other_arguments_are_refused(folder, other):
    before = contents(folder)
    with pytest.raises(UserError, match="made with other arguments"):
        build(folder, **other)
    assert contents(folder) == before


def test_a_set_of_another_version_is_refused(folder, monkeypatch):
    monkeypatch.setattr(prep.parts, "code_hash", lambda modules: "another")
    before = contents(folder)
    with pytest.raises(UserError, match="by another version; remove it or choose another --out"):
        build(folder)
    assert contents(folder) == before


def test_an_interrupted_run_starts_anew(folder, tmp_path, monkeypatch):
    real = prep._crops_of

    def interrupted(job):
        if job[0] == 4:
            raise KeyboardInterrupt
        return real(job)

    monkeypatch.setattr(prep, "_crops_of", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "again")
    with pytest.raises(UserError):
        index.Index(tmp_path / "again")
    monkeypatch.undo()
    assert contents(build(tmp_path / "again")) == contents(folder)


@pytest.mark.parametrize(
    "wrong", [{"videos": 0}, {"seed": -1}, {"length": 0}, {"every": 0}, {"workers": -1}]
)
def test_bad_arguments(tmp_path, wrong):
    (name,) = wrong
    with pytest.raises(UserError, match=f"--{name}="):
        build(tmp_path / "none", **wrong)
    assert not (tmp_path / "none").exists()


def test_command(folder, tmp_path):
    arguments = ["--videos=2", "--seed=3", "--length=12", "--every=4", "--workers=0"]
    prep.main([f"--out={tmp_path / 'command'}", *arguments])
    assert contents(tmp_path / "command") == contents(folder)


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError):
        build(tmp_path / "file")
