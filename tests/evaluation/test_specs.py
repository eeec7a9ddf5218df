"""Trackers named by --tracker=[NAME=]SPEC."""

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from siamjax import cli, constants
from siamjax.errors import UserError
from siamjax.evaluation import baselines, specs, trackers

ROOT = Path(__file__).resolve().parents[2]
write_nano = runpy.run_path(str(Path(__file__).with_name("nano_files.py")))["write"]
PAGE = (ROOT / "docs" / "evaluation.md").read_text()
(MINE,) = re.findall(r"```python\n(import cv2\n.*?)```", PAGE, re.DOTALL)  # a tracker of a user's
OTHERS = """

def factory(side="3"):
    tracker = Mine()
    tracker.side = side
    return tracker


class NoUpdate:
    def init(self, frame, box):
        pass


def gives_nothing():
    return None


number = 3
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A module of a user's in the current folder; its name."""
    name = f"mine_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(MINE + OTHERS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield name
    sys.modules.pop(name, None)


def square(folder: Path, videos=2, frames=5) -> Path:
    """Videos of a coloured square that moves 3 px a frame."""
    for number in range(videos):
        video = folder / f"v{number}"
        video.mkdir(parents=True)
        rows = []
        for i in range(frames):
            frame = np.full((90, 120, 3), 60, np.uint8)
            x = 20 + 3 * i
            frame[30:54, x : x + 30] = (30, 200, 90)
            frame[30:36, x : x + 6] = 0  # a corner tells where it is
            cv2.imwrite(str(video / f"{i}.png"), frame)
            rows.append(f"{x},30,30,24\n")
        (video / "groundtruth.txt").write_text("".join(rows))
    return folder


def test_built_in_names():
    for text in ("static", "template_matching", "mil", "MIL"):
        spec = specs.parse(text)
        assert spec.name == text
        assert spec.checkpoint is None
        assert type(spec.make()) is type(baselines.make(text))
    named = specs.parse("a_name=static")
    assert named.name == "a_name"
    assert named.identity == specs.parse("static").identity != specs.parse("mil").identity


def test_a_checkpoint_by_its_path_and_the_bundled_one(checkpoint, tmp_path, monkeypatch):
    spec = specs.parse(str(checkpoint))
    assert (spec.name, spec.checkpoint) == ("tiny", str(checkpoint))
    assert specs.parse(f"x={checkpoint}").name == "x"
    assert specs.of_checkpoint(checkpoint, "tiny") == spec or spec.identity
    run = tmp_path / "runs" / "mine=2"
    (run / "checkpoints" / "5").mkdir(parents=True)
    assert specs.parse(str(run)).name == "mine=2"
    monkeypatch.setattr("siamjax.remote.weights.ASSETS", checkpoint.parent)
    bundled = specs.parse("bundled")
    assert (bundled.name, bundled.identity) == ("bundled", spec.identity)


def test_a_folder_without_a_checkpoint_is_refused_at_once(checkpoint, tmp_path):
    """Before: after the trackers named before it had run."""
    (tmp_path / "begun" / "checkpoints").mkdir(parents=True)
    with pytest.raises(UserError, match=r"begun: no checkpoint here; give the folder of a train"):
        trackers.select(checkpoint, [f"new={tmp_path / 'begun'}"])


def test_constants_in_brackets_go_before_those_for_all(checkpoint):
    spec = specs.parse(f"x={checkpoint}[lr=0.1;penalty_k=0.3]", {"lr": 0.2, "instance": 287.0})
    assert spec.constants == {"instance": 287.0, "lr": 0.1, "penalty_k": 0.3}
    assert spec.make.args == (str(checkpoint), dict(spec.constants))
    assert spec.identity != specs.parse(str(checkpoint)).identity
    given = re.escape(f"--tracker={checkpoint}[rl=0.1]")  # before: "--set rl=0.1: no constant"
    with pytest.raises(UserError, match=f"^{given}: no constant 'rl'; did you mean lr"):
        specs.parse(f"{checkpoint}[rl=0.1]")
    with pytest.raises(UserError, match=r"tiny.npz\[lr=7\]: give lr as a number from 0 to 1$"):
        specs.parse(f"{checkpoint}[lr=7]")


