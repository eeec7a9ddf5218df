"""Parts of an evaluation, on several machines and on several devices of one."""

import dataclasses
import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import cv2
import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamjax import cli
from siamjax.commands import eval as command
from siamjax.datasets.results import Store
from siamjax.datasets.sequence import NoFrames, Sequence
from siamjax.errors import UserError
from siamjax.evaluation import batched, runner, specs, trackers
from siamjax.evaluation.runner import Shard
from siamjax.locks import Lock

ROOT = Path(__file__).resolve().parents[2]
SLOW = '''\
import time


class Slow:
    """The first box, moved a little; 10 ms per frame."""

    def init(self, frame, box):
        self.box = box

    def update(self, frame):
        time.sleep(0.01)
        x, y, w, h = self.box
        self.box = x + 0.25, y, w, h
        return self.box
'''


def jobs(lengths):
    truth = np.ones((1, 4))
    return [
        (Sequence(f"s{i}", NoFrames(count, Path(".")), truth), 1) for i, count in enumerate(lengths)
    ]


@given(st.lists(st.integers(1, 5000), max_size=40), st.integers(1, 9))
def test_parts_are_disjoint_complete_and_of_similar_length(lengths, count):
    every = jobs(lengths)
    parts = [runner.part(every, Shard(i, count)) for i in range(count)]
    names = [[sequence.name for sequence, _ in part] for part in parts]
    order = [sequence.name for sequence, _ in every]
    assert sorted(itertools.chain(*names)) == sorted(order)
    assert all(own == sorted(own, key=order.index) for own in names)
    totals = [sum(len(sequence) for sequence, _ in part) for part in parts]
    assert max(totals) - min(totals) <= max(lengths, default=0)


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_parts_fill_one_folder_and_one_call_scores(clips, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "load_benchmark", lambda args, images: clips)
    monkeypatch.setattr(command.report, "write", write_scores)
    flags = ["eval", "--dataset=synthetic", "--tracker=static", "--tracker=template_matching"]
    parts, whole = tmp_path / "parts", tmp_path / "whole"
    for i in (1, 0):
        assert cli.dispatch([*flags, f"--out={parts}", f"--shard={i}/2"]) is None
        assert "the same without --shard scores" in capsys.readouterr().out
        held = [p.name for p in (parts / "results" / "static").iterdir()]
        assert len(held) == 2 - i
        assert not (parts / "scores.json").exists()
    before = {path: path.stat().st_mtime_ns for path in (parts / "results").rglob("*")}
    cli.dispatch([*flags, f"--out={parts}"])
    assert before == {path: path.stat().st_mtime_ns for path in (parts / "results").rglob("*")}
    cli.dispatch([*flags, f"--out={whole}"])
    assert files(parts / "results") == files(whole / "results")
    assert figures(parts) == figures(whole)


def write_scores(out, scores, *_):
    """The report without its plots."""
    (out / "scores.json").write_text(json.dumps(scores.to_dict()))


def figures(folder: Path) -> dict:
    saved = json.loads((folder / "scores.json").read_text())
    for row in saved["trackers"].values():
        del row["fps"], row["fps_with_reading"]
    return saved


@pytest.mark.parametrize("text", ["3/3", "1", "a/b", "-1/2", "1/0", "0/3/1"])
def test_bad_parts(text, tmp_path):
    with pytest.raises(UserError, match="give I/N with I from 0 to N - 1"):
        cli.dispatch(["eval", "--dataset=none", f"--shard={text}"])


@pytest.mark.parametrize("flag", ["--results=x", "--submission"])
def test_parts_are_not_scored(flag):
    with pytest.raises(UserError, match="--shard only runs trackers"):
        cli.dispatch(["eval", "--dataset=none", "--shard=0/2", flag])


def test_a_part_has_one_owner(clips, tmp_path):
    chosen = [specs.parse("static")]
    with Lock(tmp_path, ".part-0-of-2.lock"):
        for shard in (Shard(0, 2), runner.WHOLE, Shard(1, 3)):
            with pytest.raises(UserError, match=r"part-0-of-2\.lock: in use by process"):
                trackers.run(clips, tmp_path, chosen, shard=shard)
        assert not (tmp_path / "results").exists()
        trackers.run(clips, tmp_path, chosen, shard=Shard(1, 2))
    assert len(list((tmp_path / "results" / "static").iterdir())) == 1
    trackers.run(clips, tmp_path, chosen)
    assert len(list((tmp_path / "results" / "static").iterdir())) == 2
    assert not list(tmp_path.glob(".part*"))


def test_machines_with_different_trackers_are_refused(clips, tmp_path):
    trackers.run(clips, tmp_path, [specs.parse("t=static")], shard=Shard(0, 3))
    with pytest.raises(UserError, match="results of another checkpoint or tracker"):
        trackers.run(clips, tmp_path, [specs.parse("t=mil")], shard=Shard(1, 3))


