"""What the command line says: examples, near misses, devices, completion, missing packages."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from siamjax import cli, devices, installation
from siamjax.arguments import Parser
from siamjax.errors import UserError, near, one_of
from siamjax.training import metrics

ROOT = Path(__file__).resolve().parents[1]
COMPUTING = sorted(cli.COMMANDS.keys() - {"labels", "prepare", "render", "report"})


@pytest.fixture(scope="module")
def subparsers():
    parser = cli.build_parser()
    return next(a.choices for a in parser._actions if a.dest == "==SUPPRESS==" and a.choices)


def python(*arguments, **environment):
    return subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_two_examples_of_every_command_parse(name, subparsers):
    parser = subparsers[name]
    heading, *lines = parser.epilog.splitlines()
    assert heading == "examples:"
    assert len(lines) == 2
    for line in lines:
        program, command, *words = shlex.split(line)
        assert (program, command) == ("siamjax", name)
        _, rest = parser.parse_known_args(words)
        assert all(word.startswith("--config.") for word in rest)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["trian"], r"trian: no such COMMAND; choose one of convert, .*; did you mean train\?$"),
        (["study", "shft", "--workdir=x"], r"shft: no such STUDY; .*; did you mean shift\?$"),
        (["track", "v.mp4", "--bxo=1,2,3,4"], r"unknown argument --bxo=1,2,3,4; .* --box\?$"),
        (["train", "--confg=demo", "--workdir=x"], r"--confg=demo; did you mean --config\?$"),
        (["eval", "--dataset=OTB100", "--style=papr"], r"^--style=papr: .* did you mean paper\?$"),
        (["eval", "--dataset=OTB10"], r"did you mean OTB100\?"),
        (["eval", "--dataset=synthetic", "--protocol=opee"], r"did you mean ope\?$"),
        (["train", "--config=resnet5", "--workdir=x"], r"did you mean resnet50\?$"),
        (["labels", ".", "--to=coc", "--out=x"], r"did you mean coco\?$"),
        (["prepare", "synthetic", "--vidoes=3", "--out=x"], r"did you mean --videos\?$"),
        (["prepare", "synthetic", "--videos=3", "--out=x", "--lenght=9"], r"mean --length\?$"),
        (["prepare", "det", "--source=x", "--jpeg_qualty=5"], r"did you mean --jpeg_quality\?$"),
        (["prepare", "det", "--source=x", "--zzz"], r"--zzz; Beam's need --beam_runner beside"),
        (["prepare", "coc"], r"did you mean coco\?$"),
        (["track"], r"arguments are required: video; see siamjax track --help$"),
        (["track", "v.mp4", "--box", "1", "2", "3", "4"], r"argument 2; a box .* --box=x,y,w,h$"),
        # before: "did you mean --device?", for the dashes alone
        (["eval", "--dataset=synthetic", "--metric=x"], r"--metric=x; see siamjax eval --help$"),
        (["track", "v.mp4", "--zzz"], r"unknown argument --zzz; see siamjax track --help$"),
    ],
)
def test_a_near_miss_is_named(arguments, message):
    """Before: `siamjax eval --datset=OTB100` gave a usage of 16 lines and "the following arguments
    are required: --dataset"."""
    with pytest.raises(UserError, match=message) as caught:
        cli.dispatch(arguments)
    assert "\n" not in str(caught.value)


def test_no_command_lists_the_commands():
    """Before: "the following arguments are required: COMMAND; see siamjax --help"."""
    done = python("-m", "siamjax")
    assert (done.returncode, done.stdout) == (2, "")
    first, *lines = done.stderr.splitlines()
    assert first.startswith("error: give a command; siamjax COMMAND --help")
    assert [line.split()[0] for line in lines] == [*cli.COMMANDS]
    assert lines[0] == f"  convert   {cli.COMMANDS['convert'][1]}"


def test_nearest_words():
    assert near("colour", ["color", "size"]) == "; did you mean color?"
    assert near("qqq", ["color", "size"]) == ""
    assert one_of("siz", {"color": 1, "size": 2}) == (
        "choose one of color, size; did you mean size?"
    )


def test_a_required_flag_that_is_missing_is_not_blamed_on_a_good_one():
    parser = Parser(prog="p")
    parser.add_argument("--workers")
    parser.add_argument("--dataset", required=True)
    for words in (["--work=1"], ["--config.data.x=1"], ["--workers=1", "--", "--datset=x"]):
        with pytest.raises(UserError, match=r"required: --dataset; see p --help"):
            parser.parse_args(words)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_commands_that_compute_take_a_device(name, subparsers):
    assert ("--device" in subparsers[name]._option_string_actions) == (name in COMPUTING)


@pytest.mark.parametrize(
    "flag, variable, line",
    [
        ("--device=gpu", "cpu", r"--device=gpu: JAX finds none here, only cpu; .*\[cuda\]'"),
        ("", "abacus", r"JAX_PLATFORMS=abacus: .*abacus.*; unset it, or give --device=cpu"),
    ],
)
@pytest.mark.skipif(os.environ.get("JAX_PLATFORMS") != "cpu", reason="needs to have no GPU")
def test_an_absent_device_is_one_line(flag, variable, line):
    """Before: JAX_PLATFORMS=abacus gave a traceback of 40 lines."""
    words = ["-m", "siamjax", "inspect", "demo", *[flag] * bool(flag)]
    done = python(*words, JAX_PLATFORMS=variable)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    (last,) = done.stderr.splitlines()
    assert re.search(line, last)


