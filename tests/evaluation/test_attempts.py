"""A tracker that fails is named with sequence and frame, and everything else runs."""

import functools
import multiprocessing
import sys

import numpy as np
import pytest

from siamjax.datasets.results import Run
from siamjax.datasets.sequence import Sequence
from siamjax.errors import UserError
from siamjax.evaluation import attempts, protocols, specs, trackers
from siamjax.evaluation.attempts import Failure

TRACKERS = '''\
import os
import sys
import time


class Fails:
    """Fails in frame 2 of a sequence, if that is told to by the value of its pixels."""

    def init(self, frame, box):
        self.box, self.at = tuple(box), 0
        if frame[0, 0, 0] == 9:
            raise ValueError("no start\\nhere")

    def update(self, frame):
        self.at += 1
        kind = frame[0, 0, 0] if self.at == 2 else 0
        if kind == 1:
            raise ValueError("boom\\nin two lines")
        if kind == 2:
            os.kill(os.getpid(), 9)
        if kind == 3:
            sys.exit(5)
        if kind == 10:
            time.sleep(3600)
        return {4: None, 5: (1, 2, 3), 6: (1, 2, float("nan"), 4), 7: "box"}.get(kind, self.box)


def unmade():
    raise RuntimeError("no such device")
'''
REASONS = {
    1: "ValueError: boom in two lines (own_trackers.py, line 18)",
    3: "SystemExit: 5 (own_trackers.py, line 22)",
    4: "the answer None is no box of four finite numbers x, y, w, h",
    5: "the answer (1, 2, 3) is no box of four finite numbers x, y, w, h",
    6: "the answer (1, 2, nan, 4) is no box of four finite numbers x, y, w, h",
    7: "the answer 'box' is no box of four finite numbers x, y, w, h",
}


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Makes a tracker of the user's module by the name of its factory."""
    (tmp_path / "own_trackers.py").write_text(TRACKERS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield lambda name: functools.partial(specs.make_own, f"own_trackers:{name}", {})
    sys.modules.pop("own_trackers", None)


class Frames:
    def __init__(self, value, count=4):
        self.value, self.count = value, count

    def __len__(self):
        return self.count

    def __getitem__(self, i):
        if self.value == 8 and i == 3:
            raise UserError("v8/3.png: not a readable image")
        return np.full((60, 80, 3), self.value, np.uint8)


def job(value):
    truth = np.tile([20.0, 20, 16, 12], (4, 1))
    return Sequence(f"v{value}", Frames(value), truth, image_size=(80, 60)), 1


def by_name(outcomes):
    return {sequence.name: outcome for (sequence, _), outcome in outcomes}


def test_what_a_tracker_does_wrong_is_named_and_the_other_sequences_run(own):
    """Before: `runner.evaluate` ended in the tracker's own "IndexError: of mine", which named no
    sequence, and no file was written; None became rows of `nan,nan,nan,nan` that were scored."""
    jobs = [job(value) for value in (1, 0, 3, 4, 5, 6, 7, 8, 9, 0)]
    found = list(attempts.here(protocols.one_pass, own("Fails"), jobs))
    assert [sequence.name for (sequence, _), _ in found] == [s.name for s, _ in jobs]
    outcomes = by_name(found)
    assert isinstance(outcomes["v0"], Run)
    assert isinstance(found[-1][1], Run)
    for value, reason in REASONS.items():
        assert (outcomes[f"v{value}"].frame, outcomes[f"v{value}"].reason) == (2, reason)
    assert str(outcomes["v8"]) == "frame 3: v8/3.png: not a readable image"
    assert str(outcomes["v9"]) == "frame 0: ValueError: no start here (own_trackers.py, line 12)"
    assert "boom\nin two lines" in outcomes["v1"].trace


@pytest.mark.parametrize(
    "protocol, frame",
    [("supervised", 2), ("longterm", 2), ("multistart", 1)],
)
def test_every_protocol_names_the_frame_of_the_sequence(own, protocol, frame):
    lead = protocols.EXPERIMENTS[protocol].run
    start = 3 if protocol == "multistart" else 1  # backward from frame 3
    (outcome,) = by_name(attempts.here(lead, own("Fails"), [(job(1)[0], start)])).values()
    assert outcome.frame == frame


def test_a_tracker_that_paces_itself_is_named_too(own):
    def make():
        return protocols.RealTime(own("Fails")(), 25)

    (outcome,) = by_name(attempts.here(protocols.one_pass, make, [job(4)])).values()
    assert (outcome.frame, outcome.reason) == (2, REASONS[4])


def test_a_tracker_that_cannot_be_made_fails_once_for_all(own):
    calls = []

    def make():
        calls.append(1)
        return own("unmade")()

    found = by_name(attempts.here(protocols.one_pass, make, [job(0), job(1)]))
    assert len(calls) == 1
    assert {str(each) for each in found.values()} == {
        "RuntimeError: no such device (own_trackers.py, line 29)"
    }


def test_a_tracker_is_made_anew_after_a_failure(own):
    calls = []

    def make():
        calls.append(1)
        return own("Fails")()

    list(attempts.here(protocols.one_pass, make, [job(v) for v in (0, 0, 1, 0, 0)]))
    assert len(calls) == 2


def test_workers_name_failures_and_bad_weights_as_one_process_does(own, tmp_path):
    """Before: `siamjax eval --checkpoint=bad.npz --workers=1` ended in a traceback of
    "BrokenProcessPool: A process in the process pool was terminated abruptly"; without workers with
    "bad.npz: not a siamjax weights file"."""
    jobs = [job(value) for value in (0, 1, 4, 3)]
    found = by_name(attempts.in_processes(protocols.one_pass, own("Fails"), jobs, workers=1))
    assert isinstance(found.pop("v0"), Run)
    assert {name: each.reason for name, each in found.items()} == {
        f"v{value}": REASONS[value] for value in (1, 4, 3)
    }
    bad = tmp_path / "bad.npz"
    bad.write_bytes(b"PK\x03\x04 not weights")
    lines = set()
    for run in (attempts.here, functools.partial(attempts.in_processes, workers=1)):
        with pytest.raises(UserError) as caught:
            list(run(protocols.one_pass, specs.parse(str(bad)).make, jobs))
        lines.add(str(caught.value))
    (line,) = lines
    assert line.startswith(f"{bad}: not a siamjax weights file")


def test_a_factory_that_cannot_be_sent_to_workers():
    """Before: "Can't pickle <function ...<lambda>...>" with a traceback."""
    with pytest.raises(UserError, match=r"workers=2: .* give a class or function of a module"):
        list(attempts.in_processes(protocols.one_pass, lambda: None, [job(0)], workers=2))


@pytest.mark.slow
def test_a_process_that_dies_loses_its_sequence_alone(own):
    jobs = [job(value) for value in (0, 2, 1, 5, 6)]
    found = by_name(attempts.in_processes(protocols.one_pass, own("Fails"), jobs, workers=2))
    assert isinstance(found["v0"], Run)
    assert found["v2"] == Failure(
        "its process ended without an answer (it crashed, or memory ran out)"
    )
    assert {name: found[name].reason for name in ("v1", "v5", "v6")} == {
        f"v{value}": REASONS[value] for value in (1, 5, 6)
    }


@pytest.mark.slow
def test_nobody_waits_for_a_sequence_after_an_interrupt(own):
    outcomes = attempts.in_processes(protocols.one_pass, own("Fails"), [job(0), job(10)], 2)
    next(outcomes)
    assert len(multiprocessing.active_children()) == 2
    outcomes.close()  # as Ctrl-C does; waits for the processes, one of which sleeps an hour
    assert not multiprocessing.active_children()


def test_the_command_scores_the_rest_and_says_so(own, tmp_path, capsys, clips, monkeypatch):
    from siamjax import cli
    from siamjax.commands import eval as command

    monkeypatch.setattr(command, "load_benchmark", lambda args, images: clips)
    monkeypatch.setattr(command.report, "write", lambda *_: "report.html")  # without its plots
    flaky = tmp_path / "flaky.py"
    flaky.write_text(
        "from own_trackers import Fails\n"
        "class Flaky(Fails):\n"
        "    def update(self, frame):\n"
        "        self.at += 1\n"
        "        return None if self.at == 9 else self.box\n"
    )
    flags = ["eval", "--dataset=synthetic", f"--out={tmp_path / 'out'}", "--tracker=static"]
    assert cli.dispatch([*flags, "--tracker=flaky:Flaky", "--tracker=own_trackers:unmade"]) == 1
    first, second = (s.name for s in clips.sequences)  # of 10 and 8 frames
    captured = capsys.readouterr()
    told = [line for line in captured.err.splitlines() if "frame/s" not in line]
    failures = tmp_path / "out" / "failures"
    assert [line for line in told if line] == [
        f"failed: Flaky on {first}, frame 9: {REASONS[4]}",
        f"tracebacks: {failures / 'Flaky'}",
        f"failed: unmade on {first}: RuntimeError: no such device (own_trackers.py, line 29)",
        f"failed: unmade on {second}: RuntimeError: no such device (own_trackers.py, line 29)",
        f"tracebacks: {failures / 'unmade'}",
    ]
    assert "1 of 16 sequences" in captured.out
    assert "unmade" not in captured.out
    assert "RuntimeError" in (failures / "unmade" / f"{first}.txt").read_text()
    # mended, the rest alone runs and the note goes
    flaky.write_text(flaky.read_text().replace("== 9", "== 99"))
    sys.modules.pop("flaky")
    assert cli.dispatch([*flags, "--tracker=flaky:Flaky"]) is None
    assert "2 of 16 sequences" in capsys.readouterr().out
    assert not list((failures / "Flaky").iterdir())
    # nothing to score: named, no table
    assert cli.dispatch([*flags[:3], "--tracker=own_trackers:unmade"]) == 1
    assert capsys.readouterr().out == ""


def test_a_script_gets_the_failures_after_everything_ran(own, tmp_path, clips):
    from siamjax.evaluation import runner

    with pytest.raises(runner.TrackersFailed, match=r"t on clip000: RuntimeError.*; 1 more failed"):
        runner.evaluate(
            clips, {"t": own("unmade"), "s": specs.parse("static").make}, tmp_path, progress=False
        )
    assert len(list((tmp_path / "results" / "s").iterdir())) == 2
    with pytest.raises(runner.TrackersFailed) as caught:
        trackers.run_trackers(clips, tmp_path, baselines=["own_trackers:unmade"])
    assert [(each.tracker, each.sequence) for each in caught.value.failed] == [
        ("unmade", sequence.name) for sequence in clips.sequences
    ]
