"""`train.mirror`: an empty workdir is filled from the copy, and the run ends as one undisturbed."""

import hashlib
import shutil
import signal
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from siamjax import api, models
from siamjax.errors import UserError
from siamjax.remote import lists
from siamjax.remote.places import Place
from siamjax.training import checkpoint, loop, mirroring
from siamjax.training.initial import initial_variables

from .conftest import assert_same_run


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(mirroring, "_EVERY", 0.02)


@pytest.fixture
def address(tmp_path):
    return f"memory://{tmp_path}/run"


def contents(place):
    return {name: place.read(name) for name in place.files() if name not in lists.NAMES}


def assert_same_end(a, b):
    assert_same_run(a, b)
    assert checkpoint.saved_steps(a / "checkpoints") == checkpoint.saved_steps(b / "checkpoints")


def test_a_replacement_continues(tiny, whole, run, tmp_path, address, capsys):
    """Another machine fills its empty workdir with what the first had copied, and trains on as if
    nothing had happened."""
    shutil.rmtree(run / "checkpoints" / "8")
    upload(run, Place(address))
    config, workdir = tiny(mirror=address), tmp_path / "replaced"
    assert loop.train(config, workdir, lambda *_: {"a": 0.5})["finished"]
    assert f"{workdir}: filled from {address}, step 4" in capsys.readouterr().err
    assert_same_end(workdir, whole)
    assert lists.read(Place(address)).steps() == [4, 8]


class Killed(BaseException):
    """As the end of the process, before anything is closed."""


@pytest.mark.slow
def test_the_copy_is_the_run(tiny, whole, tmp_path, address):
    """Config, metrics and checkpoints with their scores; a run of one process writes them once."""
    assert loop.train(tiny(mirror=address), tmp_path, lambda *_: {"a": 0.5})["finished"]
    assert_same_end(tmp_path, whole)
    place = Place(address)
    there = contents(place)
    listed = lists.read(place)
    assert listed.steps() == [4, 8]
    assert {n: (len(x), hashlib.sha256(x).hexdigest()) for n, x in there.items()} == listed.files
    local = [p for p in (tmp_path / "checkpoints").rglob("*") if p.is_file()]
    local += [tmp_path / "config.json", tmp_path / "metrics.jsonl"]
    assert there == {p.relative_to(tmp_path).as_posix(): p.read_bytes() for p in local}


@pytest.mark.slow
def test_an_empty_workdir_is_filled(tiny, whole, tmp_path, address, capsys):
    """The run ended at the first epoch's end; another machine continues, and uses it."""
    begun, replaced = tmp_path / "begun", tmp_path / "replaced"
    late = loop.train(tiny(mirror=address), begun, lambda *_: {"a": 0.5}, until=time.monotonic())
    assert not late["finished"]
    shutil.rmtree(begun)
    config = tiny(mirror=address, init_from=str(tmp_path / "gone"))
    with pytest.raises(
        UserError, match=rf"--config.train.mirror={address}: the run there has anot"
    ):
        loop.train(config, replaced)
    assert not (replaced / "checkpoints").exists()
    assert loop.train(tiny(mirror=address), replaced, lambda *_: {"a": 0.5})["finished"]
    assert f"{replaced}: filled from {address}, step 1" in capsys.readouterr().err
    assert_same_run(replaced, whole)
    assert lists.read(Place(address)).steps() == [1, 4, 8]


def test_weights_of_a_mirror(tiny, run, address, cache_folder):
    """As `--checkpoint`, and as `train.init_from`."""
    upload(run, Place(address))
    _, variables = api.load_variables(address)
    own = checkpoint.load_variables(run)[1]
    jax.tree.map(np.testing.assert_array_equal, variables, own)
    config = tiny(init_from=address)
    given = initial_variables(config, models.build(config))
    jax.tree.map(np.testing.assert_array_equal, given, dict(own))


