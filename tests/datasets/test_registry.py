import numpy as np
import pytest

from siamjax.datasets import registry, synthetic
from siamjax.datasets.results import Store
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
    for needed in ("groundtruth_rect.txt", "http", str(tmp_path / "store")):
        assert needed in text
    assert len(text.splitlines()) < 24


@pytest.mark.parametrize(
    "place, dataset, words",
    [
        ("none", "folder", "no such folder"),
        ("full/x.txt", "folder", "not a folder"),
        ("empty", "folder", "nothing of the data set folder in it; it is empty"),
        ("full", "OTB100", "nothing of the data set OTB100 in it; it holds a, b, x.txt, ..."),
    ],
)
def test_a_given_folder_without_the_data_set_is_named(tmp_path, place, dataset, words):
    """Before: "folder was not found; give its folder as --data_root=DIR" and twelve more lines, as
    if none had been given."""
    (tmp_path / "empty").mkdir()
    for name in "ab":
        (tmp_path / "full" / name).mkdir(parents=True)
    (tmp_path / "full" / "x.txt").touch()
    (tmp_path / "full" / "y.txt").touch()
    with pytest.raises(registry.NotFound) as caught:
        registry.load(dataset, tmp_path / place)
    first, *more = str(caught.value).splitlines()
    assert first == f"--data_root={tmp_path / place}: {words}"
    layout = {"folder": "DIR/cat.mp4 and DIR/cat.xml", "OTB100": "OTB100/Basketball/img"}
    assert len(more) == (1 if "nothing of" in words else 0)
    assert all(layout[dataset] in line for line in more)


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


@pytest.mark.parametrize("none", ["nan,nan,nan,nan", "0,0,0,0", "", "None None None None"])
def test_a_sequence_starts_with_its_first_target(tmp_path, write_images, rows, boxes, none):
    """Before: "box nan,nan,nan,nan: give four finite numbers" without the sequence's name, and none
    of the others was run; an empty first row moved all boxes."""
    for name in ("late", "never", "plain"):
        write_images(tmp_path / name / "img", range(1, 7), "{:05d}.jpg")
        (tmp_path / name / "groundtruth_rect.txt").write_text(rows(boxes(6)))
    late = f"{none}\n{none}\n" + rows(boxes(4))
    (tmp_path / "late/groundtruth_rect.txt").write_text(late)
    (tmp_path / "never/groundtruth_rect.txt").write_text(f"{none or 'nan'}\n" * 6)
    if not none:
        (tmp_path / "never/groundtruth_rect.txt").write_text("nan,nan,nan,nan\n" * 6)
    benchmark = registry.load("DTB70", tmp_path)
    first, second = benchmark.sequences
    assert (first.name, second.name) == ("late", "plain")
    assert len(first) == len(first.groundtruth) == 4
    assert [path.name for path in first.frames.paths[:2]] == ["00003.jpg", "00004.jpg"]
    np.testing.assert_array_equal(first.boxes, boxes(4) - [1, 1, 0, 0])
    assert first.notes == ("late starts at frame 2 (from 0), the first with a target",)
    assert not second.notes
    assert benchmark.left_out == {"never": "never: no frame has a box of the target"}
    (tmp_path / "plain/groundtruth_rect.txt").write_text("5,5,0.5,0.4\n" + rows(boxes(5)))
    assert not registry.load("DTB70", tmp_path).sequences[1].notes  # small is there
    # result files of other toolkits have a row for every frame
    (tmp_path / "r/t").mkdir(parents=True)
    (tmp_path / "r/t/late.txt").write_text("9,9,9,9\n9,9,9,9\n" + rows(boxes(4)))
    (run,) = Store(tmp_path / "r", benchmark.dataset).read("t", first)
    np.testing.assert_array_equal(run.regions, boxes(4) - [1, 1, 0, 0])


