"""Fine-tuning on own videos: the split, the plan, the table, the command at its smallest."""

import dataclasses
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.folder import Folder
from data_prep.parts import Options
from data_prep.preparation import Preparation
from siamjax import api
from siamjax.cli import dispatch
from siamjax.config import load_config, to_json
from siamjax.errors import UserError
from siamjax.finetuning import plan, run, table
from siamjax.measures.result import Result
from siamjax.models import build, init_variables, weights

ROOT = Path(__file__).resolve().parents[2]
QUICK = ["--config.finetune.most=20", "--config.train.batch_size=2", "--config.data.workers=0"]


@given(st.integers(2, 30), st.floats(0, 1), st.integers(0, 99))
def test_split(count, share, seed):
    names = [f"v{i}" for i in range(count)]
    trained, left_out = plan.split(names, share, seed)
    assert sorted(trained + left_out) == sorted(names)
    assert len(left_out) == min(count - 1, max(1, int(np.ceil(share * count))))
    assert plan.split(names[::-1], share, seed) == (trained, left_out)


def test_nothing_is_left_out_of_one_video():
    assert plan.split(["only"], 0.2, 0) == (("only",), ())


def test_splits_differ_by_seed():
    names = list(map(str, range(10)))
    assert len({plan.split(names, 0.2, seed) for seed in range(8)}) > 3


def test_a_plan_is_read_back_and_another_is_refused(tmp_path):
    assert plan.read(tmp_path) is None
    first = plan.Plan("a", "w.npz", False, 10.0, 0, ("x", "y"), ("z",), {"x": "hash"}, 5, 1.5, 40)
    first.write(tmp_path)
    assert plan.read(tmp_path) == first
    longer = dataclasses.replace(first, minutes=20.0, frames=0, tracking=0.0, steps=0)
    plan.check_same(first, longer, tmp_path)
    for change in (
        {"checkpoint": "v.npz"},
        {"backbone": True},
        {"labels": {"x": "other"}},
        {"seed": 1},
    ):
        (field,) = change
        with pytest.raises(UserError, match=f"began with {field}.*another --out"):
            plan.check_same(first, dataclasses.replace(first, **change), tmp_path)
    (tmp_path / plan.FILE).write_text("{}")
    with pytest.raises(UserError, match="not a plan"):
        plan.read(tmp_path)


def test_another_config_is_refused_as_another_seed_is(tmp_path):
    """Before: a finished `siamjax finetune` called with --config.train.lr_start=0.1 printed the
    result of the run before."""
    given = json.loads(to_json(load_config("finetune")))
    first = plan.Plan("a", "w.npz", False, 10.0, 0, config=given)
    first.write(tmp_path)
    assert plan.read(tmp_path) == first
    for field, refused in (("train.lr_start=0.1", True), ("data.workers=3", False)):
        other = json.loads(to_json(load_config("finetune", [f"--config.{field}"])))
        new = dataclasses.replace(first, minutes=3.0, config=other)
        if refused:
            with pytest.raises(
                UserError, match=r"another config \(train\.lr_start: 0\.002 -> 0\.1\)"
            ):
                plan.check_same(first, new, tmp_path)
        else:
            plan.check_same(first, new, tmp_path)
        plan.check_same(dataclasses.replace(first, config={}), new, tmp_path)  # of an older version


def test_a_map_of_presence_is_not_taken_over(tmp_path):
    """It was fitted on other weights; the constants are taken."""
    checkpoint = str(api.default_checkpoint())
    saved = api.load_variables(checkpoint)[0]
    stored = saved.tracker
    new = plan.Plan("mine", checkpoint, False, 10.0, 0, ("x",))
    config = run._experiment(new, tmp_path, load_config("finetune"), saved)
    assert stored.presence
    assert not config.tracker.presence
    assert (config.tracker.presence_low, config.tracker.presence_high) == (0.5, 0.8)
    assert (config.tracker.lr, config.tracker.exact_windows) == (stored.lr, True)


