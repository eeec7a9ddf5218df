"""What stops, damages or doubles a run: nothing is lost, and one line says what it was."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from siamjax import locks
from siamjax.data import index
from siamjax.errors import UserError, refused
from siamjax.training import checkpoint, loop, metrics, resume, saving
from siamjax.training.state import TrainState

from .conftest import ROOT


def lines(workdir):
    return metrics.read_lines(workdir / "metrics.jsonl")


def losses(workdir):
    return [(line["step"], line["loss"]) for line in lines(workdir) if "loss" in line]


def assert_same_end(a, b):
    items = [checkpoint.read(w / "checkpoints" / "8", True)[:2] for w in (a, b)]
    jax.tree.map(np.testing.assert_array_equal, *items)
    assert losses(a) == losses(b)


@pytest.fixture
def run(whole, tmp_path):
    """A copy of that run."""
    return Path(shutil.copytree(whole, tmp_path / "run"))


def test_a_second_run_in_a_folder_is_refused(tiny, run):
    """Before: with two `run_train.py` at once the first ended with exit code 0 and 21 of 40 lines
    of metrics, the second with "the checkpoint could not be written ([Errno 2] No such file or
    directory: ...); free some space"."""
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    with locks.Lock(run), pytest.raises(UserError, match=r"in use by process \d+ on .* --workdir"):
        loop.train(tiny(), run)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()} == before


def test_a_lost_lock_ends_the_run(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "BEAT", 0.01)

    def validate(*_):
        (tmp_path / ".lock").unlink()
        time.sleep(0.2)
        return {"a": 1.0}

    with pytest.raises(UserError, match="was removed or taken"):
        loop.train(tiny(), tmp_path, validate)
    assert checkpoint.saved_steps(tmp_path / "checkpoints") == [4]


# --- Ctrl-C


def _signal_at(monkeypatch, step, number):
    """Raises a signal in a step of the next training."""
    real = loop._Run._record

    def record(self):
        if self.done == step and self.stop.signal is None:
            signal.raise_signal(number)
            end = time.monotonic() + 10
            while self.stop.signal is None and time.monotonic() < end:
                time.sleep(0.001)
        real(self)

    monkeypatch.setattr(loop._Run, "_record", record)


def test_ctrl_c_saves_as_sigterm_does(tiny, whole, tmp_path, monkeypatch, capsys):
    """Before: "interrupted", exit code 130, and `checkpoints/` was empty."""
    _signal_at(monkeypatch, 3, signal.SIGINT)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        loop.train(tiny(), tmp_path, lambda *_: {"a": 0.5})
    monkeypatch.undo()
    assert signal.getsignal(signal.SIGINT) is handler
    assert checkpoint.saved_steps(tmp_path / "checkpoints") == [3]
    errors = capsys.readouterr().err
    assert "Ctrl-C: a checkpoint is saved after the step in progress; again: ends at once" in errors
    assert "stopped by Ctrl-C at step 3 of 8; the same command resumes it" in errors
    assert loop.train(tiny(), tmp_path, lambda *_: {"a": 0.5})["finished"]
    assert_same_end(tmp_path, whole)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_last_step_is_not_lost(tiny, whole, tmp_path, monkeypatch, number):
    """Before: `siamjax finetune` did its next step all the same."""
    _signal_at(monkeypatch, 8, number)
    if number == signal.SIGINT:
        with pytest.raises(KeyboardInterrupt):
            loop.train(tiny(), tmp_path, lambda *_: {"a": 0.5})
    else:
        made = loop.train(tiny(), tmp_path, lambda *_: {"a": 0.5})
        assert (made["finished"], made["stopped"]) == (True, True)
    assert_same_end(tmp_path, whole)
    monkeypatch.undo()
    again = loop.train(tiny(), tmp_path, lambda *_: {"a": 0.5})
    assert (again["finished"], again["stopped"]) == (True, False)


@pytest.mark.slow
def test_two_ctrl_cs_end_at_once_without_a_traceback(tiny, tmp_path, run_train):
    """Before: with 50 ms between them "interrupted", then "Exception ignored in atexit callback:
    <function _exit_function ...>" and a traceback down to "KeyboardInterrupt"."""
    config = tiny(data__pairs_per_epoch=2000, data__workers=2)
    for wait_for in ("config.json", "metrics.jsonl"):  # while it compiles, and later
        workdir = tmp_path / wait_for
        process = run_train(config, workdir)
        while process.poll() is None and not (workdir / wait_for).exists():
            time.sleep(0.01)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        begin = time.monotonic()
        _, errors = process.communicate()
        assert process.returncode == 130, errors
        assert time.monotonic() - begin < 2
        assert "Traceback" not in errors
        assert not (workdir / ".lock").exists()


