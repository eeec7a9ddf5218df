"""The quick reader of plain tables gives Python's numbers, or leaves the file alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamjax.media.plain import read_plain
from siamjax.media.tables import read_table


def written(tmp_path, text):
    path = tmp_path / "table.txt"
    path.write_bytes(text.encode())
    return path


words = st.one_of(
    st.integers(-(10**9), 10**9).map(str),
    st.from_regex(r"-?[0-9]{1,7}\.[0-9]{0,8}", fullmatch=True),
    st.from_regex(r"-?\.[0-9]{1,8}", fullmatch=True),
    st.floats(-1e6, 1e6, allow_nan=False).map(repr),
)


@given(
    st.lists(st.tuples(words, words, words, words), min_size=1, max_size=6),
    st.sampled_from([",", "\t", ";", " "]),
    st.sampled_from(["\n", "\r\n"]),
)
@settings(max_examples=50, deadline=None)
def test_numbers_are_those_of_python(tmp_path_factory, table, separator, end):
    path = tmp_path_factory.getbasetemp() / "table.txt"
    path.write_bytes("".join(separator.join(row) + end for row in table).encode())
    expected = np.array([[float(word) for word in row] for row in table])
    np.testing.assert_array_equal(read_plain(path, (4,)), expected)


@pytest.mark.parametrize("last", ["", "\n", "\n\n"])
def test_ends_of_files(tmp_path, last):
    path = written(tmp_path, "1,2,3,4\n5,6,7,8" + last)
    np.testing.assert_array_equal(read_plain(path, (4, 8)), [[1, 2, 3, 4], [5, 6, 7, 8]])
    assert read_plain(path, (8,)) is None


def test_one_column_and_words_for_unknown_numbers(tmp_path):
    np.testing.assert_array_equal(read_plain(written(tmp_path, "0\n1\n"), (1,)), [[0], [1]])
    table = read_plain(written(tmp_path, "1,2,nan,4\n1e2,inf,-inf,NaN\n"), (4,))
    np.testing.assert_array_equal(table, [[1, 2, np.nan, 4], [100, np.inf, -np.inf, np.nan]])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "1,2,3\n",
        "1,2,3,4\n1,2,3\n",
        "1,2,3,4,5\n1,2,3\n",
        "1,2,3,4\n\n1,2,3,4\n",
        "1,2,3,--4\n",
        "1,2,3,4-\n",
        "1,2,3,1.2.3\n",
        "1,2,,4\n",
        "1,2,3,-\n",
        "1,2,-,4\n",
        "1,2,3,.\n",
        "1,2,3,-.\n",
        "1,2,3,x\n",
        "1, 2,3,4\n",
        "x,y,w,h\n1,2,3,4\n",
        "# x\n1,2,3,4\n",
        "1,2,3,4\n1;2;3;4\n",
    ],
)
def test_other_files_are_left_to_the_whole_reader(tmp_path, text):
    assert read_plain(written(tmp_path, text), (4,)) is None


def test_a_file_that_is_not_there_is_left_to_the_whole_reader(tmp_path):
    assert read_plain(tmp_path / "none.txt", (4,)) is None


def test_tables_are_read_by_it(tmp_path, monkeypatch):
    path = written(tmp_path, "1,2,3,4\n")
    monkeypatch.setattr("siamjax.media.tables.read_lines", None)  # not needed
    np.testing.assert_array_equal(read_table(path), [[1, 2, 3, 4]])
