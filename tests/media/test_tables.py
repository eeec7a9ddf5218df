import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.source import read_numbers
from siamjax.errors import UserError
from siamjax.files import write_whole
from siamjax.media.tables import read_box_rows, read_boxes, read_flags, read_table, read_targets

NAN = [np.nan] * 4
TWO = [[1, 2, 3, 4], [5, 6, 7, 8]]


def read(tmp_path, data, widths=(4,)):
    """The table in a file of these bytes, which data preparation reads alike."""
    path = tmp_path / "boxes.txt"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    table = read_table(path, widths)
    if widths == (4,):
        np.testing.assert_array_equal(read_numbers(path, 4), table)
    return table


@pytest.mark.parametrize("separator", [",", "\t", " ", ", ", ";", "   ", " ; "])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
def test_every_separator_and_end_of_line_reads_the_same(tmp_path, separator, end):
    rows = [separator.join("1234"), "", separator.join("5678"), "", ""]
    np.testing.assert_array_equal(read(tmp_path, end.join(rows)), [TWO[0], NAN, TWO[1]])


@pytest.mark.parametrize("empty", ["", "  ", ",,,", "; ; ;", "\t\t\t"])
def test_an_empty_row_is_a_frame_without_target_and_nothing_at_the_end(tmp_path, empty):
    """Before: left out, `read_table` of "1,2,3,4", "", "5,6,7,8" gave two rows: every later box sat
    a frame too early, in evaluation and in training."""
    table = read(tmp_path, f"{empty}\n1,2,3,4\n{empty}\n{empty}\n5,6,7,8\n{empty}\n{empty}\n")
    np.testing.assert_array_equal(table, [NAN, TWO[0], NAN, NAN, TWO[1]])


@pytest.mark.parametrize("word", ["None", "null", "n/a", "NA", "-"])
def test_words_for_no_target(tmp_path, word):
    """Before: "boxes.txt:2: 'None' is not a number"."""
    table = read(tmp_path, f"1 2 3 4\n{word} {word} {word} {word}\n5 6 7 8\n")
    np.testing.assert_array_equal(table, [TWO[0], NAN, TWO[1]])
    first = read(tmp_path, f"{word} {word} {word} {word}\n5 6 7 8\n")  # no header
    np.testing.assert_array_equal(first, [NAN, TWO[1]])


@pytest.mark.parametrize(
    "head", ["x,y,w,h\n", "\nLeft;Top;Width;Height\n", "a b c d\n", "# 4 boxes\n", "%\n# x y w h\n"]
)
def test_a_header_is_no_row(tmp_path, head):
    """Before: `read_table` refused ("'x' is not a number"), `read_numbers` gave a row of NaN, which
    moved all boxes of a training video one frame on."""
    np.testing.assert_array_equal(read(tmp_path, head + "1;2;3;4\n5;6;7;8\n"), TWO)


@pytest.mark.parametrize(
    "text",
    [
        "x1,y1,x2,y2\n1,2,4,6\n5,6,12,14\n",
        "ymin,xmin,ymax,xmax\n2,1,6,4\n6,5,14,12\n",
        "left\ttop\tright\tbottom\n1\t2\t4\t6\n5\t6\t12\t14\n",
        "cx cy w h\n2.5 4 3 4\n8.5 10 7 8\n",
        "score,label,x,y,w,h\n.5,a cat,1,2,3,4\n.25,,5,6,7,8\n",
        "frame,target,x,y,w,h\n1,a,5,6,7,8\n0,a,1,2,3,4\n",
    ],
)
def test_a_header_says_what_the_columns_are(tmp_path, text):
    """Before: refused in evaluation; `read_numbers` took the corners "1,2,4,6" of a file that is
    headed x1,y1,x2,y2 for a box of 4 by 6 px."""
    np.testing.assert_array_equal(read(tmp_path, text), TWO)