def test_a_killed_fill_continues(tiny, run, tmp_path, address, monkeypatch):
    place = Place(address)
    upload(run, place)
    config = tiny(mirror=address)
    real = mirroring.fetch

    def killed(place, wanted, folder):
        real(place, wanted[:2] if "4/" in wanted[0].name else wanted, folder)
        if "4/" in wanted[0].name:
            raise Killed

    monkeypatch.setattr(mirroring, "fetch", killed)
    workdir = tmp_path / "filled"
    with pytest.raises(Killed):
        mirroring.of(config, workdir, {}).fill()
    assert checkpoint.saved_steps(workdir / "checkpoints") == [8]
    monkeypatch.setattr(mirroring, "fetch", real)
    mirroring.of(config, workdir, {}).fill()
    mirroring.of(config, workdir, {}).fill()  # nothing left to do
    assert files(workdir) == files(run)


@pytest.fixture
def run(whole, tmp_path):
    """A copy of the whole run without TensorBoard's files."""
    ignored = shutil.ignore_patterns("tensorboard")
    return Path(shutil.copytree(whole, tmp_path / "run", ignore=ignored))


def files(workdir):
    return {p.relative_to(workdir): p.read_bytes() for p in workdir.rglob("*") if p.is_file()}


def upload(run, place):
    found = {}
    for path, content in files(run).items():
        place.write(path.as_posix(), content)
        found[path.as_posix()] = len(content), hashlib.sha256(content).hexdigest()
    lists.write(place, lists.List(1, found))
    return found


def test_damage_and_later_lines(tiny, run, tmp_path, address, capsys):
    """An older checkpoint where the newest is damaged; lines behind the list's go."""
    place = Place(address)
    found = upload(run, place)
    name = next(n for n, (size, _) in found.items() if n.startswith("checkpoints/8/var") and size)
    place.write(name, bytes(found[name][0]))
    place.write("metrics.jsonl", (run / "metrics.jsonl").read_bytes() + b'{"step": 9}\n{"st')
    workdir = tmp_path / "filled"
    mirroring.of(tiny(mirror=address), workdir, {}).fill()
    assert checkpoint.saved_steps(workdir / "checkpoints") == [4]
    assert (workdir / "metrics.jsonl").read_bytes() == (run / "metrics.jsonl").read_bytes()
    errors = capsys.readouterr().err
    assert f"{address}/{name}: its SHA-256 is" in errors
    assert "step 8 is left out" in errors
    for name in found:
        if name.startswith("checkpoints/4/var"):
            place.write(name, bytes(found[name][0]))
    with pytest.raises(UserError, match="none of its checkpoints can be read; give another"):
        mirroring.of(tiny(mirror=address), tmp_path / "other", {}).fill()


def test_addresses_that_fail(tiny, tmp_path):
    for address, words in (
        ("http://127.0.0.1:9/run", "can't be written; give s3://, gs://"),
        (f"memory://a#sha256={'0' * 64}", "can't be written"),
        ("nope://a/b", "no addresses with nope://"),
    ):
        with pytest.raises(UserError, match=words):
            mirroring.of(tiny(mirror=address), tmp_path / "new", {})
    assert mirroring.of(tiny(), tmp_path / "new", {}) is None


def test_a_store_that_is_away(tiny, run, tmp_path, address, monkeypatch, capsys):
    """An empty workdir needs it; a run that has begun says so and continues."""

    def away(self, name=""):
        raise UserError(f"{self.shown_file(name)}: failed")

    monkeypatch.setattr(Place, "read", away)
    with pytest.raises(UserError, match=r"mirror.0.json: failed"):
        mirroring.of(tiny(mirror=address), tmp_path / "new", {})
    mirror = mirroring.of(tiny(mirror=address), run, {})
    assert not mirror.fills
    assert "mirror.0.json: failed; tried again at the next" in capsys.readouterr().err


@pytest.mark.slow
def test_a_place_that_cannot_be_written(tiny, run, tmp_path, capsys):
    file = tmp_path / "file"
    file.touch()
    bad = f"file://{file}/run"
    for workdir in (run, tmp_path / "new"):
        assert loop.train(tiny(mirror=bad), workdir)["finished"]
    errors = capsys.readouterr().err
    assert f"--config.train.mirror={bad}: step 8 is not copied (" in errors
    assert errors.count("give the same command again to copy it") == 2