def test_a_class_and_a_factory_in_a_file_of_the_current_folder(mine):
    spec = specs.parse(f"{mine}:Mine")
    assert spec.name == "Mine"
    assert type(spec.make()).__name__ == "Mine"
    assert specs.parse(f"other={mine}:factory[side=3]").name == "other"
    assert specs.parse(f"{mine}:factory[side=4]").make().side == "4"
    assert spec.code
    changed = Path(f"{mine}.py")
    changed.write_text(changed.read_text() + "\n# more\n")
    assert specs.parse(f"{mine}:Mine").code != spec.code
    assert specs.parse(f"{mine}:Mine").identity == spec.identity


@pytest.mark.parametrize(
    "text, message",
    [
        ("{}:Mime", r"no 'Mime' in .*\.py; did you mean Mine[?]"),
        ("no_such_module:Mine", "no module no_such_module in the current folder"),
        ("{}:NoUpdate", r"has init\(frame, box\) and update\(frame\); this one lacks update"),
        ("{}:number", "name a class, or a function"),
        ("statik", "unknown tracker 'statik'.*did you mean static[?] available: bundled, static"),
        ("x=runs/none", "unknown tracker 'runs/none', and no such file or folder"),
        ("static[net=x]", "static takes no model files"),
        ("static[net]", r"give options as \[NAME=VALUE;NAME=VALUE\]"),
        ("nano", "Nano needs model files: backbone=FILE, neckhead=FILE"),
        ("nano[backbone=a.onnx;neckhead=b.onnx]", "a.onnx: no such model file"),
        ("penalty_k=0.1", "constants are given by --set penalty_k=0.1"),
        # before: "unknown tracker", or "no module own.py"
        ("nano[backbone=a.onnx", r"^--tracker=nano\[.* give options as \[NAME=VALUE"),
        ("{}.py:Mine", r"^--tracker=\w+.py:Mine: a Python file is .*: --tracker=\w+:Mine$"),
        ("{}.py", r": --tracker=\w+:CLASS$"),
        ("{}", r": --tracker=\w+:CLASS$"),
        ("", "^--tracker=: give a tracker; --tracker=help lists them"),
        # before: a TypeError on each sequence, without the flag
        ("{}:factory[siz=3]", r"factory\[siz=3\]: got .* argument 'siz'; it takes \(side.*\)$"),
    ],
)
def test_bad_specs_are_one_line(mine, text, message):
    with pytest.raises(UserError, match=message) as caught:
        specs.parse(text.format(mine))
    assert "\n" not in str(caught.value)


