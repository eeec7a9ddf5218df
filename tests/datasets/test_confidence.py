"""Scores are kept beside result files and read back; readers of boxes are not disturbed."""

import numpy as np
import pytest

from siamjax.datasets import registry, result_folders
from siamjax.datasets.forms.base import REGION, Run
from siamjax.datasets.results import Store
from siamjax.datasets.sequence import NoFrames, Sequence
from siamjax.errors import UserError

COUNT = 4
REGIONS = np.array([(10.0, 20.0, 30.0, 40.0)] * COUNT)
SCORES = np.array([np.nan, 0.25, 1.0, -3.5])


def sequence(name="clip"):
    return Sequence(name, NoFrames(COUNT, None), REGIONS, image_size=(100, 100))


def run(scores):
    return Run(REGIONS, np.full(COUNT, REGION, np.int8), np.array(scores, float))


@pytest.fixture(params=["OTB100", "GOT-10k-val", "VOT2018"])
def store(request, tmp_path):
    """Results in the forms "flat", "got10k" and "vot"."""
    return Store(tmp_path / "results", registry.get(request.param))


def test_scores_come_back(store):
    """Before: result files of one-pass evaluations lost the scores, in all three forms."""
    store.write("t", sequence(), run(SCORES))
    (found,) = store.read("t", sequence())
    np.testing.assert_array_equal(found.scores, SCORES)
    np.testing.assert_array_equal(found.regions, REGIONS)
    assert found.notes == ()
    (file,) = store.folder.rglob("*_confidence.value")
    assert file.read_text() == "\n0.250000\n1.000000\n-3.500000\n"


def test_the_files_of_boxes_are_the_same(store):
    store.write("with", sequence(), run(SCORES))
    store.write("without", sequence(), run([np.nan] * COUNT))
    own, others = (
        {p.relative_to(store.folder / t): p.read_bytes() for p in (store.folder / t).rglob("*.txt")}
        for t in ("with", "without")
    )
    assert own == others
    assert not list((store.folder / "without").rglob("*.value"))


def test_scores_that_are_all_the_same_are_none(store):
    store.write("t", sequence(), run([np.nan, 1, 1, 1]))
    assert not list(store.folder.rglob("*.value"))


def test_a_run_without_scores_leaves_none_of_an_earlier_one(store):
    store.write("t", sequence(), run(SCORES))
    store.write("t", sequence(), run([np.nan] * COUNT))
    (found,) = store.read("t", sequence())
    assert np.isnan(found.scores).all()


def test_trackers_and_sequences_are_found_as_before(store):
    store.write("t", sequence(), run(SCORES))
    found = result_folders.find(store.folder, store.dataset, (sequence(),))
    assert list(found.trackers) == ["t"]
    assert found.without == ()


def test_scores_of_another_length_are_said_and_not_used(store):
    store.write("t", sequence(), run(SCORES))
    (file,) = store.folder.rglob("*_confidence.value")
    file.write_text("0.5\n")
    (found,) = store.form.read(store.folder / "t", sequence())
    assert np.isnan(found.scores).all()
    assert [note.kind for note in found.notes] == ["score"]
    assert "1 scores for 4 rows: not used" in found.notes[0].text


def test_scores_that_are_no_numbers_are_named(store):
    store.write("t", sequence(), run(SCORES))
    (file,) = store.folder.rglob("*_confidence.value")
    file.write_text("a\n" * COUNT)
    with pytest.raises(UserError, match=r"_confidence\.value: a number per frame is expected"):
        store.form.read(store.folder / "t", sequence())


def test_scores_as_pytracking_writes_them(tmp_path):
    store = Store(tmp_path / "results", registry.get("OTB100"))
    store.write("t", sequence(), run([np.nan] * COUNT))
    scores = store.folder / "t/clip_object_presence_scores.txt"
    scores.write_text("1.0\n0.5\n0.25\n0.125\n")
    (found,) = store.read("t", sequence())
    assert found.scores.tolist() == [1, 0.5, 0.25, 0.125]


@pytest.mark.parametrize("scores", [SCORES, [np.nan] * COUNT])
def test_a_place_that_is_no_folder_is_named(tmp_path, scores):
    (tmp_path / "t").write_text("a file")
    with pytest.raises(UserError, match="cannot be written"):
        Store(tmp_path, registry.get("OTB100")).write("t", sequence(), run(scores))
