"""Numbers with the word for what they count."""

import pytest

from siamjax.wording import counted


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