def test_an_unknown_baseline_is_of_its_flag(tmp_path, monkeypatch):
    """Before: "--tracker=foo: unknown tracker 'foo'"."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"^--baselines=foo: unknown tracker 'foo'"):
        cli.dispatch(["eval", "--dataset=synthetic", "--baselines=static,foo"])


@pytest.mark.parametrize("protocol", ["ope", "multistart"])
def test_repetitions_without_an_effect_are_refused(tmp_path, monkeypatch, protocol):
    """Before: fifteen runs, each in the place of the one before."""
    monkeypatch.chdir(tmp_path)
    flags = ["--dataset=synthetic", "--limit=1", "--baselines=static", f"--protocol={protocol}"]
    with pytest.raises(UserError, match=r"^--repetitions=15: has no effect on synthetic"):
        cli.dispatch(["eval", *flags, "--repetitions=15", "--out=out"])
    assert not (tmp_path / "out").exists()


def test_modules_that_cannot_be_imported(mine):
    Path("needs.py").write_text("import no_such_package\n")
    Path("broken.py").write_text("def f(:\n")
    with pytest.raises(UserError, match="needs needs no_such_package"):
        specs.parse("needs:Mine")
    with pytest.raises(UserError, match="broken:Mine: SyntaxError"):
        specs.parse("broken:Mine")
    with pytest.raises(UserError, match="this one lacks init and update"):
        specs.parse(f"{mine}:gives_nothing").make()


def test_options_that_name_files_count_with_their_content(mine, tmp_path):
    (tmp_path / "x.bin").write_bytes(b"1")
    one = specs.parse(f"{mine}:factory[side=x.bin]").identity
    (tmp_path / "x.bin").write_bytes(b"2")
    assert specs.parse(f"{mine}:factory[side=x.bin]").identity != one


def test_help_lists_every_tracker(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.dispatch(["eval", "--tracker=help"])
    assert caught.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    names = [line.split()[0] for line in lines[1:]]
    assert names == [*specs.BUILT_IN, "PATH", "module:factory"]
    for name, line in zip(names, lines[1:]):
        opencv = baselines.opencv_name(name)
        lacking = opencv is not None and opencv not in baselines.opencv_trackers()
        assert ("not in this OpenCV" in line) == lacking
    for name in specs.BUILT_IN:
        assert name in ("bundled", *baselines.OWN) or baselines.opencv_name(name)


def test_two_trackers_of_one_name(mine, checkpoint):
    with pytest.raises(UserError, match=r"--tracker=static: two .*--tracker=NAME=static$"):
        trackers.select(checkpoint, ["static"], "static")
    # before: "--name=a: two trackers are called so; ... --tracker=NAME=a=static"
    with pytest.raises(UserError, match=r"^--tracker=a=static: two .* called a;.*=NAME=static$"):
        trackers.select(None, ["a=mil", "a=static"])
    with pytest.raises(UserError, match=r"^--baselines=mil: two .* called mil; .*=NAME=mil$"):
        trackers.select(None, ["mil"], baselines=["mil"])
    with pytest.raises(UserError, match=rf"Mine: two .*NAME={mine}:Mine$"):
        trackers.select(None, ["static", f"{mine}:Mine", f"{mine}:Mine"])
    found = trackers.select(checkpoint, [f"b={mine}:Mine", "static"], "a")
    assert [spec.name for spec in found] == ["a", "b", "static"]


def test_flags_without_effect(tmp_path, monkeypatch):
    """Before: `siamjax eval --baselines=static --tracker=lr=0.3` ran as without."""
    monkeypatch.chdir(tmp_path)
    known = ", ".join(constants.RANGES)
    with pytest.raises(UserError, match=f"--set lr: has no effect on static; .*{known}"):
        cli.dispatch(["eval", "--dataset=none", "--tracker=static", "--set=lr=0.3"])
    with pytest.raises(UserError, match="leave out --tracker, --checkpoint, --baselines, --set"):
        cli.dispatch(["eval", "--dataset=none", "--results=.", "--set=lr=0.3"])
    chosen = trackers.select(None, ["static"])
    with pytest.raises(UserError, match="--batch: follows siamjax's own trackers"):
        trackers.run(None, tmp_path, chosen, batch=2)
    with pytest.raises(UserError, match="--realtime measures single frames"):
        trackers.run(None, tmp_path, chosen, batch=2, realtime=25)
    assert not list(tmp_path.iterdir())


def test_a_users_file_and_nanotracks_two_files_with_two_workers(tmp_path):
    """The command as a user gives it; the file of 15 lines lies beside the user."""
    assert len(MINE.splitlines()) <= 15
    (tmp_path / "tracker_of_mine.py").write_text(MINE)
    write_nano(tmp_path, side=32.0)
    square(tmp_path / "data")
    command = [sys.executable, str(ROOT / "run_eval.py"), "--dataset=folder", "--data_root=data"]
    nano = "--tracker=nano[backbone=backbone.onnx;neckhead=neckhead.onnx]"
    flags = ["--tracker=mine=tracker_of_mine:Mine", nano, "--workers=2", "--out=out"]
    done = subprocess.run([*command, *flags], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert scores["trackers"]["mine"]["success_auc"] == pytest.approx(20 / 21)
    assert scores["trackers"]["nano"]["precision_20"] == 1.0
    assert scores["sequences"] == [2, 2]


def test_names_that_are_no_folders():
    for text in (".hidden=static", "..=static"):
        with pytest.raises(UserError, match="cannot be a tracker's name"):
            trackers.select(None, [text])
