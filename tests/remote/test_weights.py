"""Weights at addresses: files, mirrors and folders of runs, as `siamjax.load` takes them."""

import hashlib
import json

import numpy as np
import pytest

from siamjax import api
from siamjax.errors import UserError
from siamjax.evaluation import specs
from siamjax.models import weights as weights_files
from siamjax.remote import lists, weights
from siamjax.remote.places import Place


@pytest.fixture
def served(files, checkpoint, cache_folder):
    """The address of tiny.npz, and its SHA-256."""
    content = checkpoint.read_bytes()
    (files.folder / "tiny.npz").write_bytes(content)
    return f"{files.address}/tiny.npz", hashlib.sha256(content).hexdigest()


def test_other_paths_are_as_they_are(tmp_path):
    assert weights.local(tmp_path) == tmp_path
    assert str(weights.local("runs/a.npz")) == "runs/a.npz"


def test_the_bundled_checkpoint_has_a_name(tmp_path, monkeypatch):
    """Before: `siamjax track clip.mp4 --checkpoint=bundled` gave 'bundled: no such checkpoint
    folder or weights file'."""
    assert weights.local("bundled") == api.training_folder("bundled") == api.default_checkpoint()
    assert specs.of_checkpoint("bundled", "t").identity == specs.parse("bundled").identity
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bundled").mkdir()
    with pytest.raises(UserError, match="bundled: siamjax's own checkpoint has this name; rename"):
        weights.local("bundled")


def test_a_weights_file(served, files, tiny):
    address, digest = served
    config, variables = api.load_variables(address)
    assert config.to_dict() == tiny.config.to_dict()
    given = variables["params"]["backbone"]["conv1"]["kernel"]
    np.testing.assert_array_equal(given, tiny.variables["params"]["backbone"]["conv1"]["kernel"])
    asked = len(files.asked)
    api.load_variables(address)
    assert len(files.asked) == asked  # the copy is used
    api.load_variables(f"{address}#sha256={digest}")
    assert len(files.asked) > asked


def test_a_file_that_was_replaced_is_fetched_anew(served, files, tiny):
    address, _ = served
    before = weights.local(address)
    weights_files.save(files.folder / "tiny.npz", *tiny, {"name": "other"})
    assert weights_files.load_with_metadata(weights.local(address))[2] == {"name": "other"}
    assert weights_files.load_with_metadata(before)[2] == {}


def test_with_its_digest_no_server_is_asked(served, files):
    address, digest = served
    path = weights.local(f"{address}#sha256={digest}")
    files.refused["tiny.npz"] = 500
    assert weights.local(f"{address}#sha256={digest}") == path
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"tiny.npz: damaged since it was fetched .*; run again"):
        weights.local(f"{address}#sha256={digest}")
    files.refused.clear()
    assert weights.local(f"{address}#sha256={digest}").read_bytes() != data


def test_another_digest_is_refused(served, cache_folder):
    address, digest = served
    with pytest.raises(UserError, match=f"tiny.npz: its SHA-256 is {digest} in place of 0{{64}},"):
        api.load_variables(f"{address}#sha256={'0' * 64}")
    assert not list(cache_folder.rglob("*.npz"))


def test_what_is_no_weights_file(files, cache_folder):
    (files.folder / "page").write_text("<html>")
    with pytest.raises(UserError, match="not a siamjax weights file"):
        api.load_variables(f"{files.address}/page?download=1")
    with pytest.raises(UserError, match=f"^{files.address}/no: nothing there; look after the ad"):
        api.load_variables(f"{files.address}/no")


def test_trackers_by_address(served):
    address, digest = served
    (found,) = {specs.parse(f"mine={address}").identity, specs.parse(address).identity}
    spec = specs.parse(f"{address}#sha256={digest}[penalty_k=0.1]")
    assert (spec.name, spec.constants) == ("tiny", {"penalty_k": 0.1})
    assert spec.identity.split()[0] == found.split()[0]
    assert spec.checkpoint.endswith("/content/tiny.npz")


# --- runs


def put_run(place, steps, prefix=""):
    for step in steps:
        for name in ("meta/metadata", "variables/d/x", "training/d/x"):
            place.write(f"{prefix}{step}/{name}", f"{step} {name}".encode())


