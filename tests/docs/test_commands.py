"""What README and docs print exists: flags, make targets, extras, files, links.

`docs/check_commands.sh` runs the commands; this parses them with the programs' own parsers.
"""

import argparse
import functools
import importlib.util
import re
import runpy
import shlex
import sys
import tomllib
from pathlib import Path
from unittest import mock

import pytest

from siamjax import cli
from siamjax.config import load_config
from siamjax.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


def load(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


documented = load("commands")
COMMANDS = [each for page in documented.pages() for each in documented.commands(page, inline=True)]


class Caught(Exception):
    """Carries the parser that a program was about to use."""


@functools.cache
def parser_of(program: str) -> argparse.ArgumentParser:
    """The parser of a module ("data_prep.coco") or a script ("run_train.py")."""
    if program.startswith("run_"):
        return subparsers()[program[4:-3]]

    def catch(self, *_, **__):
        raise Caught(self)

    run = runpy.run_path if program.endswith(".py") else runpy.run_module
    target = str(ROOT / program) if program.endswith(".py") else program
    folder = str((ROOT / program).parent)  # a script finds its neighbours
    with (
        mock.patch.object(argparse.ArgumentParser, "parse_known_args", catch),
        mock.patch.object(sys, "argv", [program]),
        mock.patch.object(sys, "path", [folder, str(ROOT), *sys.path]),
        pytest.raises(Caught) as caught,
    ):
        run(target, run_name="__main__")
    return caught.value.args[0]


def subparsers():
    (action,) = (
        a for a in cli.build_parser()._actions if isinstance(a, argparse._SubParsersAction)
    )
    return action.choices


def fault(text: str) -> str:
    """What is wrong with a command; empty where nothing is."""
    if re.search(r" (COMMAND|NAME)\b", text):
        return ""  # a pattern
    words = [word for word in shlex.split(text) if not re.fullmatch(r"[A-Z_]+=\S*", word)]
    if words[:2] == ["uv", "run"] or words[:2] == ["uv", "pip"]:
        words = words[1:] if words[1] == "pip" else words[2:]
    program, rest = words[0].removeprefix(".venv/bin/"), words[1:]
    if program == "make":
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        return "".join(f"no target {word}; " for word in rest if word not in targets)
    if program == "pip":
        return _fault_of_extras(rest)
    if program == "siamjax":
        if not rest or rest[0].startswith("-"):
            return ""
        parser = subparsers().get(rest[0])
        if rest[0] == "prepare" and rest[1:]:
            parser = parser_of(f"data_prep.{rest[1]}")
        if parser is None:
            return f"no command {rest[0]}"
    elif program.startswith("python") and rest[:1] == ["-m"]:
        if rest[1].split(".")[0] not in ("siamjax", "data_prep") or rest[1:] == ["siamjax"]:
            return ""
        parser = parser_of("data_prep." + rest[2] if rest[1] == "data_prep" else rest[1])
    elif program.startswith("python") and rest and rest[0].endswith(".py"):
        if not (ROOT / rest[0]).is_file():
            return f"no file {rest[0]}"
        flags = [word for word in rest if word.startswith("--")]
        if not flags:
            return ""
        parser = parser_of(rest[0])
    else:
        return ""
    return _fault_of_flags(parser, rest)


def _fault_of_flags(parser, words):
    if "--beam_runner" in (word.split("=")[0] for word in words):
        return ""  # what the runner takes is Beam's
    flags = [word for word in words if word.startswith("--")]
    fields = [word for word in flags if word.startswith("--config.") and "=" in word]
    unknown = [
        word
        for word in flags
        if word.split("=")[0] not in parser._option_string_actions
        and not word.startswith("--config.")
    ]
    if unknown:
        return f"no flag {unknown[0]}"
    config = next((word[9:] for word in flags if word.startswith("--config=")), "configs/base.py")
    path = ROOT / config
    overrides = [word for word in fields if ".section.field=" not in word]
    try:
        load_config(str(path if path.is_file() else ROOT / "configs" / "base.py"), overrides)
    except UserError as error:
        return str(error)
    return ""


def _fault_of_extras(words):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    known = extras["optional-dependencies"]
    named = re.findall(r"(?:siamjax|\.)\[([\w,]+)\]", " ".join(words))
    unknown = [name for each in named for name in each.split(",") if name not in known]
    return f"no extra {unknown[0]}" if unknown else ""


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: f"{c.page}: {c.text[:60]}")
def test_documented_commands_exist(command):
    assert fault(command.text) == ""


def test_there_are_commands_on_the_pages():
    texts = {command.text for command in COMMANDS}
    assert {"make demo", "make test"} <= texts
    assert any(text.startswith("python -m data_prep") for text in texts)
    assert sum(command.left_out == "" for command in COMMANDS) >= 8


@pytest.mark.parametrize(
    "text, message",
    [
        ("make nothing", "no target nothing"),
        ("siamjax follow video.mp4", "no command follow"),
        ("siamjax track video.mp4 --bocks=1,2,3,4", "no flag --bocks"),
        ("python run_eval.py --dataset=OTB100 --datta=x", "no flag --datta"),
        ("python run_train.py --config=configs/demo.py --config.train.epoch=1", "epochs"),
        ("python -m data_prep.synthetic --out=x --clips=3", "no flag --clips"),
        ("python -m data_prep synthetic --out=x --clips=3", "no flag --clips"),
        ("siamjax prepare coco --source=x --clips=3", "no flag --clips"),
        ("python nothing.py", "no file nothing.py"),
        ("pip install 'siamjax[nothing]'", "no extra nothing"),
        ("uv pip install -e '.[nothing]'", "no extra nothing"),
        ("uv run siamjax follow video.mp4", "no command follow"),
    ],
)
def test_a_fault_is_seen(text, message):
    assert message in fault(text)


def headings(text: str) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_of_the_pages_outside_docs_lead_somewhere(name):
    # those inside docs are checked by `make docs`
    text = (ROOT / name).read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"src=\"([^\"]+)\"", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        page = ROOT / path if path else ROOT / name
        assert page.exists(), target
        assert not anchor or anchor in headings(page.read_text()), target


def test_the_citation_names_the_version():
    from siamjax.version import __version__

    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text()
