r"""Tables in LaTeX compile, whatever the names are.

Before: `table.tex` held rows without a tabular, "&" and "%" stood in it as they are, and of two
trackers that print the same number one was bold.
"""

import re
import shutil
import subprocess

import numpy as np
import pytest

from siamjax.evaluation import latex
from siamjax.evaluation.marks import places
from siamjax.evaluation.scoring import Scores
from siamjax.measures.result import Figure

SPECIAL = r"""a & b % c _ d # e $ f { g } h ~ i ^ j \ k < l > m | n "o" p--q"""
FIGURES = {
    "auc": Figure("success AUC"),
    "lost": Figure("lost & found (50 %)", lower_is_better=True, digits=1),
}


def scores(**rows):
    return Scores(
        overlap="exact_area & more",
        dataset="OTB_100 #2",
        sequences=(2, 2),
        protocol="ope",
        figures=FIGURES,
        trackers={n: dict(zip(FIGURES, map(float, row), strict=True)) for n, row in rows.items()},
        attributes={"auc": {"SV_1 & 2": {name: float(row[0]) for name, row in rows.items()}}},
        attribute_sizes={"SV_1 & 2": "12 sequences"},
    )


def cells(text, name):
    (line,) = [line for line in text.splitlines() if line.startswith(name)]
    return [cell.strip() for cell in line.removesuffix(r"\\").split(" & ")[1:]]


def test_best_second_and_third_ties_alike():
    text = latex.table(
        scores(a=(0.7001, 3), b=(0.7004, 1), c=(0.65, 1), d=(0.6, 2), e=(0.5, np.nan))
    )
    assert cells(text, "a") == [r"\textbf{0.700}", "3.0"]
    assert cells(text, "b") == [r"\textbf{0.700}", r"\textbf{1.0}"]  # printed the same as a
    assert cells(text, "c") == [r"\textit{0.650}", r"\textbf{1.0}"]
    assert cells(text, "d") == ["0.600", r"\textit{2.0}"]
    assert cells(text, "e") == ["0.500", "--"]
    assert r"success AUC $\uparrow$ & lost \& found (50 \%) $\downarrow$ \\" in text


@pytest.mark.parametrize(
    "values, expected",
    [
        ([0.9, 0.8, 0.7, 0.6], [1, 2, 3, 0]),
        ([0.9, 0.9, 0.7, 0.6], [1, 1, 3, 0]),
        ([0.9, 0.8, 0.8, 0.8], [1, 2, 2, 2]),
        ([0.9, 0.8, 0.8, 0.7], [1, 2, 2, 0]),
        ([0.9, 0.9, 0.9, 0.9], [0, 0, 0, 0]),
        ([0.9, None, np.nan, np.inf], [0, 0, 0, 0]),
        ([-0.2, 0.1, 0.0, None], [3, 1, 2, 0]),
    ],
)
def test_places(values, expected):
    found = places(Figure("f"), dict(zip("abcd", values, strict=True)))
    assert [found.get(name, 0) for name in "abcd"] == expected


def test_negative_numbers_have_a_minus():
    assert cells(latex.table(scores(a=(-0.5, 1), b=(0.1, 1))), "a")[0] == r"\underline{$-$0.500}"


def test_escapes():
    assert latex.escaped("&%_#${}") == r"\&\%\_\#\$\{\}"
    assert latex.escaped("~^\\") == r"\textasciitilde{}\textasciicircum{}\textbackslash{}"


def test_tables_are_complete():
    for text in (latex.table(scores(a=(1, 2))), latex.overview([scores(a=(1, 2))] * 2)):
        assert text.count(r"\begin{table*}") == text.count(r"\end{table*}") == 1
        assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 1
        assert re.search(r"\\toprule\n.*\n\\midrule\n", text)


def test_headings_of_a_wide_table_stand_on_several_lines():
    figures = {f"f{i}": Figure(f"norm. precision & more {i}") for i in range(8)}
    wide = scores(a=(0.5, 1))
    wide.figures, wide.trackers = figures, {"a": dict.fromkeys(figures, 0.5)}
    head = next(line for line in latex.table(wide).splitlines() if line.startswith("Tracker"))
    assert head.count(r"norm. \\ precision \\ \& more 3 $\uparrow$") == 1


@pytest.mark.slow
def test_tables_compile(tmp_path):
    if shutil.which("pdflatex") is None:  # no Python package brings it
        pytest.skip("needs pdflatex (Debian: texlive-latex-recommended)")
    some = scores(**{SPECIAL: (0.7, 1), "Žižek–Ångström": (0.6, 2), "_plain": (np.nan, 3)})
    wide = scores(**{SPECIAL: (0.7, 1)})
    wide.figures = {f"f{i}": Figure(f"norm. precision & more {i}") for i in range(8)}
    wide.trackers = {"a": dict.fromkeys(wide.figures, 0.5)}
    parts = [
        latex.table(some),
        latex.table(wide),
        latex.attribute_tables(some),
        latex.overview([some, some]),
    ]
    body = "\n".join(parts)
    packages = "".join(rf"\usepackage{{{name}}}" for name in ("booktabs", "graphicx"))
    source = (
        rf"\documentclass{{article}}{packages}\usepackage[T1]{{fontenc}}"
        rf"\begin{{document}}{body}\end{{document}}"
    )
    (tmp_path / "paper.tex").write_text(source)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    if shutil.which("pdftotext"):
        subprocess.run(["pdftotext", "-layout", "paper.pdf"], cwd=tmp_path, check=True)
        text = (tmp_path / "paper.txt").read_text()
        assert "a & b % c _ d # e $ f { g } h ~ i ^ j \\ k < l > m | n" in text
        assert "lost & found (50 %)" in text
