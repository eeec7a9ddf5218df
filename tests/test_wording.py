"""Numbers with the word for what they count, and the first of many names."""

import pytest

from siamjax.wording import counted, first


@pytest.mark.parametrize(
    ("count", "word", "text"),
    [
        (0, "target", "0 targets"),
        (1, "sequence", "1 sequence"),
        (2, "sequence", "2 sequences"),
        (1, "box", "1 box"),
        (5, "box", "5 boxes"),
    ],
)
def test_one_is_singular(count, word, text):
    assert counted(count, word) == text


def test_more_names_than_are_told():
    assert first(["a", "b", "c"]) == "a, b, c"
    assert first(["a", "b", "c", "d"]) == "a, b, c, ..."
    assert first([2, 1], 1) == "2, ..."
    assert first([]) == ""
