"""Archives for the servers are checked as a whole before they are written.

Before: an archive was packed from whatever the files held, rows of NaN and of another length.
"""

import dataclasses
import io
import zipfile

import cv2
import numpy as np
import pytest

from siamjax import cli
from siamjax.datasets import registry
from siamjax.errors import UserError
from siamjax.evaluation import runner, submission

COUNT = 4


@pytest.fixture
def got10k(tmp_path):
    """A test set of two sequences."""
    for number in (1, 2):
        folder = tmp_path / f"data/test/GOT-10k_Test_{number:06d}"
        folder.mkdir(parents=True)
        for i in range(1, COUNT + 1):
            cv2.imwrite(str(folder / f"{i:08d}.jpg"), np.zeros((20, 30, 3), np.uint8))
        (folder / "groundtruth.txt").write_text("2,3,10,8\n")
    return dataclasses.replace(registry.load("GOT-10k-test", tmp_path / "data"), total=2)


@pytest.fixture
def trackingnet(tmp_path):
    """A test set of one video."""
    for i in range(COUNT):
        folder = tmp_path / "TrackingNet/TEST/frames/abc_0"
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{i}.jpg"), np.zeros((20, 30, 3), np.uint8))
    (tmp_path / "TrackingNet/TEST/anno").mkdir()
    (tmp_path / "TrackingNet/TEST/anno/abc_0.txt").write_text("2,3,10,8\n")
    return dataclasses.replace(registry.load("TrackingNet", tmp_path), total=1)


def write(folder, **files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


BOXES = "2.0,3.0,10.0,8.0\n" * COUNT


def names(number):
    stem = f"GOT-10k_Test_{number:06d}/GOT-10k_Test_{number:06d}"
    return f"{stem}_001.txt", f"{stem}_time.txt"


@pytest.fixture
def results(tmp_path):
    """Result files of both of GOT-10k's sequences, as they should be."""
    files = {}
    for number in (1, 2):
        boxes, times = names(number)
        files |= {boxes: BOXES, times: "0.01\n" * COUNT}
    return write(tmp_path / "results/mine", **files)


def test_the_archive_holds_what_the_server_takes(got10k, results, tmp_path):
    path = submission.write(got10k, "mine", results, tmp_path)
    with zipfile.ZipFile(path) as archive:
        assert sorted(archive.namelist()) == sorted(names(1) + names(2))
        assert archive.read(names(1)[0]).decode() == "2.000,3.000,10.000,8.000\n" * COUNT
        assert archive.read(names(1)[1]).decode() == "0.01000000\n" * COUNT
    assert submission.faults(path, got10k) == []


def test_what_no_server_takes_is_refused_before_anything_runs(got10k, tmp_path, monkeypatch):
    """Before: all sequences were tracked first."""
    with pytest.raises(UserError, match=r"^--submission: 178 of 180 sequences are left out .*comp"):
        submission.check(dataclasses.replace(got10k, total=180))
    with pytest.raises(
        UserError, match=r"^--protocol=supervised: the server of GOT-10k-test takes"
    ):
        submission.check(runner.with_protocol(got10k, "supervised"))
    monkeypatch.chdir(tmp_path)
    command = ["eval", "--dataset=GOT-10k-test", "--data_root=data", "--submission", "--out=out"]
    with pytest.raises(UserError, match="178 of 180 sequences are left out"):
        cli.dispatch([*command, "--tracker=static"])
    assert not (tmp_path / "out").exists()


def test_repetitions_are_packed(got10k, results, tmp_path):
    again = names(1)[0].replace("_001", "_002")
    write(results, **{again: BOXES.replace("2.0,", "2.5,", 1)})
    path = submission.write(got10k, "mine", results, tmp_path)
    with zipfile.ZipFile(path) as archive:
        assert again in archive.namelist()
    assert submission.faults(path, got10k) == []


def test_trackingnet_is_flat(trackingnet, tmp_path):
    results = write(tmp_path / "results/mine", **{"abc_0.txt": BOXES})
    path = submission.write(trackingnet, "mine", results, tmp_path)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["abc_0.txt"]
        assert archive.read("abc_0.txt").decode() == BOXES


@pytest.mark.parametrize(
    "text, message",
    [
        ("2,3,10,8\n" * 3, r"_001\.txt: row 4 without a box"),
        ("2,3,10,8\n" * 2 + "nan,nan,nan,nan\n2,3,10,0\n", r"_001\.txt: rows 3-4 without a box"),
        ("20,15,5,5\n" * 4, r"_001\.txt: the first row is far from the given first box"),
    ],
)
def test_what_the_server_would_not_score_is_named(got10k, results, tmp_path, text, message):
    write(results, **{names(2)[0]: text})
    with pytest.raises(UserError, match=message):
        submission.write(got10k, "mine", results, tmp_path)
    assert not list(tmp_path.glob("*.zip"))


def test_all_faults_are_named_at_once(got10k, results, tmp_path):
    write(results, **dict.fromkeys((names(1)[0], names(2)[0]), "2,3,10,8\n" * 3))
    with pytest.raises(UserError) as error:
        submission.write(got10k, "mine", results, tmp_path)
    assert str(error.value).count("row 4 without a box") == 2


def test_times_that_were_not_measured_are_zero(got10k, results, tmp_path):
    (results / names(1)[1]).unlink()
    path = submission.write(got10k, "mine", results, tmp_path)
    with zipfile.ZipFile(path) as archive:
        assert archive.read(names(1)[1]).decode() == "0.00000000\n" * COUNT


def test_scores_beside_the_boxes_are_not_packed(got10k, results, tmp_path):
    write(results, **{names(1)[0].replace(".txt", "_confidence.value"): "\n0.5\n0.6\n0.7\n"})
    path = submission.write(got10k, "mine", results, tmp_path)
    with zipfile.ZipFile(path) as archive:
        assert len(archive.namelist()) == 4


def archived(**files):
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return found


@pytest.mark.parametrize(
    "files, message",
    [
        ({names(1)[0]: None}, "_001.txt: not there"),
        ({names(1)[1]: None}, "_time.txt: not there"),
        ({"mine/readme.txt": "x"}, "mine/readme.txt: no file of GOT-10k-test"),
        ({names(1)[0]: BOXES.replace(",", " ")}, "_001.txt: left,top,width,height"),
        ({names(1)[0]: BOXES + "1,2,3\n"}, "_001.txt: left,top,width,height"),
        ({names(1)[0]: ""}, "_001.txt: left,top,width,height"),
        ({names(1)[0]: BOXES + "1,2,3,4\n"}, "_001.txt: 5 rows for 4 frames"),
        ({names(1)[1]: "0.1\n"}, "_time.txt: 1 rows for 4 frames"),
        ({names(1)[1]: "0.1\n0.1\n-1\n0.1\n"}, "_time.txt: seconds in each row expected"),
    ],
)
def test_faults_of_any_archive(got10k, files, message):
    good = {names(n)[0]: BOXES for n in (1, 2)} | {names(n)[1]: "0.1\n" * 4 for n in (1, 2)}
    assert submission.faults(archived(**good), got10k) == []
    changed = {name: text for name, text in (good | files).items() if text is not None}
    (fault,) = submission.faults(archived(**changed), got10k)
    assert message in fault


def test_what_is_no_archive(got10k, tmp_path):
    (tmp_path / "x.zip").write_text("x")
    with pytest.raises(UserError, match=r"x\.zip: not a whole zip file"):
        submission.faults(tmp_path / "x.zip", got10k)
