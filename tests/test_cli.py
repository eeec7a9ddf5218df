"""The commands as users call them: help, exit codes, and the whole demo at its smallest."""

import argparse
import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from siamjax import cli
from siamjax.arguments import Parser
from siamjax.cli import build_parser, dispatch
from siamjax.errors import UserError, importing

ROOT = Path(__file__).resolve().parents[1]

# a network and a run as small as they get
SMALLEST = [
    "--config.model.width=0.0625",
    "--config.model.adjust_channels=(4,)",
    "--config.data.pairs_per_epoch=8",
    "--config.data.workers=0",
    "--config.train.epochs=1",
    "--config.train.warmup_epochs=0",
    "--config.train.batch_size=4",
]


def command(*arguments):
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120
    )


def test_every_command_explains_itself():
    parser = build_parser()
    text = parser.format_help()
    for name in ("demo", "eval", "track", "train", "render", "export"):
        assert f"\n    {name}" in text
    (commands,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    assert {choice.dest for choice in commands._choices_actions} == set(commands.choices)
    for name, command in commands.choices.items():
        assert command.description, name
        assert all(a.help for a in command._actions), name


HELP = """
import sys
from siamjax import cli
try:
    cli.dispatch(sys.argv[1:])
except SystemExit:
    print("modules:", *sys.modules)
"""


@pytest.mark.parametrize(
    "arguments, commands",
    [
        (["--help"], set()),
        (["--version"], set()),
        (["track", "--help"], {"", ".flags", ".track", ".tracker_flags"}),
    ],
)
def test_only_the_chosen_command_is_imported(arguments, commands):
    modules = command("-c", HELP, *arguments).stdout.split("modules:")[1].split()
    assert {m.removeprefix("siamjax.commands") for m in modules if "siamjax.commands" in m} == (
        commands
    )
    assert not {"jax", "flax", "matplotlib", "numpy", "cv2", "av"} & set(modules)


GREET = """
DESCRIPTION = "Greets."

def add_arguments(parser):
    parser.add_argument("--name", default="you", help="whom")

def run(args):
    print(f"hello {args.name}")
    return 3
"""


def test_a_command_is_one_file_and_one_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "greet_command.py").write_text(GREET)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(cli.COMMANDS, "greet", ("greet_command", "says hello"))
    assert dispatch(["greet", "--name=all"]) == 3
    assert capsys.readouterr().out == "hello all\n"
    assert "says hello" in build_parser([]).format_help()
    with pytest.raises(UserError, match="unknown argument --size=3"):
        dispatch(["greet", "--size=3"])


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["track", "video.mp4", "--colour=red"], "--colour=red"),
        (["render", "--out=x.webm", "--config.seed=1"], "--config.seed=1"),
        (["demo", "--config.train.epoch=1"], "did you mean --config.train.epochs?"),
    ],
)
def test_an_unknown_argument_is_named(arguments, message):
    with pytest.raises(UserError, match=message.replace("?", r"\?")):
        dispatch(arguments)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            ["run_train.py", "--config=configs/demo.py", "--workdir=x", "--config.sead=1"],
            "error: --config.sead: no such field; did you mean --config.seed?",
        ),
        (
            ["-m", "siamjax", "train", "--config=configs/none.py", "--workdir=x"],
            "error: --config=configs/none.py: no such file",
        ),
        (["run_eval.py", "--dataset=OTB10"], "OTB10"),
        (["-m", "siamjax", "track", "no.mp4", "--box=1,1,9,9"], "no.mp4"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, message):
    result = command(*arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (ROOT / "x").exists()


@pytest.mark.parametrize(
    "line, words",
    [
        ("import no_such_package.part", "has no no_such_package"),
        ("from json import nothing", r"json cannot be imported \(cannot import name 'nothing'"),
    ],
)
def test_a_package_that_a_running_command_lacks(tmp_path, monkeypatch, line, words):
    """Before: only what a command's module imports was explained; an import in `run` gave a
    traceback."""
    (tmp_path / "needy.py").write_text(GREET.replace('print(f"hello', f'{line}; print(f"hello'))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(cli.COMMANDS, "needy", ("needy", "needs a package"))
    with pytest.raises(UserError, match=f"{words}.*; in {ROOT}: make env, then .venv/bin/siamjax"):
        dispatch(["needy"])
    sys.modules.pop("needy")


def test_siamjaxs_own_import_errors_stay_what_they_are():
    for name in ("siamjax.nothing", "data_prep.nothing", "cv2"):
        with pytest.raises(ModuleNotFoundError), importing("pip install it"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


MISSING = "import sys; sys.modules[{!r}] = None; from siamjax import cli; cli.main()"


@pytest.mark.parametrize(
    "package, arguments, words",
    [
        ("av", ["track", "video.mp4", "--box=1,1,9,9"], f"has no av; in {ROOT}: make env"),
        ("argcomplete", [], "argcomplete is not installed; completion needs it: "),
        ("aiohttp", ["serve", "video.mp4"], "aiohttp is not installed; siamjax serve needs it: "),
    ],
)
def test_a_missing_package_is_one_line_and_exit_code_2(monkeypatch, package, arguments, words):
    """Before: `siamjax track` without PyAV, and a shell that asks for completions without
    argcomplete, showed a traceback."""
    if package == "argcomplete":
        monkeypatch.setenv("_ARGCOMPLETE", "1")
    result = command("-c", MISSING.format(package), *arguments)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert words in line


def test_a_package_that_an_experiment_lacks(tmp_path):
    """Before: a traceback."""
    path = tmp_path / "mine.py"
    path.write_text("import no_such_package\n")
    with pytest.raises(UserError, match=f"has no no_such_package; --config={path} needs it"):
        dispatch(["train", f"--config={path}", f"--workdir={tmp_path / 'run'}"])


def test_demo_does_the_whole_path_and_resumes(tmp_path, monkeypatch, capsys):
    from siamjax.datasets import synthetic

    monkeypatch.setattr(synthetic, "CLIPS", 2)
    monkeypatch.setattr(synthetic, "LENGTH", 8)
    smallest = [*SMALLEST, "--config.train.init_from="]  # the bundled backbone is wider
    arguments = ["demo", f"--out={tmp_path}", "--videos=2", "--workers=0", *smallest]
    dispatch(arguments)
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert set(scores["trackers"]) == {"siamjax", "static", "template_matching"}
    assert all(0 <= row["success_auc"] <= 1 for row in scores["trackers"].values())
    for name in ("report.html", "clip.webm", "train/config.json", "plots", "results/siamjax"):
        assert (tmp_path / name).exists(), name
    line = (tmp_path / "train" / "metrics.jsonl").read_text()

    dispatch(arguments)  # everything is there: the same scores, nothing trained again
    assert json.loads((tmp_path / "scores.json").read_text())["trackers"] == scores["trackers"]
    assert (tmp_path / "train" / "metrics.jsonl").read_text() == line
    assert "siamjax" in capsys.readouterr().out


def test_the_demo_needs_a_rendered_source(tmp_path):
    with pytest.raises(UserError, match=r"--config=resnet50: data\.sources has no 'synthetic'"):
        dispatch(["demo", "--config=resnet50", f"--out={tmp_path / 'demo'}"])
    assert not (tmp_path / "demo").exists()


def test_a_search_on_a_test_benchmark_is_refused_before_its_data_are_needed(tmp_path):
    with pytest.raises(UserError, match="OTB100 is a test benchmark"):
        dispatch(["search", "--dataset=OTB100", f"--data_root={tmp_path}"])


@pytest.mark.parametrize("flag", ["--box_file", "--box-file"])
def test_flags_take_both_spellings(flag, tmp_path):
    """Before: `siamjax track v.mp4 --box-file=x.txt` gave "unknown argument --box-file=x.txt"."""
    args = build_parser(["track"]).parse_args(["track", "v.mp4", f"{flag}=my-x_y.txt"])
    assert args.box_file == "my-x_y.txt"
    args = build_parser(["track"]).parse_args(["track", "a_b-c.mp4", flag, "my-x_y.txt"])
    assert (args.video, args.box_file) == ("a_b-c.mp4", "my-x_y.txt")


def test_both_spellings_in_scripts_and_preparation(tmp_path, monkeypatch, capsys):
    with pytest.raises(UserError, match=r"--jpeg_quality=500: must be in 0\.\.100"):
        dispatch(["prepare", "det", f"--source={tmp_path}", "--jpeg-quality=500"])
    flags = ["--data-root=nowhere", "--dataset=OTB100", "--baselines=static"]
    monkeypatch.setattr(sys, "argv", ["run_eval.py", *flags])
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(ROOT / "run_eval.py"), run_name="__main__")
    assert left.value.code == 2
    assert "nowhere" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--box", "-5,10,40,30"], ["--box=-5,10,40,30"]])
def test_a_value_may_begin_with_a_minus(words):
    """Before: `--box -5,10,40,30` was "argument --box: expected one argument"."""
    parser = Parser()
    parser.add_argument("--box", action="append")
    parser.add_argument("rest", nargs="*")
    assert parser.parse_args([*words, "a"]) == argparse.Namespace(box=["-5,10,40,30"], rest=["a"])


def test_an_unknown_flag_is_named_as_it_was_given():
    with pytest.raises(UserError, match="unknown argument --no-such_flag"):
        dispatch(["track", "v.mp4", "--no-such_flag"])
    with pytest.raises(UserError, match=r"--config\.a-b=1"):
        dispatch(["track", "v.mp4", "--config.a-b=1"])