def test_what_jax_says_of_its_devices(monkeypatch):
    def fails():
        raise AssertionError  # JAX, of JAX_PLATFORMS=cuda without a GPU

    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    monkeypatch.setattr("jax.default_backend", fails)
    with pytest.raises(UserError, match=r"^JAX_PLATFORMS=cuda: no such device here; unset it"):
        devices.check(None)
    monkeypatch.setattr("jax.default_backend", lambda: "gpu")
    devices.check("gpu")
    devices.check(None)
    with pytest.raises(UserError, match=r"^--device=tpu: JAX finds none here, only gpu; .*\[tpu"):
        devices.check("tpu")


def test_a_chosen_device_replaces_the_environments(monkeypatch):
    chosen = []
    monkeypatch.setattr("jax.config.update", lambda *what: chosen.append(what))
    monkeypatch.setenv("JAX_PLATFORMS", "abacus")
    devices.choose(None)
    assert os.environ["JAX_PLATFORMS"] == "abacus"
    devices.choose("cpu")
    assert os.environ["JAX_PLATFORMS"] == "cpu"
    devices.check("cpu")
    devices.choose("gpu")
    assert os.environ["JAX_PLATFORMS"] == ""
    assert chosen == [("jax_platforms", "cpu"), ("jax_platforms", None)]


def completions(line: str) -> set[str]:
    pytest.importorskip("argcomplete")
    code = "import os, sys; os.dup2(1, 8); from siamjax import cli; cli.main()"
    done = python(
        *("-c", code),
        _ARGCOMPLETE="1",
        _ARGCOMPLETE_IFS="\n",
        COMP_LINE=line,
        COMP_POINT=str(len(line)),
        _ARGCOMPLETE_SUPPRESS_SPACE="1",
        _ARGCOMPLETE_STDOUT_FILENAME="/dev/stdout",
    )
    return set(done.stdout.split())


def test_tab_completes_commands_flags_and_values():
    assert completions("siamjax tra") == {"track", "train"}
    assert completions("siamjax render --len") == {"--length"}
    assert completions("siamjax render --split ") == {"train", "test"}


def test_the_help_is_quick_and_says_how_completion_is_turned_on():
    assert "register-python-argcomplete siamjax" in cli.build_parser([]).format_help()
    run = "try: cli.dispatch(['--help'])\nfinally: print(*sys.modules)"
    code = f"import sys; from siamjax import cli\n{run}"
    loaded = python("-c", code).stdout.splitlines()[-1].split()
    assert not {"argcomplete", "siamjax.commands.track", "jax", "numpy"} & set(loaded)


@pytest.mark.parametrize("script", ["run_train.py", "run_eval.py"])
def test_a_script_without_the_environment_says_what_to_do(script):
    """Before: `python3 run_train.py` gave a traceback that ends in "No module named
    'ml_collections'"."""
    bare = [sys._base_executable, "-S", "-E", str(ROOT / script), "--help"]
    done = subprocess.run(bare, capture_output=True, text=True)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.endswith(f"in {ROOT}: make env, then .venv/bin/python {script}")
    assert line.startswith(f"error: {sys._base_executable} has no ")


def test_a_script_shows_its_own_name_and_names_unknown_fields():
    done = python(str(ROOT / "run_train.py"), "--help")
    assert done.stdout.startswith("usage: run_train.py [-h] --config CONFIG --workdir WORKDIR")
    done = python(str(ROOT / "run_eval.py"), "--dataset=synthetic", "--limt=1")
    assert (done.returncode, done.stderr) == (
        2,
        "error: unknown argument --limt=1; did you mean --limit?\n",
    )


def test_the_command_for_an_extra_fits_the_installation(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.chdir(ROOT)
    assert installation.extra("prep") == "pip install -e '.[prep]'"
    monkeypatch.chdir(tmp_path)
    assert installation.extra("prep") == f"pip install -e '{ROOT}[prep]'"
    monkeypatch.setattr(installation, "_ROOT", tmp_path)  # site-packages have no pyproject.toml
    assert installation.extra("prep,dask") == "pip install 'siamjax[prep,dask]'"
    assert installation.environment() == "pip install siamjax"
    (tmp_path / "pyvenv.cfg").write_text("home = /usr/bin\nuv = 0.9.1\n")
    assert installation.extra("prep") == "uv pip install 'siamjax[prep]'"
    assert installation.package("tensorboard") == "uv pip install tensorboard"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    viewed = f"uv pip install tensorboard; tensorboard --logdir={tmp_path}"
    assert metrics.viewer(tmp_path) == f"curves: {viewed}"  # before: always "pip install"


def test_what_siamjax_logs_has_no_prefix():
    """Before: "WARNING:siamjax.compile_cache:compiling ..." in run_train.py, whose packages set up
    the root logger."""
    code = (
        "import logging, sys; logging.basicConfig(); sys.argv[1:] = ['--version'];"
        "from siamjax import cli;"
        "import atexit; atexit.register(logging.getLogger('siamjax.x').warning, 'compiling');"
        "cli.main()"
    )
    assert python("-c", code).stderr == "compiling\n"