def test_a_column_of_frames_leaves_gaps(tmp_path):
    """Before: "8 numbers where 4 are expected" for what `siamjax serve` offers as its table."""
    text = "frame,x,y,w,h,score,second_peak,lost\n0,1,2,3,4,1.0,0.0,0\n2,5,6,7,8,0.9,0.1,0\n"
    np.testing.assert_array_equal(read(tmp_path, text), [TWO[0], NAN, TWO[1]])


@pytest.mark.parametrize("code", ["utf-8-sig", "utf-16", "latin-1"])
def test_byte_order_marks_and_other_codings(tmp_path, code):
    """Before: a UTF-8 mark was "'1' is not a number", the mark unseen, or the first box's left NaN
    in data preparation; UTF-16, as PowerShell writes, "cannot be read", or all boxes NaN."""
    text = ("größe\n" if code == "latin-1" else "") + "1,2,3,4\r\n5,6,7,8\r\n"
    np.testing.assert_array_equal(read(tmp_path, text.encode(code)), TWO)


def test_decimal_commas(tmp_path):
    """Before: "5 numbers where 4 are expected"; and where polygons are allowed, four numbers with
    decimal commas were read as the eight of a polygon."""
    expected = [[1.5, 2, 3, 4], [5, 6.25, 7, 8]]
    text = "1,5;2;3;4\n5;6,25;7;8\n"
    np.testing.assert_array_equal(read(tmp_path, text, (4, 8)), expected)
    np.testing.assert_array_equal(read(tmp_path, "x;y;w;h\n" + text), expected)
    np.testing.assert_array_equal(read(tmp_path, text.replace(";", "\t")), expected)
    np.testing.assert_array_equal(read(tmp_path, "\n" + text)[1:], expected)
    np.testing.assert_array_equal(read(tmp_path, "0,5;1,25\n", (2,)), [[0.5, 1.25]])
    with pytest.raises(UserError, match="may be decimal points or separators in '1,5;2,5;3,5;4,5'"):
        read(tmp_path, "1,5;2,5;3,5;4,5\n", (4, 8))


def test_mot_rows(tmp_path):
    """Before: "10 numbers where 4 are expected"; data preparation dropped every row whose frame was
    written 1.0, with MATLAB's and pandas' files all of them."""
    path = tmp_path / "boxes.mot"
    path.write_text("1.0,7.0,2,3,3,4,1,-1,-1,-1\n3,7,6,7,7,8,0.5,-1,-1,-1\n")
    np.testing.assert_array_equal(read_boxes(path), [TWO[0], NAN, TWO[1]])
    rows = read_box_rows(path)
    assert rows.frames.tolist() == [0, 2]
    assert rows.targets == ["7", "7"]
    assert not rows.unread
    np.testing.assert_array_equal(rows.boxes, TWO)
    np.testing.assert_array_equal(rows.confidences, [1, 0.5])


def test_rows_of_several_targets(tmp_path):
    path = tmp_path / "boxes.csv"
    path.write_text(
        'frame,track,left,top,width,height\n0,"a, b",1,2,3,4\n0,c d,5,6,7,8\n1,c d,,,,\n'
        "2,c d\n-1,e,1,2,3,4\n1.5,e,1,2,3,4\nx,e,1,2,3,4\n1e300,e,1,2,3,4\n"
    )
    rows = read_box_rows(path)
    assert rows.frames.tolist() == [0, 0, 1]
    assert rows.targets == ["a, b", "c d", "c d"]
    np.testing.assert_array_equal(rows.boxes, [*TWO, NAN])
    assert rows.unread == [5, 6, 7, 8, 9]
    assert (rows.confidences == 1).all()
    with pytest.raises(UserError, match=r"boxes\.csv:5: not a frame"):
        read_boxes(path)