@pytest.mark.slow
def test_three_processes_at_once_one_killed_and_started_again(tmp_path):
    """The files and scores of one run."""
    (tmp_path / "slow.py").write_text(SLOW)
    for number in range(9):
        video = tmp_path / "data" / f"v{number}"
        video.mkdir(parents=True)
        for i in range(20 + 7 * number):
            cv2.imwrite(str(video / f"{i:03d}.png"), np.full((40, 50, 3), 40, np.uint8))
        rows = [f"{5 + 0.25 * i},6,20,16\n" for i in range(20 + 7 * number)]
        (video / "groundtruth.txt").write_text("".join(rows))
    program = [sys.executable, str(ROOT / "run_eval.py"), "--dataset=folder", "--data_root=data"]
    flags = [*program, "--tracker=slow:Slow", "--tracker=template_matching"]

    def start(out, *more):
        return subprocess.Popen(
            [*flags, f"--out={out}", *more],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    running = [start("parts", f"--shard={i}/3") for i in range(3)]
    folder = tmp_path / "parts" / "results" / "Slow"
    own = {s.name for s, _ in runner.part(jobs_of(tmp_path / "data"), Shard(1, 3))}
    deadline = time.monotonic() + 120
    while not any((folder / f"{name}.txt").is_file() for name in own):
        assert time.monotonic() < deadline
        time.sleep(0.002)
    running[1].kill()
    running[1].wait()
    done = sum((folder / f"{name}.txt").is_file() for name in own)
    assert 1 <= done < 3
    running[1] = start("parts", "--shard=1/3")
    for process in (*running, start("one")):
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    scoring = start("parts")
    assert scoring.wait() == 0
    assert files(tmp_path / "parts" / "results") == files(tmp_path / "one" / "results")
    assert figures(tmp_path / "parts") == figures(tmp_path / "one")


def jobs_of(root):
    from siamjax.datasets import registry

    return [(sequence, 1) for sequence in registry.load("folder", root).sequences]


# --- devices


def test_batches_wait_for_a_free_device(clips, tiny, tmp_path, monkeypatch):
    twice = [
        dataclasses.replace(sequence, name=f"{sequence.name}{again}")
        for again in "abc"
        for sequence in clips.sequences
    ]
    clips = dataclasses.replace(clips, sequences=tuple(twice))
    batched.run(clips, "t", *tiny, tmp_path / "one", 2)
    monkeypatch.setattr(batched.jax, "local_devices", lambda: jax.devices() * 2)
    assert batched.run(clips, "t", *tiny, tmp_path / "two", 2) == []
    assert len(list((tmp_path / "two" / "results" / "t").glob("*.txt"))) == 6
    assert files(tmp_path / "two" / "results") == files(tmp_path / "one" / "results")


@pytest.mark.slow
def test_every_device_gets_clips_and_the_results_are_those_of_one(checkpoint, tmp_path):
    """Three CPU devices made by XLA; the test's own process has one."""
    script = tmp_path / "run.py"
    script.write_text(
        "import sys, pathlib, collections\n"
        "import jax\n"
        "from siamjax import api\n"
        "from siamjax.datasets import registry, synthetic\n"
        "from siamjax.evaluation import batched\n"
        "synthetic.CLIPS, synthetic.LENGTH = 5, 6\n"
        "benchmark = registry.load('synthetic')\n"
        "used = collections.Counter()\n"
        "follow = batched.track_clips\n"
        "def spy(model, config, variables, clips, **settings):\n"
        "    leaf = jax.tree.leaves(variables)[0]\n"
        "    used[str(leaf.devices())] += len(clips)\n"
        "    return follow(model, config, variables, clips, **settings)\n"
        "batched.track_clips = spy\n"
        "out = pathlib.Path(sys.argv[2])\n"
        "failed = batched.run(benchmark, 't', *api.load_variables(sys.argv[1]), out, 2)\n"
        "print(failed, len(used), sum(used.values()))\n"
    )
    printed = {}
    for devices in (1, 3):
        environment = os.environ | {
            "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
            "PYTHONPATH": str(ROOT),
        }
        done = subprocess.run(
            [sys.executable, script, checkpoint, tmp_path / str(devices)],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        printed[devices] = done.stdout.strip()
    assert printed == {1: "[] 1 5", 3: "[] 3 5"}
    paths = sorted((tmp_path / "1" / "results" / "t").glob("*.txt"))
    assert len(paths) == 5
    for path in paths:
        found = np.loadtxt(tmp_path / "3" / "results" / "t" / path.name, delimiter=",")
        # XLA gives each device fewer threads, and adds in another order
        np.testing.assert_allclose(found, np.loadtxt(path, delimiter=","), atol=1e-3)


def test_a_batch_with_a_clip_that_fails_loses_that_clip_alone(clips, tiny, tmp_path):
    """Before: with `--batch=2` "3.png: not a readable image" ended the evaluation, and the batch's
    other clip was lost."""

    class Damaged:
        def __init__(self, frames):
            self.frames = frames

        def __len__(self):
            return len(self.frames)

        def __getitem__(self, i):
            if i == 3:
                raise UserError("3.png: not a readable image")
            return self.frames[i]

    first, second = clips.sequences
    broken = dataclasses.replace(first, frames=Damaged(first.frames))
    both = dataclasses.replace(clips, sequences=(broken, second))
    (failed,) = batched.run(both, "t", *tiny, tmp_path, 2)
    assert str(failed) == f"t on {first.name}: 3.png: not a readable image"
    assert Store(tmp_path / "results", clips.dataset).done("t", second)
    assert not Store(tmp_path / "results", clips.dataset).done("t", first)


def test_a_network_of_nan_is_named_in_batches_too(clips, tiny, tmp_path):
    """Before: `siamjax eval --batch=2` wrote rows of `nan,nan,nan,nan` and scored them."""
    nan = jax.tree.map(lambda leaf: np.full_like(leaf, np.nan), tiny.variables)
    failed = batched.run(clips, "t", tiny.config, nan, tmp_path, 2)
    assert [each.sequence for each in failed] == [s.name for s in clips.sequences]
    assert "not finite" in str(failed[0])