@pytest.mark.parametrize("prefix", ["checkpoints/", "train/checkpoints/", ""])
def test_a_run_that_was_copied(cache_folder, prefix):
    """Its newest checkpoint, without what only a training needs."""
    place = Place(f"memory://runs{len(prefix)}/r50")
    put_run(place, (4, 12, 8), prefix)
    place.write("config.json", b"{}")
    path = weights.local(place.address)
    assert path.name == "12"
    assert {p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file()} == {
        "meta/metadata",
        "variables/d/x",
    }
    assert (path / "variables/d/x").read_text() == "12 variables/d/x"
    one = weights.local(f"{place.address}/{prefix}8")
    assert (one / "meta/metadata").read_text() == "8 meta/metadata"
    put_run(place, [16], prefix)
    assert weights.local(place.address).name == "16"


def test_folders_without_a_checkpoint(cache_folder):
    place = Place("memory://weights/empty")
    place.write("checkpoints/4.orbax-checkpoint-tmp/meta/metadata", b"1")
    with pytest.raises(UserError, match=r"^memory://weights/empty: no checkpoint there; give a ru"):
        weights.local(place.address)
    lists.write(place, lists.List(1, {}))
    with pytest.raises(UserError, match="no checkpoint there yet"):
        weights.local(place.address)
    with pytest.raises(UserError, match="is a folder; name a file in it"):
        weights.local(f"{place.address}#sha256={'0' * 64}")


def mirrored(place, steps):
    put_run(place, steps, "checkpoints/")
    names = [name for name in place.files() if name.startswith("checkpoints/")]
    contents = {name: place.read(name) for name in names}
    found = {n: (len(x), hashlib.sha256(x).hexdigest()) for n, x in contents.items()}
    lists.write(place, lists.List(1, found))


def test_a_mirror(cache_folder):
    """Only what its list has; an older checkpoint where the newest is damaged."""
    place = Place("memory://weights/mirror")
    mirrored(place, (4, 8))
    put_run(place, [12], "checkpoints/")  # in progress
    assert weights.local(place.address).name == "8"
    place.write("checkpoints/4/variables/d/x", b"4 variables/d/X")
    mirrored(Place("memory://weights/other"), (4, 8))
    other = Place("memory://weights/other")
    other.write("checkpoints/8/variables/d/x", b"8 variables/d/X")
    assert weights.local(other.address).name == "4"
    other.write("checkpoints/4/variables/d/x", b"8 variables/d/X")
    with pytest.raises(UserError, match="/8/variables/d/x: its SHA-256 is"):
        weights.local(Place("memory://weights/other").address + "/")


# --- the list


def test_lists_are_written_alternately():
    place = Place("memory://lists/a")
    assert lists.read(place) is None
    for count in range(1, 5):
        lists.write(place, lists.List(count, {f"checkpoints/{count}/x": (1, "ab")}))
        assert lists.read(place).count == count
    assert lists.read(place).steps() == [4]
    place.write(lists.NAMES[0], place.read(lists.NAMES[0])[:-9])  # killed while it was written
    assert lists.read(place) == lists.List(3, {"checkpoints/3/x": (1, "ab")})
    place.write(lists.NAMES[1], b"")
    with pytest.raises(UserError, match=r"^memory://lists/a: its mirror.0.json is damaged"):
        lists.read(place)


@pytest.mark.parametrize(
    "fields, words",
    [
        ({"format": "siamjax mirror 9", "count": 1, "files": {}}, "a list of another version"),
        ({"count": 1, "files": {}}, "is damaged"),
        ({"format": "siamjax mirror 1", "count": 1, "files": {"../x": [1, "a"]}}, "is not in that"),
        ({"format": "siamjax mirror 1", "count": 1, "files": {"x": 1}}, "is damaged"),
        ([], "is damaged"),
    ],
)
def test_strangers_lists(fields, words):
    place = Place("memory://lists/strange")
    text = json.dumps(fields)
    place.write(lists.NAMES[1], f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}\n".encode())
    with pytest.raises(UserError, match=words):
        lists.read(place)
