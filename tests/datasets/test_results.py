import numpy as np
import pytest

from siamjax.datasets import registry, result_folders
from siamjax.datasets.forms.multistart import multistart_anchors, multistart_frames
from siamjax.datasets.results import FAILURE, REGION, START, UNKNOWN, Run, Store
from siamjax.datasets.sequence import NoFrames, Sequence
from siamjax.errors import UserError


def sequence(length=5, name="bag", **kwargs):
    return Sequence(name, NoFrames(length, "none"), np.ones((length, 4)), **kwargs)


def trackers(folder, dataset):
    return result_folders.find(folder, registry.get(dataset), (sequence(),)).trackers


def supervised_run():
    codes = np.array([START, REGION, FAILURE, UNKNOWN, START], np.int8)
    regions = np.full((5, 4), np.nan)
    regions[1] = [1.23456, 2, 3, 4]
    return Run(regions, codes, np.full(5, np.nan))


def test_supervised_files(tmp_path):
    store = Store(tmp_path / "results", registry.get("VOT2018"))
    store.write("t", sequence(), supervised_run())
    path = tmp_path / "results/t/baseline/bag/bag_001.txt"
    assert path.read_text() == "1\n1.2346,2.0000,3.0000,4.0000\n2\n0\n1\n"
    (run,) = store.read("t", sequence())
    assert run.codes.tolist() == [START, REGION, FAILURE, UNKNOWN, START]
    np.testing.assert_array_equal(run.regions[1], [1.2346, 2, 3, 4])
    assert store.done("t", sequence())
    assert not store.done("t", sequence(), 2)
    assert trackers(tmp_path / "results", "VOT2018") == {"t": (tmp_path / "results/t",)}
    assert trackers(tmp_path / "results/t", "VOT2018") == {"t": (tmp_path / "results/t",)}


def test_all_of_fifteen_repetitions_or_the_first(tmp_path):
    store = Store(tmp_path / "results", registry.get("VOT2018"))
    for repetition in range(1, 15):
        store.write("t", sequence(), supervised_run(), repetition)
    assert len(store.read("t", sequence())) == 1
    store.write("t", sequence(), supervised_run(), 15)
    assert len(store.read("t", sequence())) == 15


def test_boxes_among_polygons(tmp_path):
    path = tmp_path / "results/t/baseline/bag/bag_001.txt"
    path.parent.mkdir(parents=True)
    path.write_text("1\n0,0,10,0,10,10,0,10\n5,5,4,2\n2\n0\n")
    (run,) = Store(tmp_path / "results", registry.get("VOT2018")).read("t", sequence())
    np.testing.assert_array_equal(run.regions[2], [5, 5, 9, 5, 9, 7, 5, 7])


@pytest.mark.parametrize(
    "text, message",
    [("1\n1,2,3\n", r"bag_001\.txt:2"), ("", "bag_001.txt: a region"), ("1\nx\n", r"txt:2")],
)
def test_wrong_supervised_files_are_named(tmp_path, text, message):
    path = tmp_path / "results/t/baseline/bag/bag_001.txt"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        Store(tmp_path / "results", registry.get("VOT2018")).read("t", sequence())


def test_longterm_files(tmp_path):
    store = Store(tmp_path / "results", registry.get("VOT2018-LT"))
    scores = np.array([np.nan, 0.5, 0.25, 1, 0])
    regions = np.vstack([np.full(4, np.nan), np.ones((4, 4))])
    codes = np.array([START] + [REGION] * 4, np.int8)
    store.write("t", sequence(), Run(regions, codes, scores))
    folder = tmp_path / "results/t/longterm/bag"
    assert (folder / "bag_001_confidence.value").read_text().startswith("\n0.500000\n")
    (run,) = store.read("t", sequence())
    np.testing.assert_array_equal(run.scores, scores)
    (folder / "bag_001_confidence.value").write_text("0.5\n")
    with pytest.raises(UserError, match="1 rows for 5 rows of bag_001"):
        store.form.read(store.folder / "t", sequence())


def test_got10k_files(tmp_path):
    store = Store(tmp_path / "results", registry.get("GOT-10k-val"))
    run = Run(
        np.full((2, 4), 1.23456),
        np.full(2, REGION, np.int8),
        np.full(2, np.nan),
        np.array([0.5, 0.25]),
        np.zeros(2),
    )
    store.write("t", sequence(2, "GOT-10k_Val_000001"), run)
    folder = tmp_path / "results/t/GOT-10k_Val_000001"
    assert (folder / "GOT-10k_Val_000001_001.txt").read_text() == "1.235,1.235,1.235,1.235\n" * 2
    assert (folder / "GOT-10k_Val_000001_time.txt").read_text() == "0.50000000\n0.25000000\n"
    assert len(store.read("t", sequence(2, "GOT-10k_Val_000001"))) == 1


def test_other_peoples_names_are_found(tmp_path):
    (tmp_path / "results/t").mkdir(parents=True)
    (tmp_path / "results/t/jogging_1.txt").write_text("2,2,3,4\n" * 5)
    store = Store(tmp_path / "results", registry.get("OTB100"))
    (run,) = store.read("t", sequence(5, "Jogging.1", base=1))
    np.testing.assert_array_equal(run.regions[0], [1, 1, 3, 4])


def test_a_folder_without_results_is_named(tmp_path):
    (tmp_path / "t").mkdir()
    with pytest.raises(UserError, match="no results of these sequences"):
        trackers(tmp_path, "OTB100")


def test_files_that_changed_since_are_not_read(tmp_path):
    """Before: `siamjax report` and `eval --results` scored a changed file without a word."""
    store = Store(tmp_path / "results", registry.get("VOT2018"))
    for name in ("bag", "bag_002"):
        for repetition in (1, 2):
            store.write("t", sequence(name=name), supervised_run(), repetition)
    path = tmp_path / "results/t/baseline/bag/bag_002.txt"
    path.write_text("1\n1,1,5,5\n2\n0\n1\n")
    with pytest.raises(UserError, match=r"/bag_002\.txt: damaged or changed .* delete ") as no:
        store.read("t", sequence())
    assert len(store.read("t", sequence(name="bag_002"))) == 1
    (tmp_path / str(no.value).split(" or delete ")[1].split(" to take")[0]).unlink()
    assert len(store.read("t", sequence())) == 1
    path.unlink()
    path.with_name("bag_001.txt").unlink()  # without files there is no result, and no fault
    assert store.read("t", sequence()) == []


def test_multistart_anchors_run_to_the_farther_end():
    anchors = multistart_anchors(sequence(120))
    assert anchors == [(0, 1), (50, 1), (100, -1), (119, -1)]
    assert multistart_frames(sequence(120), 100)[:2] == [100, 99]
    assert multistart_frames(sequence(120), 50)[-1] == 119
    given = sequence(4, anchors=np.array([1, 0, -1, 0]))
    assert multistart_anchors(given) == [(0, 1), (2, -1)]