def test_a_restart_protocol_waits_for_the_target_itself(tmp_path, write_images):
    write_images(tmp_path / "bag/color", range(1, 4), "{:08d}.jpg")
    (tmp_path / "bag/groundtruth.txt").write_text("nan,nan,nan,nan\n" + "1,2,9,9\n" * 2)
    (bag,) = registry.load("VOT2018", tmp_path).sequences
    assert len(bag) == 3


def test_a_part_of_a_sequence_that_has_no_images(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/groundtruth_rect.txt").write_text("\n1,2,3,4\n5,6,7,8\n")
    (sequence,) = registry.load("DTB70", tmp_path, images=False).sequences
    assert len(sequence) == 2
    assert not sequence.has_images


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,y,w,h\n" + "1,2,3,4\n" * 2, "2 rows for 3 images"),
        ("1,2,3,4\n" * 4 + "\n\n", "4 rows for 3 images"),
        ("\n".join(["1,2,3,4"] * 3).replace("\n", "\n\n"), "5 rows for 3 images"),
    ],
)
def test_a_number_of_rows_other_than_of_images_names_both(tmp_path, write_images, text, message):
    write_images(tmp_path / "a/img", range(1, 4), "{:05d}.jpg")
    (tmp_path / "a/groundtruth_rect.txt").write_text(text)
    with pytest.raises(UserError, match=message):
        registry.load("DTB70", tmp_path)


ROWS = ["5,6,10,8", "", "7,10,10,8", "8,12,10,8"]


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(ROWS),
        "\n".join(ROWS).replace(",", "\t") + "\n\n\n",
        "\ufeffx;y;w;h\r\n" + "\r\n".join(ROWS).replace(",", ";") + "\r\n",
        "x1 y1 x2 y2\n5 6 15 14\nNaN NaN NaN NaN\n7 10 17 18\n8 12 18 20\n",
        "1,1,6,7,10,8,1,-1,-1,-1\n3.0,1.0,8,11,10,8,1,-1,-1,-1\n4,1,9,13,10,8,1,-1,-1,-1\n",
        "frame,x,y,w,h\n0,5,6,10,8\n2,7,10,10,8\n3,8,12,10,8\n",
        "5;6;14;6;14;13;5;13\n\n7;10;16;10;16;17;7;17\n8;12;17;12;17;19;8;19\n\n",
        "utf-16",
    ],
)
def test_own_boxes_in_any_form(tmp_path, write_images, text):
    """Before: empty rows "3 rows for 4 images", headers and byte order marks refused, MOT rows "10
    numbers where 4 or 8 are expected"; of UTF-16 nothing was read."""
    write_images(tmp_path / "cat", range(1, 5))
    code = "utf-16" if text == "utf-16" else "utf-8"
    text = "\n".join(ROWS) if text == "utf-16" else text
    (tmp_path / "cat/groundtruth.txt").write_text(text, encoding=code, newline="")
    (cat,) = registry.load("folder", tmp_path).sequences
    expected = [[5, 6, 10, 8], [np.nan] * 4, [7, 10, 10, 8], [8, 12, 10, 8]]
    np.testing.assert_allclose(cat.boxes, expected, atol=0.5)  # polygons: half a pixel of VOT's
    assert len(cat) == 4


def test_own_boxes_that_start_late(tmp_path, write_images):
    """Before: "box nan,nan,nan,nan", no sequence named, and the others were not run."""
    for name in ("late", "never", "plain"):
        write_images(tmp_path / name, range(1, 6))
        (tmp_path / name / "groundtruth.txt").write_text("5,6,10,8\n" * 5)
    (tmp_path / "late/groundtruth.txt").write_text("\n\n" + "5,6,10,8\n" * 3)
    (tmp_path / "never/groundtruth.txt").write_text("nan,nan,nan,nan\n" * 5)
    benchmark = registry.load("folder", tmp_path)
    late, plain = benchmark.sequences
    assert (late.name, len(late), late.skipped) == ("late", 3, 2)
    assert late.notes == ("late starts at frame 2 (from 0), the first with a target",)
    assert (plain.name, len(plain), plain.notes) == ("plain", 5, ())
    assert [*benchmark.left_out] == ["never"]
