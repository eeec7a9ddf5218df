"""docs/extending.md is true: each addition is one new file and one line in a table, and works.

The examples of the page are put into a copy of the source, and what users would call is run there.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text()
SECTIONS = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
BLOCK = r"```python\n(.*?)```"


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A copy of the source with every example in it."""
    copy = tmp_path_factory.mktemp("copy")
    for folder in ("siamjax", "configs", "data_prep"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, copy / folder, ignore=ignored)
    for text in SECTIONS.values():
        add(copy, text)
    return copy


def add(copy: Path, text: str) -> None:
    """Writes a section's new files, and its line into its table."""
    files = re.findall(rf"(?:New file|uses it,)\s`([\w/.]+)`[^`]*\n\n{BLOCK}", text, re.S)
    for name, content in files:
        assert not (copy / name).exists(), name
        (copy / name).write_text(content)
    lines = re.findall(r"One line in `(\w+)` of `([\w/.]+)`:\n\n```\n(.*?)```", text, re.S)
    for table, name, line in lines:
        assert line.count("\n") == 1
        before = (copy / name).read_text()
        after, count = re.subn(rf"^{table}\b.*[{{(].*\n", rf"\g<0>    {line}", before, flags=re.M)
        assert count == 1, (table, name)
        (copy / name).write_text(after)


def run(source: Path, *arguments: str) -> str:
    """Runs python in the copy; its output."""
    environment = os.environ | {"PYTHONPATH": str(source), "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=source, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def clips(source) -> Path:
    """A tree in the layout of the page's benchmark: a square that moves 2 px a frame."""
    for video in ("a", "b"):
        folder = source / "data" / "Clips" / video / "frames"
        folder.mkdir(parents=True)
        rows = []
        for i in range(4):
            frame = np.zeros((48, 64, 3), np.uint8)
            frame[10:20, 10 + 2 * i : 20 + 2 * i] = 255
            cv2.imwrite(str(folder / f"{i + 1:04d}.jpg"), frame)
            rows.append(f"{11 + 2 * i},11,10,10\n")
        (folder.parent / "boxes.txt").write_text("".join(rows))
    return source / "data" / "Clips"


def test_every_kind_is_there():
    kinds = {"measure", "benchmark", "label format", "study", "command", "backbone"}
    assert {f"A {kind}" for kind in kinds} <= SECTIONS.keys()
    for title, text in SECTIONS.items():
        complete = title not in {"A tracker to compare with", "A form of result files"}
        assert text.count("One line in") == complete, title


def test_a_benchmark_and_a_measure(source, clips):
    evaluate = ("-m", "siamjax", "eval", "--dataset=Clips", f"--data_root={clips}")
    printed = run(source, *evaluate, "--baselines=static", "--out=out")
    assert "Clips: 2 of 2 sequences" in printed
    assert "success AUC" in printed
    script = (
        "import dataclasses; from pathlib import Path;"
        "from siamjax.datasets import registry; from siamjax.evaluation import report, scoring;"
        f"b = registry.load('Clips', {str(clips)!r});"
        "b = dataclasses.replace(b, dataset=dataclasses.replace(b.dataset, measures='gap'));"
        "scores = scoring.score(b, {'static': Path('out/results/static')});"
        "report.write('gap', scores, b, {}); print(report.terminal(scores))"
    )
    printed = run(source, "-c", script)
    assert "mean gap (px)" in printed
    assert "3.0" in printed  # of 0, 2, 4, 6
    for file in ("table.md", "table.tex", "report.html"):
        assert "mean gap (px)" in (source / "gap" / file).read_text()
    assert "static,gap,3.0," in (source / "gap" / "trackers.csv").read_text()
    assert list((source / "gap" / "plots").glob("*.svg"))


def test_a_label_format(source, tmp_path):
    script = (
        "from siamjax.media import labels;"
        "from siamjax.media.tracks import Row, Tracks;"
        "rows = [Row(0, 0, 1.0, 2.0, 3.0, 4.0, 1.0, 0.0, False)];"
        "print(labels.text('centres', Tracks(rows, [[1, 2, 3, 4]], 'v', 25.0, 'c')))"
    )
    assert run(source, "-c", script) == "2.50,4.00\n\n"
    (tmp_path / "boxes.csv").write_text("frame,target,x,y,w,h\n0,0,1,2,3,4\n")
    convert = ("labels", str(tmp_path / "boxes.csv"), "--to=centres", f"--out={tmp_path / 'o'}")
    run(source, "-m", "siamjax", *convert)
    assert (tmp_path / "o" / "boxes.txt").read_text() == "2.50,4.00\n"
    script = (  # before: an IndexError
        "from siamjax.media.labels import Video, contents;"
        "print(contents([Video('v', [])], 'centres'))"
    )
    assert run(source, "-c", script) == "{'v.txt': ''}\n"


def test_a_command(source, clips):
    assert run(source, "-m", "siamjax", "count", str(clips / "a" / "frames")) == "4\n"
    assert "the frames of a video" in run(source, "-m", "siamjax", "--help")


def test_a_study(source):
    study = ("-m", "siamjax", "study", "boxes", "--workdir=boxes", "--clips=1", "--dry_run")
    printed = run(source, *study, "--weights=1.2,3", "--seeds=2")
    assert "4 runs, 4 trainings, 4 of them to be done" in printed
    assert "boxes, 3, seed 1: to do" in printed


def test_a_data_set_to_train_on(source, tmp_path):
    (tmp_path / "boxes").mkdir()
    (tmp_path / "boxes" / "v.txt").write_text("1,2,30,40\n")
    (tmp_path / "videos" / "v").mkdir(parents=True)
    image = np.full((60, 80, 3), 9, np.uint8)
    cv2.imwrite(str(tmp_path / "videos" / "v" / "000000.jpg"), image)
    prepare = ("-m", "data_prep", "mine", f"--source={tmp_path}", "--check")
    assert "nothing is missing" in run(source, *prepare)


def test_a_backbone_is_inspected(source):
    """Before: `siamjax inspect configs/plain.py` ended with KeyError: 'plain', of PySOT's names;
    of the normalisations the first alone was counted with its convolution."""
    printed = run(source, "-m", "siamjax", "inspect", "configs/plain.py")
    assert re.search(r"^backbone/conv4 +\d+x\d+x64 +8 +18,560 ", printed, re.MULTILINE)
    assert "backbone/bn" not in printed
    assert "tensors" not in printed


def test_a_backbone_trains_and_is_evaluated(source):
    run(source, "-m", "data_prep", "synthetic", "--out=shards", "--videos=2", "--length=8")
    small = {
        "data.sources.synthetic.path": "shards",
        "data.pairs_per_epoch": 4,
        "data.workers": 0,
        "train.batch_size": 2,
        "train.epochs": 2,
    }
    fields = [f"--config.{name}={value}" for name, value in small.items()]
    run(source, "-m", "siamjax", "train", "--config=plain", "--workdir=plain", *fields)
    evaluate = ("-m", "siamjax", "eval", "--dataset=synthetic", "--limit=1", "--out=scores")
    printed = run(source, *evaluate, "--checkpoint=plain", "--name=plain")
    assert re.search(r"^plain +\d\.\d{3}", printed, re.MULTILINE)
    assert "plain" in (source / "scores" / "report.html").read_text()