# --- disks


def refuse_lines(monkeypatch, error):
    """The line of step 6 can't be written."""
    real = metrics.JsonLines.append

    def append(self, piece):
        if b'"step": 6' in piece:
            raise refused(self._path, error)
        real(self, piece)

    monkeypatch.setattr(metrics.JsonLines, "append", append)


def refuse_events(monkeypatch, error):
    real = metrics.TensorBoard.scalars

    def scalars(self, step, values):
        if step == 6:
            raise refused(self._path, error)
        real(self, step, values)

    monkeypatch.setattr(metrics.TensorBoard, "scalars", scalars)


def refuse_checkpoints(monkeypatch, error):
    """Half of that of step 8 is written."""
    manager = saving.ocp.CheckpointManager
    real = manager.save

    def save(self, step, **arguments):
        if step != 8:
            return real(self, step, **arguments)
        left = self.directory / "8.orbax-checkpoint-tmp"
        left.mkdir()
        (left / "half").write_bytes(b"x")
        name = "a" * 400  # before the cause, as TensorStore does
        raise ValueError(f"Error writing {name} [os_error_code='{error.errno}']") from error

    monkeypatch.setattr(manager, "save", save)


@pytest.mark.parametrize("refuse", [refuse_lines, refuse_events, refuse_checkpoints])
@pytest.mark.parametrize(
    "code, fixes",
    [
        (errno.ENOSPC, ("no space left", "free some space")),
        (errno.EDQUOT, ("quota exceeded", "raise the quota")),
        (errno.EROFS, ("Read-only file system", "make the file system writable")),
    ],
)
def test_a_disk_that_refuses_is_one_line(tiny, tmp_path, monkeypatch, refuse, code, fixes):
    """The last checkpoint loads, and nothing half-written stays. Before: `run_train.py` on a tmpfs
    of 200 KiB ended with exit code 1 after 932 lines with 67 tracebacks, the last "OSError: handle
    is closed" of TensorBoard; half a checkpoint stayed."""
    refuse(monkeypatch, OSError(code, os.strerror(code)))
    with pytest.raises(UserError) as raised:
        loop.train(tiny(), tmp_path)
    monkeypatch.undo()
    message = str(raised.value)
    assert "\n" not in message
    assert any(fix in message for fix in fixes)
    assert refuse is not refuse_checkpoints or os.strerror(code) in message
    assert ("free some" in message) == (code != errno.EROFS)
    assert checkpoint.load_variables(tmp_path)[2] == 4
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["4"]
    assert not (tmp_path / ".lock").exists()


def test_the_end_of_a_run_says_once_that_the_disk_is_full(tmp_path, monkeypatch):
    """Before: the line held itself once more, "could not be written (...: the checkpoint could not
    be written (...); free some space ...); free some space ..."."""
    saved = saving.Checkpoints(tmp_path, keep=1, keep_best=1)

    def refuse(self):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(saving.ocp.CheckpointManager, "wait_until_finished", refuse)
        with pytest.raises(UserError) as raised:
            saved.close()
    message = str(raised.value)
    assert "could not be written ([Errno 28] No space left on device); free some space" in message
    assert message.count("could not be written") == 1


@pytest.mark.slow
def test_training_on_a_full_file_system(tiny, whole, tmp_path, run_train, own_mounts):
    """A tmpfs of 600 KiB, in a mount namespace of its own."""
    config = tiny(data__pairs_per_epoch=400, checkpoint_every=1, log_every=1, keep=50)
    workdir = tmp_path / "disk" / "run"
    (tmp_path / "disk").mkdir()
    process = run_train(config, workdir)
    process.kill()
    process.wait()
    after = (
        "import sys, os; from pathlib import Path; from siamjax.training import checkpoint;"
        "w = Path(sys.argv[1]); c = w / 'checkpoints'; os.remove(w / 'ballast');"
        "print(checkpoint.load_variables(w)[2], checkpoint.saved_steps(c)[-1],"
        " [p.name for p in c.iterdir() if not p.name.isdigit()], os.listdir(w))"
    )
    script = (
        f"mount -t tmpfs -o size=600k tmpfs {tmp_path}/disk && mkdir {workdir} && "
        f"head -c 60000 /dev/zero > {workdir}/ballast && "
        f"{sys.executable} run_train.py --config={tmp_path}/experiment.py --workdir={workdir};"
        f' echo "rc $?"; {sys.executable} -c "{after}" {workdir}'
    )
    done = subprocess.run(
        [*own_mounts, "sh", "-c", script], cwd=ROOT, capture_output=True, text=True
    )
    errors = [x for x in done.stderr.replace("\r", "\n").splitlines() if x.startswith("error: ")]
    assert len(errors) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "No space left" in errors[0] or "no space left" in errors[0]
    code, state = done.stdout.splitlines()
    assert code == "rc 2"
    step, newest, rest = state.split(maxsplit=2)
    assert step == newest
    assert rest.startswith("[] ["), rest
    assert ".lock" not in rest


