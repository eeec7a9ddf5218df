import numpy as np
import pytest

from siamjax.errors import UserError
from siamjax.files import write_whole
from siamjax.media.tables import read_table


@pytest.mark.parametrize("separator", [",", "\t", " ", ", ", ";", "   "])
def test_every_separator_reads_the_same(tmp_path, separator):
    path = tmp_path / "boxes.txt"
    path.write_text(
        f"1{separator}2{separator}3{separator}4\r\n\n5{separator}6{separator}7{separator}8"
    )
    np.testing.assert_array_equal(read_table(path), [[1, 2, 3, 4], [5, 6, 7, 8]])


def test_nan_rows_stay(tmp_path):
    path = tmp_path / "boxes.txt"
    path.write_text("1,2,3,4\nNaN,NaN,NaN,NaN\nnan\tnan\tnan\tnan\n")
    table = read_table(path)
    assert table.shape == (3, 4)
    assert np.isnan(table[1:]).all()


def test_boxes_among_polygons_become_polygons(tmp_path):
    path = tmp_path / "groundtruth.txt"
    path.write_text("1,2,3,4,5,6,7,8\n10,20,5,3\n")
    table = read_table(path, (4, 8))
    np.testing.assert_array_equal(table[1], [10, 20, 14, 20, 14, 22, 10, 22])


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "empty"),
        ("1,2,3,4\n1,2,3\n", r"boxes\.txt:2: 3 numbers where 4 are expected"),
        ("1,2,3,4\n1,2,x,4\n", r"boxes\.txt:2: 'x' is not a number"),
    ],
)
def test_wrong_files_are_named_with_their_line(tmp_path, text, message):
    path = tmp_path / "boxes.txt"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        read_table(path)


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_table(tmp_path / "none.txt")


def test_files_are_written_whole(tmp_path):
    path = tmp_path / "deep" / "file.txt"
    write_whole(path, "abc")
    assert path.read_text() == "abc"
    assert [p.name for p in path.parent.iterdir()] == ["file.txt"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        write_whole(tmp_path / "file" / "below.txt", "abc")
