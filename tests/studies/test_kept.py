"""Arrays of a study are made once, and a damaged file is one line."""

import numpy as np
import pytest

from siamjax.errors import UserError
from siamjax.studies import kept


def test_made_once_and_again_for_another_key(tmp_path):
    path, calls = tmp_path / "some" / "a.npz", []

    def make():
        calls.append(1)
        return {"x": np.arange(3), "name": np.array(["é", "b"])}

    for key in ("k", "k", "other", "other"):
        found = kept.arrays(path, key, ["x"], make)
        assert found.keys() == {"x", "name"}
        np.testing.assert_array_equal(found["x"], [0, 1, 2])
        assert found["name"].tolist() == ["é", "b"]
    assert len(calls) == 2


def test_damage_is_named(tmp_path):
    """Before: tracks of `siamjax study presence` without a field ended in "TypeError:
    Track.__init__() missing 1 required positional argument"."""
    path = tmp_path / "a.npz"
    kept.arrays(path, "k", [], lambda: {"x": np.arange(3)})
    with pytest.raises(UserError, match=r"a.npz: not the answers of a study; remove it .*lacks y"):
        kept.arrays(path, "k", ["y"], dict)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match=r"a.npz: not the answers of a study; remove it \("):
        kept.arrays(path, "k", ["x"], dict)