def test_a_folder_holds_one_training(tmp_path, videos, checkpoint):
    """Before: `run_train.py --workdir=X` trained in the folder of a `siamjax finetune --out=X`, and
    --checkpoint=X was finetune's network."""
    tuned, demo, both = tmp_path / "tuned", tmp_path / "demo", tmp_path / "both"
    tuned.mkdir()
    plan.Plan("a", "w.npz", False, 10.0, 0).write(tuned)
    (demo / "train" / "checkpoints").mkdir(parents=True)
    for folder in (tuned, demo):
        with pytest.raises(UserError, match=f"{folder.name}: a run of siamjax finetune or demo"):
            dispatch(["train", "--config=demo", f"--workdir={folder}"])
        assert not (folder / "config.json").exists()
    (both / "train" / "checkpoints").mkdir(parents=True)
    assert api.training_folder(both) == both / "train"
    (both / "checkpoints").mkdir()
    with pytest.raises(
        UserError, match=r"both: two trainings, .*both/checkpoints and .*both/train;"
    ):
        api.training_folder(both)
    command = ["finetune", str(videos), f"--checkpoint={checkpoint}", f"--out={both}"]
    with pytest.raises(UserError, match=r"both: holds something else; give another"):
        dispatch(command)


def test_too_little_time_names_the_minutes_that_do(tmp_path, videos, checkpoint, monkeypatch):
    """20 steps of 16 pairs at 4 pairs/s are 80 s of training, 89 with what is kept free of it; with
    60 % of all time for it: 2.5 minutes. Before: "give more minutes", after the tracking."""
    new = plan.Plan(str(videos), str(checkpoint), False, 1.0, 0)
    tuning = run.Finetuning(videos, tmp_path / "run", new)
    (tmp_path / "run").mkdir()
    monkeypatch.setattr(tuning, "started", time.monotonic())
    tuning._keep(speed=4.0)
    with pytest.raises(
        UserError, match=r"time for 10 steps at 4\.0 pairs/s, 20 are needed.*=3 res"
    ):
        tuning._steps()
    tuning._keep(tracking=12.0)
    with pytest.raises(UserError, match=r"time for 0 steps.*--minutes=2 res"):
        tuning._steps()
    kept = plan.read(tmp_path / "run")
    assert (kept.speed, kept.steps) == (4.0, 0)
    again = run.Finetuning(videos, tmp_path / "run", dataclasses.replace(new, minutes=2.0))
    assert again._steps() == 20


def test_the_least_steps_are_made_when_time_is_over(tmp_path, videos, checkpoint, monkeypatch):
    """Before: a training that had come to step 1 of 50 was measured as any other."""
    new = plan.Plan(str(videos), str(checkpoint), False, 1.0, 0)
    tuning = run.Finetuning(videos, tmp_path / "run", new)
    (tmp_path / "run").mkdir()
    monkeypatch.setattr(tuning, "started", time.monotonic() - 60)
    tuning._keep(speed=4.0, steps=100, tracking=1.0)
    monkeypatch.setattr(run.index, "read_manifest", lambda _: {"skipped": {}})
    monkeypatch.setattr(tuning, "_benchmark", lambda: None)
    said = {}

    def made(stopped):
        def train(*_, **options):
            said.update(options)
            return {"stopped": stopped}

        monkeypatch.setattr(run, "train", train)
        tuning.run(lambda *_: None, lambda _: None)

    with pytest.raises(KeyboardInterrupt):  # SIGTERM
        made(True)
    assert not tuning.plan.finished
    made(False)  # by the end of its time
    assert tuning.plan.finished
    assert said["least"] == 20
    assert said["until"] < time.monotonic()


def test_videos_without_labels_are_left_aside_by_name(tmp_path, videos, checkpoint):
    own = tmp_path / "own"
    shutil.copytree(videos, own)
    (own / "dog.csv").unlink()
    new = plan.Plan(str(own), str(checkpoint), False, 1.0, 0)
    said = []

    def stop(names, place, crops):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.Finetuning(own, tmp_path / "run", new).run(stop, said.append)
    assert said[0] == "left aside, less than two boxes or no frames: dog"
    assert said[1].startswith("1/4 labels: 1 video to train on, 1 not")