def test_the_disk_that_checkpoints_will_take(tiny, tmp_path, capsys):
    loop.train(tiny(keep=2, keep_best=3), tmp_path)
    (text,) = [x for x in capsys.readouterr().err.splitlines() if "checkpoints of" in x]
    variables, training, _ = checkpoint.read(tmp_path / "checkpoints" / "8", True)
    each = sum(x.nbytes for x in jax.tree.leaves((variables, training)))
    assert (
        f"checkpoints: up to 7 checkpoints of {each / 1000:.3g} KB, {7 * each / 1000:.3g} KB; "
        in text
    )
    assert text.endswith("B are free")


@pytest.mark.parametrize(
    "free, there, little",
    [(3000, 0, False), (2999, 0, True), (999, 2000, True), (1000, 2000, False)],
)
def test_room_for_checkpoints(tmp_path, monkeypatch, free, there, little):
    """Three of 1,000 bytes at most; those that are there make room for the new ones."""
    usage = SimpleNamespace(free=free)
    monkeypatch.setattr(saving.shutil, "disk_usage", lambda folder: usage)
    monkeypatch.setattr(checkpoint, "items_of", lambda state: [np.zeros(1000, np.uint8)])
    checkpoints = saving.Checkpoints(tmp_path, keep=1, keep_best=0)
    (tmp_path / "checkpoints" / "old").write_bytes(bytes(there))
    try:
        text = checkpoints.space(TrainState(*[None] * 8))
        assert text.endswith(": too little") == little
    finally:
        checkpoints.close()


# --- checkpoints and what lies beside them


def test_a_renamed_checkpoint_is_refused(tiny, run, whole, capsys):
    """Before: `load_variables` of a run whose folder 8 was renamed to 9 gave step 9."""
    (run / "checkpoints" / "8").rename(run / "checkpoints" / "9")
    (run / "checkpoints" / "4").rename(run / "checkpoints" / "12")
    with pytest.raises(UserError, match="none of the checkpoints"):
        checkpoint.load_variables(run)
    errors = capsys.readouterr().err
    assert "checkpoints/9 can't be read: it holds step 8; give the folder that name" in errors
    (run / "checkpoints" / "9").rename(run / "checkpoints" / "8")
    assert checkpoint.load_variables(run)[2] == 8
    assert loop.train(tiny(), run)["finished"]
    assert (run / "corrupt" / "12").is_dir()


