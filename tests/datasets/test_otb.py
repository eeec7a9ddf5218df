import json

import numpy as np
import pytest

from siamjax.datasets import otb, registry
from siamjax.errors import UserError


def make(root, write_images, rows, boxes, video, first=1, count=4, target="", separator=","):
    write_images(root / video / "img", range(first, first + count))
    text = rows(boxes(count), separator)
    (root / video / f"groundtruth_rect{target}.txt").write_text(text)


def test_lists_have_the_published_lengths():
    assert [d.total for d in otb.DATASETS] == [100, 50, 51]
    full = otb.DATASETS[0].names(otb.Path("nowhere"))
    for dataset in otb.DATASETS[1:]:
        assert set(dataset.names(otb.Path("nowhere"))) < set(full)


def test_a_partial_copy_runs_on_what_is_there(tmp_path, write_images, rows, boxes):
    make(tmp_path, write_images, rows, boxes, "Couple", separator="\t")
    make(tmp_path, write_images, rows, boxes, "Man")
    for target in (".1", ".2"):
        make(tmp_path, write_images, rows, boxes, "Jogging", target=target, separator=" ")
    benchmark = registry.load("otb2015", tmp_path)
    assert [s.name for s in benchmark.sequences] == ["Couple", "Jogging.1", "Jogging.2", "Man"]
    assert benchmark.title == "subset of OTB100"
    assert benchmark.count == "4 of 100 sequences"
    assert len(benchmark.left_out) == 96
    assert set(benchmark.left_out.values()) == {"not in this copy"}
    # the first pixel is 1 in the files and 0 in the sequence
    np.testing.assert_array_equal(benchmark.sequences[0].boxes[1], [5, 7, 10, 8])
    assert benchmark.sequences[0].size == (32, 24)
    assert benchmark.sequences[0].base == 1  # of result files, too


def test_sequences_and_limit(tmp_path, write_images, rows, boxes):
    for video in ("Couple", "Man", "Crossing"):
        make(tmp_path, write_images, rows, boxes, video)
    named = registry.load("OTB100", tmp_path, sequences=["man", "COUPLE"])
    assert [s.name for s in named.sequences] == ["Man", "Couple"]
    two = registry.load("OTB100", tmp_path, limit=2)
    assert len(two.sequences) == 2
    assert two.left_out == {}  # before: 25, those of the list before the second that is there
    with pytest.raises(UserError, match="did you mean Man"):
        registry.load("OTB100", tmp_path, sequences=["Mann"])
    with pytest.raises(UserError, match="no such folder"):
        registry.load("OTB100", tmp_path, sequences=["Basketball"])


def test_david_starts_at_image_300(tmp_path, write_images, rows, boxes):
    write_images(tmp_path / "David" / "img", range(298, 306))
    (tmp_path / "David" / "groundtruth_rect.txt").write_text(rows(boxes(4)))
    david = registry.load("OTB100", tmp_path).sequences[0]
    assert [path.name for path in david.frames.paths] == [f"0{n}.jpg" for n in range(300, 304)]


def test_tiger1_is_scored_from_its_sixth_box(tmp_path, write_images, rows, boxes):
    (tmp_path / "Tiger1").mkdir()
    (tmp_path / "Tiger1" / "groundtruth_rect.txt").write_text(rows(boxes(354)))
    tiger = registry.load("OTB100", tmp_path, images=False).sequences[0]
    assert len(tiger) == len(tiger.boxes) == 349
    np.testing.assert_array_equal(tiger.boxes[0], [9, 15, 10, 8])


def test_images_beyond_the_last_box_are_left_out(tmp_path, write_images, rows, boxes):
    write_images(tmp_path / "Football1" / "img", range(1, 9))
    (tmp_path / "Football1" / "groundtruth_rect.txt").write_text(rows(boxes(5)))
    (sequence,) = registry.load("OTB100", tmp_path).sequences
    assert len(sequence) == 5
    # before: without a word
    assert sequence.notes == ("Football1: 3 images after the last row of its boxes left out",)
    (whole,) = registry.load("OTB100", tmp_path, images=False).sequences
    assert whole.notes == sequence.notes


def test_a_missing_frame_is_named_and_only_its_sequence_left_out(
    tmp_path, write_images, rows, boxes
):
    make(tmp_path, write_images, rows, boxes, "Couple")
    make(tmp_path, write_images, rows, boxes, "Man")
    (tmp_path / "Man" / "img" / "0003.jpg").unlink()
    benchmark = registry.load("OTB100", tmp_path)
    assert [s.name for s in benchmark.sequences] == ["Couple"]
    assert "number 3" in benchmark.left_out["Man"]
    with pytest.raises(UserError, match="number 3"):
        registry.load("OTB100", tmp_path, sequences=["Man"])


def test_one_annotation_file_serves_scoring_without_images(tmp_path, boxes):
    videos = {
        "carDark": {
            "name": "CarDark",
            "image_files": ["0001.jpg", "0002.jpg"],
            "init_rect": [5, 6, 10, 8],
            "gt_rect": boxes(2).tolist(),
        }
    }
    (tmp_path / "OTB2015.json").write_text(json.dumps(videos))
    benchmark = registry.load("OTB100", tmp_path, images=False)
    assert [s.name for s in benchmark.sequences] == ["CarDark"]
    np.testing.assert_array_equal(benchmark.sequences[0].boxes[0], [4, 5, 10, 8])
    with pytest.raises(UserError, match="no images"):
        registry.load("OTB100", tmp_path)


@pytest.mark.reference
def test_the_seven_real_targets(reference):
    benchmark = registry.load("OTB100", reference / "data/eval/OTB100")
    lengths = {s.name: len(s) for s in benchmark.sequences}
    assert lengths == {
        "Couple": 140,
        "Crossing": 120,
        "David": 471,
        "Football1": 74,
        "Jogging.1": 307,
        "Jogging.2": 307,
        "Man": 134,
    }
    david = benchmark.sequences[2]
    assert david.frames.paths[0].name == "0300.jpg"
    assert david.frames[0].shape[:2] == (240, 320)