def test_boxes_that_give_no_crop_are_counted(tmp_path, videos, checkpoint, monkeypatch):
    """Before: nothing said that a part of the labels was not trained on."""
    own, out = tmp_path / "own", tmp_path / "run"
    shutil.copytree(videos, own)
    for name in ("cat", "dog", "fox"):
        path = own / f"{name}.csv"
        path.write_text(path.read_text().replace("\n3,0,", "\n3,0,900"))

    def stop(*_):
        raise KeyboardInterrupt

    def prepare(names, place, crops):
        options = Options(crop=crops.stored, exemplar=crops.exemplar, context=crops.context)
        Preparation(Folder(own, names), place, options).prepare(workers=1)

    monkeypatch.setattr(run.Finetuning, "_benchmark", stop)
    said = []
    with pytest.raises(KeyboardInterrupt):
        run.Finetuning(own, out, plan.Plan(str(own), str(checkpoint), False, 1.0, 0)).run(
            prepare, said.append
        )
    assert said[1] == "  look at cat, 0, frame 3: the box is outside of the frame"
    assert said[4] == "  and 3 more such places"
    assert said[5] == "  skipped, box is outside of the image: 2"  # of the two that are trained on


def scores(**gains):
    """Of two trackers: 0.5 before, 0.5 and the gain after."""
    rows = {
        tracker: {name: {"success_auc": 0.5 + sign * gain} for name, gain in gains.items()}
        for tracker, sign in (("before", 0), ("after", 1))
    }
    means = {
        tracker: {"success_auc": float(np.mean([row["success_auc"] for row in table.values()]))}
        for tracker, table in rows.items()
    }
    return Result(overlap="", trackers=means, per_sequence=rows)


def test_a_loss_is_printed_as_plainly_as_a_gain(tmp_path):
    gain = table.lines(scores(cat=0.1, dog=0.2, fox=0.3), "before", "after")
    assert gain[1].split() == ["cat", "0.500", "0.600", "+0.100"]
    assert gain[4].split() == ["mean", "0.500", "0.700", "+0.200"]
    assert gain[5].startswith("gain of 0.200, 95 % interval over 3 targets +0.100 to +0.300")
    assert "chance" not in gain[5]
    loss = table.lines(scores(cat=-0.1, dog=0.05), "before", "after")
    assert loss[3].split() == ["mean", "0.500", "0.475", "-0.025"]
    assert loss[4].startswith("loss of 0.025")
    assert loss[4].endswith("may be chance")
    alone = table.lines(scores(cat=-0.1), "before", "after")
    assert alone[-1].startswith("loss of 0.100 on one target: too little")
    table.write(tmp_path, scores(cat=0.25), "before", "after")
    written = json.loads((tmp_path / "finetune.json").read_text())
    assert written["targets"] == {"cat": {"before": 0.5, "after": 0.75}}
    assert written["interval_of_difference"] is None
    table.write(tmp_path, scores(cat=0.1, dog=0.2, fox=0.3), "before", "after")
    written = json.loads((tmp_path / "finetune.json").read_text())
    assert written["interval_of_difference"] == pytest.approx([0.1, 0.3])


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Three videos of 12 frames of a bright box that moves, one with two targets."""
    root = tmp_path_factory.mktemp("own")
    rng = np.random.default_rng(0)
    for k, name in enumerate(("cat", "dog", "fox")):
        (root / name).mkdir()
        scene = cv2.resize(rng.integers(0, 200, (8, 8, 3), np.uint8), (160, 120))
        rows = ["frame,track,left,top,width,height"]
        for i in range(12):
            frame = scene.copy()
            for target in range(2 if name == "fox" else 1):
                x, y = 20 + 4 * i, 20 + 10 * k + 40 * target
                cv2.rectangle(frame, (x, y), (x + 29, y + 19), (40, 250 - 200 * target, 250), -1)
                rows.append(f"{i},{target},{x},{y},30,20")
            cv2.imwrite(str(root / name / f"{i:04d}.png"), frame)
        (root / f"{name}.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A tiny network with random weights."""
    path = tmp_path_factory.mktemp("weights") / "tiny.npz"
    narrow = ["--config.model.width=0.05", "--config.model.levels=(2,)"]
    config = load_config("studies", [*narrow, "--config.model.adjust_channels=(4,)"])
    weights.save(path, config, init_variables(build(config), 0))
    return path