@pytest.mark.parametrize(
    "text, targets, frames",
    [
        ("1,2,3,4\n\n5,6,7,8\n", ["0", "2"], [0, 0]),
        (
            "1,7,2,3,3,4,1\n3,9,6,7,7,8,1\n4,7,9,9,9,9,1\n",
            ["7", "9"],
            [0, 2],
        ),
        ("frame,target,x,y,w,h\n1,b,5,6,7,8\n2,a,9,9,9,9\n0,a,1,2,3,4\n", ["a", "b"], [0, 1]),
    ],
)
def test_where_targets_start(tmp_path, text, targets, frames):
    """Before: `siamjax track --box_file=` took rows x,y,w,h alone."""
    path = tmp_path / "boxes.txt"
    path.write_text(text)
    starts = read_targets(path)
    assert starts.targets == targets
    assert starts.frames.tolist() == frames
    np.testing.assert_array_equal(starts.boxes, TWO)


def test_targets_by_polygons(tmp_path):
    path = tmp_path / "boxes.txt"
    path.write_text("1,2,11,2,11,12,1,12\n")
    np.testing.assert_allclose(read_targets(path).boxes, [[0.5, 1.5, 11, 11]])
    path.write_text("nan,nan,nan,nan\n")
    with pytest.raises(UserError, match="no box in it"):
        read_targets(path)


@pytest.mark.parametrize(
    "text, message",
    [
        ("frame,target,x,y,w,h\n0,1,1,2,3,4\n0,2,1,2,3,4\n", "boxes of 2 targets"),
        ("frame,x,y,w,h\n3,1,2,3,4\n3,1,2,3,4\n", "2 boxes in frame 3"),
        ("x,y,w,h\n1,2,3,4,5\n", "5 columns where the header names 4"),
        ("x,y,w,h\n", "no row of numbers in it; rows x,y,w,h"),
        ("hello\n", "no row of numbers in it"),
        ("\0\1\2", "not a text file"),
        ("\n\n,,,\n", "empty"),
    ],
)
def test_tables_that_say_no_box_per_frame(tmp_path, text, message):
    path = tmp_path / "boxes.txt"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        read_boxes(path)


def test_a_header_without_boxes(tmp_path):
    (tmp_path / "a.csv").write_text("name,score\na,1\n")
    with pytest.raises(UserError, match="its first line must be like frame,target,x,y,w,h"):
        read_box_rows(tmp_path / "a.csv")


def test_rows_that_are_not_of_the_form_are_nan_where_that_is_asked_for(tmp_path):
    path = tmp_path / "boxes.txt"
    path.write_text("1,2,3,4\n1\n\n1,x,3,4\n5,inf,7,8\n")
    table = read_table(path, lenient=True)
    np.testing.assert_array_equal(table, [TWO[0], NAN, NAN, [1, np.nan, 3, 4], [5, np.inf, 7, 8]])
    path.write_text("")
    assert read_table(path, lenient=True).shape == (0, 4)


@given(
    st.lists(st.none() | st.lists(st.floats(width=32), min_size=4, max_size=4), max_size=9),
    st.sampled_from([",", "\t", ";", "  "]),
)
def test_any_rows_read_back(tmp_path_factory, rows, separator):
    """Slow form: a line is a row, none is NaN; those at the end are nothing."""
    lines = [separator.join(map(repr, row or [])) for row in rows]
    path = tmp_path_factory.mktemp("t") / "boxes.txt"
    path.write_text("\n".join(lines))
    while rows and rows[-1] is None:
        rows.pop()
    table = read_table(path, lenient=True)
    np.testing.assert_array_equal(table, np.reshape([row or NAN for row in rows], (-1, 4)))


def test_flags_in_any_form(tmp_path):
    path = tmp_path / "absent.txt"
    for text in ("0,1,0", "0\n1\n0\n", "\ufeff0\r\n1\r\n0", "0;1;0.0\n"):
        path.write_text(text)
        assert read_flags(path, 3).tolist() == [False, True, False]
    path.write_text("0,x,1")
    with pytest.raises(UserError, match="0 or 1 per frame"):
        read_flags(path, 3)
    with pytest.raises(UserError, match="cannot be read"):
        read_flags(tmp_path / "none.txt", 3)


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
        ("1,2,3,4\n1_0,2,3,4\n", r"boxes\.txt:2: '1_0' is not a number"),
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
