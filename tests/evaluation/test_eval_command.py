import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from siamjax.commands import eval as command
from siamjax.errors import UserError
from siamjax.evaluation import specs

ROOT = Path(__file__).resolve().parents[2]


def run_eval(*flags, cwd=None):
    return subprocess.run(
        [sys.executable, str(ROOT / "run_eval.py"), *flags],
        capture_output=True,
        text=True,
        cwd=cwd or ROOT,
    )


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--dataset=OTB110"], "did you mean OTB100"),
        (["--dataset=OTB100", "--data_root=/no/such/folder"], "/no/such/folder"),
        (["--dataset=synthetic"], "came without weights; give --checkpoint"),
        (["--dataset=synthetic", "--baselines=nonsense", "--limit=1"], "nonsense"),
        (["--dataset=synthetic", "--limit=0", "--baselines=static"], "--limit=0"),
        (["--dataset=synthetic", "--realtime=0", "--baselines=static"], "--realtime=0"),
        (["--dataset=synthetic", "--protocol=x", "--baselines=static"], "--protocol=x"),
        (["--dataset=synthetic", "--sequences=x", "--baselines=static"], "no sequence 'x'"),
        (["--dataset=synthetic", "--checkpoint=/no/such/file"], "no such file"),
        (["--dataset=synthetic", "--results=/no/such"], "no such folder"),
        (["--dataset=synthetic", "--baselines=static", "--convention=x"], "choose one of pysot"),
        (
            [
                "--dataset=synthetic",
                "--baselines=static",
                "--convention=otb",
                "--protocol=longterm",
            ],
            "--convention=otb is about one-pass figures",
        ),
        (["--dataset=synthetic", "--results=/tmp", "--baselines=static"], "leave out"),
        (
            ["--dataset=Synthetic", "--data_root=x", "--baselines=static"],
            "--data_root=x: --dataset=synthetic is made without files; leave out --data_root",
        ),
        (["--dataset=synthetic", "--baselines=static", "--submission"], "synthetic has no server"),
    ],
)
def test_bad_input_is_one_message(flags, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("siamjax.remote.weights.ASSETS", tmp_path / "empty")
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    with pytest.raises(UserError, match=message):
        command.run(parser.parse_args(flags))
    assert not list(tmp_path.iterdir())


def test_a_missing_benchmark_is_one_screen_and_exit_code_2(tmp_path):
    done = run_eval("--dataset=VOT2018", cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) < 24
    for needed in ("groundtruth.txt", "https://", str(tmp_path / "data"), "--dataset=synthetic"):
        assert needed in done.stderr


def test_synthetic_works_at_once_and_results_are_scored_again(tmp_path):
    out = tmp_path / "out"
    flags = ["--dataset=synthetic", "--sequences=clip000"]
    done = run_eval(*flags, "--baselines=static", f"--out={out}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "subset of synthetic: 1 of 16 sequences" in done.stdout
    first = json.loads((out / "scores.json").read_text())
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    again = [f"--results={out / 'results'}", f"--out={tmp_path / 'again'}"]
    command.run(parser.parse_args([*flags, *again]))
    second = json.loads((tmp_path / "again/scores.json").read_text())
    assert second["per_sequence"] == first["per_sequence"]


def test_scoring_needs_no_jax():
    code = (
        "import sys; from siamjax.commands import eval; from siamjax.datasets import registry;"
        "from siamjax.evaluation import scoring, report, page, plots;"
        "assert not {'jax', 'flax', 'tensorflow'} & set(sys.modules), 'jax was imported'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_times_of_a_sequence_are_its_own(tmp_path):
    """Before: by `glob(name + "*")` David's frames/s were also those of David2, 18 for 100."""
    times = tmp_path / "times/a"
    times.mkdir(parents=True)
    for name in ("David", "David2", "David_002", "clip [720p]", "car10"):
        (times / f"{name}.txt").write_text("0.1,0.1\n")
    from siamjax.evaluation import scoring

    found = scoring._time_files(times, {"David", "clip [720p]", "car1"})
    assert [path.stem for path in found] == ["David", "David_002", "clip [720p]"]


@pytest.mark.reference
@pytest.mark.parametrize("tracker, auc", [("SiamRPN++", 0.696), ("DaSiamRPN", 0.658)])
def test_toolkit_published_otb_boxes(reference, tmp_path, tracker, auc):
    from siamjax.datasets import registry
    from siamjax.evaluation import scoring

    root = reference / "data/published/OTB100"
    benchmark = registry.load("OTB100", root, images=False)
    scores = scoring.score(benchmark, {tracker: root / "results" / tracker})
    assert scores.sequences == (100, 100)
    assert scores.dataset == "OTB100"
    assert round(scores.trackers[tracker]["success_auc"], 3) == auc


@pytest.mark.reference
@pytest.mark.parametrize(
    "tracker, figures",
    [("DaSiamRPN", (0.586, 0.276, 0.383)), ("NanoTrackV3", (0.565, 0.164, 0.449))],
)
def test_toolkit_published_vot_boxes(reference, tracker, figures):
    from siamjax.datasets import registry
    from siamjax.evaluation import scoring

    root = reference / "data/published/VOT2018"
    benchmark = registry.load("VOT2018", root, images=False)
    scores = scoring.score(benchmark, {tracker: root / "results" / tracker})
    assert scores.dataset == "VOT2018"
    row = scores.trackers[tracker]
    found = tuple(round(row[name], 3) for name in ("accuracy", "robustness", "eao"))
    assert found == figures


def test_a_killed_run_goes_on_to_the_same_files(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("first", "second", "third"):
        (tmp_path / name).mkdir()
        for i in range(400):
            image = rng.integers(0, 255, (48, 64, 3)).astype(np.uint8)
            cv2.imwrite(str(tmp_path / name / f"{i:04d}.bmp"), image)
        (tmp_path / name / "boxes.txt").write_text("10,12,16,12\n" * 400)
    flags = ["--dataset=folder", f"--data_root={tmp_path}", "--baselines=template_matching"]
    whole = run_eval(*flags, f"--out={tmp_path / 'whole'}")
    assert whole.returncode == 0, whole.stderr
    out = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "run_eval.py"), *flags, f"--out={out}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
    )
    folder = out / "results/template_matching"
    deadline = time.monotonic() + 120
    while not (folder / "first.txt").is_file() and time.monotonic() < deadline:
        time.sleep(0.002)
    process.kill()
    process.wait()
    assert (folder / "first.txt").is_file()
    assert not (folder / "third.txt").is_file()
    resumed = run_eval(*flags, f"--out={out}")
    assert resumed.returncode == 0, resumed.stderr
    names = {path.name for path in folder.iterdir()}
    videos = ("first", "second", "third")
    kinds = (".txt", "_confidence.value")  # boxes and scores
    assert names == {video + kind for video in videos for kind in kinds}
    for name in names:
        expected = tmp_path / "whole/results/template_matching" / name
        assert (folder / name).read_bytes() == expected.read_bytes()


def test_a_demo_and_its_training_folder_are_one_checkpoint(tmp_path):
    (tmp_path / "train" / "checkpoints" / "7").mkdir(parents=True)
    (tmp_path / "train" / "config.json").write_text("{}")
    (tmp_path / "train" / "checkpoints" / "7" / "weights").write_text("w")
    identity = specs.checkpoint_identity(tmp_path)
    assert identity == specs.checkpoint_identity(tmp_path / "train")
    (tmp_path / "report.html").write_text("made later")
    assert identity == specs.checkpoint_identity(tmp_path)
    (tmp_path / "train" / "checkpoints" / "7" / "weights").write_text("other")
    assert identity != specs.checkpoint_identity(tmp_path)