@pytest.mark.slow
def test_what_failed_is_tried_again(tiny, whole, tmp_path, address, monkeypatch, capsys):
    """A store that fails for a while costs one warning; nothing is missing at the end."""
    real = Place.write
    failed = []

    def fails(self, name, content):
        if not failed:
            failed.append(name)
            raise UserError(f"{self.shown_file(name)}: no answer")
        return real(self, name, content)

    def validate(*_):
        while not failed:
            time.sleep(0.01)
        return {"a": 0.5}

    monkeypatch.setattr(Place, "write", fails)
    loop.train(tiny(mirror=address), tmp_path, validate)
    errors = capsys.readouterr().err
    assert errors.count("is not copied (") == 1
    assert f"step 4 is not copied ({address}/" in errors
    assert errors.count("tried again at the next checkpoint") == 1
    assert lists.read(Place(address)).steps() == [4, 8]
    assert_same_end(tmp_path, whole)


@pytest.mark.slow
def test_two_runs_with_one_address(tiny, run, tmp_path, address, capsys):
    """The second to write stops copying, and says so."""
    place = Place(address)

    def validate(config, variables, epoch, step):
        while (found := lists.read(place)) is None:
            time.sleep(0.01)
        if epoch == 0:
            while lists.read(place).files.get(f"checkpoints/{step}/score.json"):
                time.sleep(0.01)
            lists.write(place, lists.List(found.count + 1, found.files))
        return {"a": 0.5}

    assert loop.train(tiny(mirror=address), tmp_path / "first", validate)["finished"]
    errors = capsys.readouterr().err
    assert errors.count("another run writes there, too; this one no longer does: give one") == 1
    assert lists.read(place).steps() == [4]


@pytest.mark.slow
def test_checkpoints_that_go_and_others_that_stay(tiny, tmp_path, address, monkeypatch):
    """Removed ones go there, too, with what a kill left; a later step than the newest stays."""
    place = Place(address)
    place.write("checkpoints/2/left", b"1")
    place.write("checkpoints/16/later", b"1")
    place.write("notes.txt", b"mine")
    known = {"checkpoints/16/later": (1, hashlib.sha256(b"1").hexdigest())}
    lists.write(place, lists.List(5, known))
    (tmp_path / "checkpoints").mkdir()
    config = tiny(mirror=address, keep=1, keep_best=0)
    mirror = mirroring.of(config, tmp_path, {})
    mirror._is_empty = lambda: False
    assert not mirror.fills
    monkeypatch.setattr(mirroring, "of", lambda *_: mirror)
    loop.train(config, tmp_path)
    there = contents(place)
    assert {lists.step_of(name) for name in there} == {8, 16, None}
    assert there["notes.txt"] == b"mine"
    assert lists.read(place).steps() == [8, 16]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["s3", "file"])
def test_killed_without_a_workdir(kind, tiny, run_train, tmp_path, request):
    """SIGKILL, the workdir is gone, the same command on an empty one: bit for bit the same."""
    address = f"{request.getfixturevalue('s3')}/run" if kind == "s3" else f"file://{tmp_path}/copy"
    config = tiny(data__pairs_per_epoch=80, epochs=2, checkpoint_every=3, mirror=address)
    workdir = tmp_path / "run"
    process = run_train(config, workdir)
    place = Place(address)
    while (found := lists.read(place)) is None or max(found.steps(), default=0) < 6:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    shutil.rmtree(workdir)
    done = run_train(config, workdir)
    _, errors = done.communicate()
    assert done.returncode == 0, errors
    assert f"{workdir}: filled from {address}, step " in errors
    loop.train(tiny(data__pairs_per_epoch=80, epochs=2, checkpoint_every=3), tmp_path / "whole")
    assert_same_run(workdir, tmp_path / "whole", step=80)
    assert lists.read(place).steps() == checkpoint.saved_steps(workdir / "checkpoints")
    assert "hidden" not in errors