def test_chosen_videos_alone_are_a_source(videos):
    assert [video.name for video in Folder(videos, ("dog", "fox")).videos()] == ["dog", "fox"]
    assert [video.name for video in Folder(videos).videos()] == ["cat", "dog", "fox"]


def test_bad_input(videos, checkpoint, tmp_path):
    (tmp_path / "empty").mkdir()
    for arguments, message in (
        ([str(tmp_path / "none")], "none: no such folder; give that of your labelled videos"),
        ([str(tmp_path / "empty")], "no video"),
        ([str(videos), "--minutes=0"], "--minutes=0"),
        ([str(videos), "--minutes=inf"], "--minutes=inf: must be above 0"),
        ([str(videos), "--seed=-1"], "--seed=-1: must be at least 0"),
        ([str(videos), "--config=demo"], "experiment like configs/finetune"),
        ([str(videos), "--checkpoint=/none"], "no such checkpoint"),
    ):
        arguments += [] if "--checkpoint=/none" in arguments else [f"--checkpoint={checkpoint}"]
        with pytest.raises(UserError, match=message):
            dispatch(["finetune", *arguments, f"--out={tmp_path / 'out'}"])
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").write_text("precious")
    with pytest.raises(UserError, match=r"out: cannot be written .not a folder"):
        dispatch(
            ["finetune", str(videos), f"--checkpoint={checkpoint}", f"--out={tmp_path / 'out'}"]
        )
    assert (tmp_path / "out").read_text() == "precious"


@pytest.mark.slow
def test_the_whole_is_killed_and_resumed(videos, checkpoint, tmp_path, capsys):
    out = tmp_path / "run"
    command = ["finetune", str(videos), f"--checkpoint={checkpoint}", f"--out={out}", *QUICK]
    process = subprocess.Popen(
        [sys.executable, "-m", "siamjax", *command], cwd=ROOT, stderr=subprocess.PIPE
    )
    metrics = out / "train" / "metrics.jsonl"
    begun = time.monotonic()
    while not (metrics.is_file() and metrics.stat().st_size):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < begun + 500
        time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = plan.read(out)
    assert before.steps == 20
    dispatch(command)
    printed = capsys.readouterr().out
    assert plan.read(out).steps == 20
    (left,) = before.left_out
    found = json.loads((out / "finetune.json").read_text())
    assert all(name.split(".")[0] == left for name in found["targets"])
    assert "mean" in printed
    assert f"--checkpoint={out}\n" in printed
    assert (out / "labels.html").read_text().count("<figure>") == 12
    assert (out / "evaluation" / "report.html").is_file()
    assert api.load(out / "train").config.model.width == 0.05
    with pytest.raises(UserError, match="began with seed"):
        dispatch([*command, "--seed=1"])
    with pytest.raises(UserError, match=r"another config \(train\.lr_start"):
        dispatch([*command, "--config.train.lr_start=0.1"])
    dispatch([*command, "--minutes=77"])
    printed = capsys.readouterr().out.splitlines()
    assert "finished before, with --minutes=10: its result is shown" in printed
    steps = [line for line in printed if line[1:2] == "/"]
    assert len(steps) == 4
    assert all(line.endswith(": done before") for line in steps[1:])  # before: as if they began


@pytest.mark.slow
def test_one_video_tells_what_cannot_be_known(videos, checkpoint, tmp_path, capsys):
    own, out = tmp_path / "own", tmp_path / "run"
    shutil.copytree(videos / "cat", own / "cat")
    shutil.copy(videos / "cat.csv", own)
    dispatch(["finetune", str(own), f"--checkpoint={checkpoint}", f"--out={out}", *QUICK])
    assert "what the training gives on others is not known" in capsys.readouterr().out
    assert (out / "train" / "checkpoints").is_dir()
