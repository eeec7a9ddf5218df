import numpy as np
import pytest

from siamjax.datasets import registry, synthetic
from siamjax.errors import UserError


def test_unknown_data_set_names_the_nearest():
    with pytest.raises(UserError, match="did you mean OTB100"):
        registry.load("OTB110")


def test_missing_root_says_what_where_and_how(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(registry.ROOT_VARIABLE, str(tmp_path / "store"))
    with pytest.raises(UserError) as caught:
        registry.load("OTB100")
    text = str(caught.value)
    for needed in ("groundtruth_rect.txt", "http", str(tmp_path / "store"), "--dataset=synthetic"):
        assert needed in text
    assert len(text.splitlines()) < 24


def test_synthetic_is_there_at_once():
    benchmark = registry.load("synthetic", limit=2)
    assert benchmark.title == "subset of synthetic"
    first, second = benchmark.sequences
    assert len(first) == len(first.boxes) == synthetic.LENGTH
    assert synthetic.CLIPS >= 16
    assert first.frames[5].dtype == np.uint8
    assert not np.array_equal(first.boxes, second.boxes)


def test_folder_of_frames(tmp_path, write_images, rows, boxes):
    write_images(tmp_path / "mine", range(7, 11), "frame_{:d}.png")
    (tmp_path / "mine" / "truth.txt").write_text(rows(boxes(4)))
    for root in (tmp_path, tmp_path / "mine"):
        (sequence,) = registry.load("folder", root).sequences
        assert sequence.name == "mine"
        np.testing.assert_array_equal(sequence.boxes, boxes(4))
    (tmp_path / "mine" / "truth.txt").write_text(rows(boxes(3)))
    with pytest.raises(UserError, match="3 rows for 4 images"):
        registry.load("folder", tmp_path)


def test_folder_with_a_first_box_alone(tmp_path, write_images):
    write_images(tmp_path, range(3))
    (tmp_path / "groundtruth.txt").write_text("1 2 10 8\n")
    (sequence,) = registry.load("folder", tmp_path).sequences
    assert len(sequence) == 3
    assert sequence.boxes.shape == (1, 4)


def test_an_undecodable_image_is_named(tmp_path, write_images, rows, boxes):
    write_images(tmp_path, range(2))
    (tmp_path / "0001.jpg").write_bytes(b"no image")
    (tmp_path / "groundtruth.txt").write_text(rows(boxes(2)))
    (sequence,) = registry.load("folder", tmp_path).sequences
    with pytest.raises(UserError, match=r"0001\.jpg: not a readable image"):
        sequence.frames[1]
