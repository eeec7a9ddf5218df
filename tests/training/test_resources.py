"""Closing at the end of a block: always, in reverse order, the first error shown."""

import pytest

from siamjax.training.resources import Resources


class Thing:
    def __init__(self, closed, error=None):
        self.closed, self.error = closed, error

    def close(self):
        self.closed.append(self)
        if self.error:
            raise self.error


def test_the_first_error_is_shown_and_all_are_closed():
    closed, step = [], ValueError("the step")
    first, second = Thing(closed, OSError("no space")), Thing(closed, TypeError("tensorboard"))

    def block():
        with Resources() as resources:
            assert resources.closing(first) is first
            resources.closing(second)
            raise step

    with pytest.raises(ValueError, match="the step") as raised:
        block()
    assert raised.value is step
    assert closed == [second, first]
    assert [note.split(": ")[1] for note in step.__notes__] == [
        "TypeError('tensorboard')",
        "OSError('no space')",
    ]


def test_an_error_of_closing_is_shown_where_there_is_none_before_it():
    closed, resources = [], Resources()
    for error in (None, OSError("no space"), TypeError("tensorboard")):
        resources.closing(Thing(closed, error))
    with pytest.raises(TypeError, match="tensorboard") as raised:
        resources.close()
    assert len(closed) == 3
    assert len(raised.value.__notes__) == 1
