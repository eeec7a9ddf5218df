"""`python -m data_prep NAME`, `python -m data_prep.NAME` and `siamjax prepare NAME`."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from data_prep import __main__ as command
from data_prep.source import Source
from siamjax import cli
from siamjax.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", command.SOURCES)
def test_the_table_names_what_is_there(name):
    found = getattr(importlib.import_module(f"data_prep.{name}"), command.SOURCES[name][0])
    assert callable(found)
    if isinstance(found, type):
        assert issubclass(found, Source)
        assert found.name == name


def test_every_reader_is_in_the_table():
    readers = {
        path.stem
        for path in (ROOT / "data_prep").glob("*.py")
        if 'if __name__ == "__main__"' in path.read_text()
    }
    assert readers - {"__main__"} == set(command.SOURCES)


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"]])
def test_without_a_name_it_lists_them(argv, capsys):
    command.main(argv)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == list(command.SOURCES)


def test_a_name_that_is_none():
    with pytest.raises(UserError, match="coca: no such data set; choose one of coco,"):
        command.main(["coca"])


@pytest.mark.parametrize("program", [["data_prep", "det"], ["data_prep.det"]])
def test_both_spellings_check_the_source(det_tree, program):
    done = subprocess.run(
        [sys.executable, "-m", *program, f"--source={det_tree}", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{det_tree}: det\n  videos: 3\n")


def test_prepare_is_the_same(det_tree, capsys):
    cli.dispatch(["prepare"])
    listed = capsys.readouterr().out
    assert listed.startswith("usage: siamjax prepare NAME")
    assert all(f"\n  {name} " in listed for name in command.SOURCES)
    cli.dispatch(["prepare", "det", f"--source={det_tree}", "--check"])
    assert capsys.readouterr().out.startswith(f"{det_tree}: det\n  videos: 3\n")
    with pytest.raises(SystemExit):
        cli.dispatch(["prepare", "det", "--help"])
    assert capsys.readouterr().out.startswith("usage: siamjax prepare det [-h] --source SOURCE")


def test_bad_input_is_one_line_and_exit_code_2(tmp_path):
    for program in (["data_prep", "vid"], ["data_prep.vid"]):
        argv = [sys.executable, "-m", *program, f"--source={tmp_path / 'none'}", "--check"]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 2
        assert "no such folder; expected are Data/VID" in done.stderr
        assert done.stderr.count("\n") == 1
