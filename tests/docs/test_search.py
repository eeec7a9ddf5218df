"""Readers find the page: the words that they look for stand together in a heading of it.

The search of the built pages ranks headings above text (Sphinx's `Scorer`), and takes words by
their stems.
"""

import re
from pathlib import Path

import pytest

PAGES = Path(__file__).resolve().parents[2] / "docs"
SOUGHT = {
    "install": "install",
    "Windows": "install",
    "uninstall": "install",
    "cache": "install",
    "webcam": "serve",
    "several objects": "several-objects",
    "several targets": "several-objects",
    "lost": "several-objects",
    "own videos": "own-videos",
    "fine-tune": "finetuning",
    "TPU": "training",
    "pods": "training",
    "memory": "training",
    "resume": "tracking",
    "benchmarks": "evaluation",
    "compare libraries": "comparison",
    "speed": "measured",
    "ONNX": "deployment",
    "glossary": "glossary",
}


def words(text: str) -> set[str]:
    """Stems, roughly: `fine-tuning` and `fine-tune`, `TPUs` and `TPU` are the same."""
    return {re.sub(r"(ing|ed|es|e|s)$", "", word) for word in re.findall(r"\w+", text.lower())}


def found(query: str, folder: Path = PAGES) -> list[str]:
    """The pages with a heading that holds all words of the query."""
    pages = []
    for page in sorted(folder.glob("*.md")):
        text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
        headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        if any(words(query) <= words(heading) for heading in headings):
            pages.append(page.stem)
    return pages


@pytest.mark.parametrize(("query", "page"), SOUGHT.items())
def test_a_heading_holds_what_is_looked_for(query, page):
    pages = found(query)
    assert page in pages
    assert len(pages) <= 4  # few enough to be seen at once


def test_a_heading_is_found_by_stems_and_code_is_none(tmp_path):
    (tmp_path / "page.md").write_text("# Tuning TPUs\n\n```\n# a comment\n```\n\ntext\n")
    assert found("tune TPU", tmp_path) == ["page"]
    assert found("tune GPU", tmp_path) == found("comment", tmp_path) == []


def test_every_page_is_in_the_table_and_in_the_order_of_the_contents():
    index = (PAGES / "index.md").read_text()
    table = re.findall(r"\]\(([\w-]+)\.md\)", index.partition("## Pages")[2])
    trees = re.findall(r"^```\{toctree\}.*?\n\n(.*?)^```", index, re.MULTILINE | re.DOTALL)
    contents = [name for tree in trees for name in tree.split() if "/" not in name]
    assert {page.stem for page in PAGES.glob("*.md")} == {*contents, "index"}
    project = ("contributing", "changelog", "licences")
    assert [name for name in contents if name not in project] == [
        name for name in dict.fromkeys(table)
    ]
