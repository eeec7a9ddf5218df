"""Texts and names are plain technical English: what `banned_phrases.toml` lists appears nowhere."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
RULES = tomllib.loads((ROOT / "tests" / "banned_phrases.toml").read_text())
SUFFIXES = {".py", ".md", ".toml", ".js", ".html", ".ipynb", ".sh", ".yaml", ".cff", ""}
OWN = {"tests/banned_phrases.toml", "tests/test_words.py", "LICENSE"}


def texts() -> list[str]:
    """The repository's own text files; in an unpacked archive without git, all there are."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    names = listed.stdout.splitlines()
    if listed.returncode:
        names = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file()]
    kept = (name for name in names if Path(name).suffix in SUFFIXES and name not in OWN)
    return sorted(name for name in kept if (ROOT / name).is_file())


def phrases_in(text: str):
    """(line, phrase found, what to write instead)."""
    for number, line in enumerate(text.splitlines(), 1):
        for rule in RULES["phrase"]:
            found = re.search(rf"\b({rule['phrase']})", line, re.IGNORECASE)
            if found and not any(re.search(a, line, re.I) for a in rule.get("allowed", ())):
                yield number, found[0], rule["instead"]


def names_in(tree: ast.AST):
    """Names that a module defines: functions, classes, arguments, variables, attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr


@pytest.mark.parametrize("name", texts())
def test_texts_and_names_are_plain(name):
    text = (ROOT / name).read_text()
    assert [f"{name}:{n}: '{found}' -> {new}" for n, found, new in phrases_in(text)] == []
    if name.endswith(".py"):
        banned = RULES["identifiers"]
        found = [(n, word) for n, word in names_in(ast.parse(text)) if word.strip("_") in banned]
        assert [f"{name}:{n}: {word} -> {banned[word.strip('_')]}" for n, word in found] == []


def test_phrases_and_names_are_seen():
    line = "The run goes on; sources are listed by comma,\nhalf a px apart, and kept apart."
    assert [(n, found) for n, found, _ in phrases_in(line)] == [(1, "goes on"), (1, "by comma")]
    assert [found for _, found, _ in phrases_in("kept apart")] == ["apart"]
    names = [name for _, name in names_in(ast.parse("def go(x):\n    self.look = another = 1"))]
    assert set(names) == {"go", "x", "look", "another"}