def test_damaged_meta_is_noticed(run, capsys):
    path = run / "checkpoints" / "8" / "meta" / "metadata"
    text = path.read_text()
    path.write_text(text.replace('"lr_end": 0.0005', '"lr_end": 0.0007'))
    assert checkpoint.load_variables(run)[2] == 4
    assert "checksum of meta differs" in capsys.readouterr().err
    path.write_text(text[: len(text) // 2])
    assert checkpoint.load_variables(run)[2] == 4


@pytest.mark.parametrize("content", [b"", b'{"name": ', b"\xff\xfe"])
def test_damaged_files_beside_the_checkpoints(tiny, run, whole, content):
    """Before: with these bytes in `config.json` the run ended with "JSONDecodeError: Expecting
    value: line 1 column 1 (char 0)", the same at column 10, and UnicodeDecodeError; with the last
    ones in `metrics.jsonl` too."""
    good = (run / "config.json").read_bytes()
    (run / "config.json").write_bytes(content)
    shutil.rmtree(run / "checkpoints" / "8")
    with (run / "metrics.jsonl").open("ab") as file:
        file.write(content)
    assert loop.train(tiny(), run, lambda *_: {"a": 0.5})["finished"]
    assert (run / "config.json").read_bytes() == good
    assert_same_end(run, whole)


def test_changed_metrics_are_those_of_the_checkpoint_again(tiny, run, whole):
    """Before: a flipped bit in a line, 1.4 for 1.5, stayed, and so did a foreign line."""
    shutil.rmtree(run / "checkpoints" / "8")
    path = run / "metrics.jsonl"
    text = path.read_text()
    assert '"loss": 1' in text
    path.write_text(text.replace('"loss": 1', '"loss": 3') + '{"step": 2, "loss": 0.5}\n')
    assert loop.train(tiny(), run, lambda *_: {"a": 0.5})["finished"]
    assert [x.get("scores") for x in lines(run)] == [x.get("scores") for x in lines(whole)]
    assert_same_end(run, whole)


def test_changed_metrics_of_a_finished_run(tiny, run):
    text = (run / "metrics.jsonl").read_bytes()
    (run / "metrics.jsonl").write_bytes(text.replace(b'"loss": 1', b'"loss": \xff'))
    assert loop.train(tiny(), run)["finished"]
    assert (run / "metrics.jsonl").read_bytes() == text


def test_a_damaged_score_is_made_anew(tiny, run, whole):
    shutil.rmtree(run / "checkpoints" / "8")
    path = run / "checkpoints" / "4" / "score.json"
    good = path.read_text()
    path.write_text(good.replace('{"score": 0.5', '{"score": 0.7'))
    seen = []

    def validate(config, variables, epoch, step):
        seen.append(step)
        return {"a": 0.5}

    loop.train(tiny(), run, validate)
    assert seen == [4, 8]
    assert path.read_text() == good
    assert [x.get("scores") for x in lines(run)] == [x.get("scores") for x in lines(whole)]


def test_other_writes_under_way_when_one_fails_print_nothing(tmp_path, monkeypatch):
    """Before: on a full disk TensorStore printed "RuntimeError: Event loop is closed", each with a
    traceback, beside the line."""

    class Raises:
        def __init__(self, text):
            self.text = text

        def __del__(self):
            raise RuntimeError(self.text)

    shown = []

    def hook(found):
        shown.append(str(found.exc_value))

    monkeypatch.setattr(sys, "unraisablehook", hook)
    saved = saving.Checkpoints(tmp_path, keep=1, keep_best=1)
    Raises("Event loop is closed")
    Raises("of mine")
    saved.close()
    assert sys.unraisablehook is hook
    assert shown == ["of mine"]


# --- validation


def test_a_validation_that_raises_costs_nothing(tiny, whole, tmp_path, capsys):
    """Before: its ZeroDivisionError ended the training, and `checkpoints/` was empty."""

    def validate(config, variables, epoch, step):
        assert checkpoint.saved_steps(tmp_path / "checkpoints")[-1] == step
        if epoch == 0:
            raise ZeroDivisionError("in the tracker")
        raise UserError("0001.jpg: not a readable image")

    final = loop.train(tiny(), tmp_path, validate)
    assert final["finished"]
    assert final["validation_errors"] == 2
    assert final["step"] == 8
    errors = capsys.readouterr().err
    assert "validation at step 4 failed, training continues: ZeroDivisionError('in the" in errors
    assert "validation at step 8 failed, training continues: 0001.jpg: not a readable" in errors
    failed = [line for line in lines(tmp_path) if "validation_error" in line]
    assert [(line["step"], line["scores"]) for line in failed] == [(4, {}), (8, {})]
    assert checkpoint.saved_steps(tmp_path / "checkpoints") == [4, 8]
    assert_same_end(tmp_path, whole)


def test_nan_scores_keep_no_best(tiny, tmp_path):
    """Before: `"scores": {"a": NaN}` in `metrics.jsonl`, and with `keep_best=1` the checkpoint of
    the score inf was kept as the best."""
    scores = iter([{"a": 0.1}, {"a": float("nan"), "b": 3.0}, {"a": float("inf")}, {"a": 0.05}])
    config = tiny(epochs=4, unfreeze_epoch=9, keep=1, keep_best=1)
    loop.train(config, tmp_path, lambda *_: next(scores))
    assert checkpoint.saved_steps(tmp_path / "checkpoints") == [4, 16]
    found = [line["scores"] for line in lines(tmp_path) if "scores" in line]
    assert found == [{"a": 0.1}, {"a": None, "b": 3.0}, {"a": None}, {"a": 0.05}]


def test_a_validation_that_was_killed_is_made_up_for(tiny, whole, tmp_path):
    """The checkpoint is there before; the resumed run validates first."""
    seen = []

    def killed(*_):
        raise KeyboardInterrupt  # as the end of the process

    def validate(config, variables, epoch, step):
        seen.append(step)
        return {"a": 0.5}

    with pytest.raises(KeyboardInterrupt):
        loop.train(tiny(), tmp_path, killed)
    assert checkpoint.saved_steps(tmp_path / "checkpoints") == [4]
    loop.train(tiny(), tmp_path, validate)
    assert seen == [4, 8]
    assert lines(tmp_path)[4] == {"step": 4, "epoch": 0, "scores": {"a": 0.5}}
    assert [x.get("scores") for x in lines(tmp_path)] == [x.get("scores") for x in lines(whole)]
    assert_same_end(tmp_path, whole)


def test_scores_of_older_runs_count(tmp_path):
    for step, score in ((3, 0.9), (4, 0.1), (5, 0.2)):
        folder = tmp_path / "checkpoints" / str(step) / "metrics"
        folder.mkdir(parents=True)
        (folder / "metrics").write_text(json.dumps({"score": score}))
    (tmp_path / "checkpoints" / "4" / "score.json").write_text("{")  # damaged: the older one counts
    saved = saving.Checkpoints(tmp_path, keep=1, keep_best=1)
    saved.close()
    assert saved.steps() == [3, 5]


# --- resuming with another config


def test_the_docs_say_when_bits_are_equal():
    """Before: nothing said so. `taskset -c 0 run_train.py` gave a loss of 2.7084012 in the first
    step, 2.7083998 without taskset."""
    text = " ".join((ROOT / "docs" / "training.md").read_text().split())
    assert "bits are those of one kind of machine and one number of visible cores" in text


def config_with(config, **fields):
    other = config.copy_and_resolve_references()
    with other.unlocked():
        for name, value in fields.items():
            *sections, field = name.split("__")
            section = other
            for each in sections:
                section = section[each]
            section[field] = value
    return other


def test_moved_shards_and_constants_of_the_tracker(tiny, run, shards, tmp_path):
    """Before: "the run there has another config (tracker.instance: 255 -> 287)", and the same for
    data.sources.tiny.path."""
    moved = shutil.copytree(shards, tmp_path / "elsewhere")
    config = config_with(
        tiny(),
        data__sources__tiny__path=str(moved),
        tracker__instance=287,
        tracker__lr=0.3,
        train__keep=9,
    )
    assert loop.train(config, run)["finished"]
    for field, value in (("tracker__base_size", 0), ("data__negative", 0.3), ("seed", 1)):
        name = field.replace("__", ".")
        with pytest.raises(UserError, match=rf"another config \({name}: .* -> {value}\)"):
            loop.train(config_with(config, **{field: value}), run)


def test_other_data_are_refused(tiny, run, shards, tmp_path):
    """At another place, or at the same."""
    other = shutil.copytree(shards, tmp_path / "other")
    index.write_manifest(other, index.read_manifest(other) | {"name": "another"})
    config = config_with(tiny(), data__sources__tiny__path=str(other))
    with pytest.raises(UserError, match=r"data\.sources\.tiny\.path: .* \(other data\)"):
        loop.train(config, run)
    here = resume.identity(tiny())
    resume.check(run, tiny(), here)
    with pytest.raises(UserError, match=r"data\.sources\.tiny: other data than the run began"):
        resume.check(run, tiny(), {"tiny": "another"})


def test_runs_that_did_not_note_their_data(tiny, run, shards, tmp_path, monkeypatch):
    """Those of 0.1 and 0.2: the old place is asked, if it is still there. They drew negative pairs
    by the published rule."""
    real = checkpoint.read_meta

    def old(path):
        meta = real(path)
        del meta["data"], meta["config"]["data"]["negatives"]
        return meta

    monkeypatch.setattr(checkpoint, "read_meta", old)
    moved = shutil.copytree(shards, tmp_path / "elsewhere")
    fields = {"data__sources__tiny__path": str(moved), "data__negatives": "published"}
    config = config_with(tiny(), **fields)
    resume.check(run, config, resume.identity(config))
    with pytest.raises(UserError, match=r"data\.negatives: published -> other"):
        resume.check(run, tiny(), resume.identity(tiny()))

    def gone(path):
        meta = old(path)
        meta["config"]["data"]["sources"]["tiny"]["path"] = str(tmp_path / "gone")
        return meta

    monkeypatch.setattr(checkpoint, "read_meta", gone)
    with pytest.raises(UserError, match=r"tiny\.path: .*/gone -> .*/elsewhere \(other data\)"):
        resume.check(run, config, resume.identity(config))


def test_weights_to_start_from_may_be_gone(tiny, whole, tmp_path):
    """A resumed run has its own."""
    source = shutil.copytree(whole, tmp_path / "source")
    config = tiny(init_from=str(source))
    assert loop.train(config, tmp_path / "run")["finished"]
    shutil.rmtree(source)
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "8")
    assert loop.train(config, tmp_path / "run")["finished"]
