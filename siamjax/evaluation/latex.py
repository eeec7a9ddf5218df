r"""Tables for a paper in LaTeX: complete `table` environments for `\input`, with booktabs.

The best number of a column is bold, the second underlined, the third in italics. Names are plain
text: all characters with a meaning in LaTeX are escaped. pdfLaTeX knows the letters of European
languages; names in other scripts need LuaLaTeX or XeLaTeX.
"""

import textwrap
from collections.abc import Iterable, Mapping, Sequence

from siamjax.datasets.sequence import key
from siamjax.evaluation.marks import places
from siamjax.evaluation.scoring import Scores
from siamjax.measures.result import Figure

_ESCAPES = str.maketrans(
    {character: f"\\{character}" for character in "&%_#${}"}
    | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''"}
    | {"—": "---", "–": "--", "×": r"$\times$", "±": r"$\pm$", "µ": r"$\mu$", "°": r"$^\circ$"}
    | {"≤": r"$\le$", "≥": r"$\ge$", "→": r"$\to$", "\n": " ", "\r": " ", "\t": " "}
)
_MARKS = {1: r"\textbf{%s}", 2: r"\underline{%s}", 3: r"\textit{%s}"}
_LEGEND = "best bold, second underlined, third italic"
WIDE, NARROW = 100, 10  # characters of a table's headings that are too many for a page; of a line
_HEAD = r"% needs \usepackage{booktabs} and, with pdfLaTeX, \usepackage[T1]{fontenc}" + "\n"


def escaped(text: str) -> str:
    """Plain text as LaTeX source that prints it."""
    return text.translate(_ESCAPES)


def table(scores: Scores) -> str:
    """The figures of all trackers, best first."""
    columns = {figure: scores.figures[figure] for figure in scores.columns}
    heads = _headings(scores.trackers, [(f.label, f) for f in columns.values()])
    cells = [
        _column(figure, {tracker: row.get(name) for tracker, row in scores.trackers.items()})
        for name, figure in columns.items()
    ]
    rows = [[escaped(t), *(column[t] for column in cells)] for t in scores.ranked()]
    text = _table(_caption(scores), f"tab:{key(scores.dataset)}", ["Tracker", *heads], rows)
    return _HEAD + text + "".join(f"% {line}\n" for line in scores.footer)


def attribute_tables(scores: Scores) -> str:
    """A table of each figure that is known by attribute: attributes below, trackers beside each
    other."""
    texts = []
    for name, by_attribute in scores.attributes.items():
        figure, order = scores.figures[name], scores.ranked(name)
        rows = []
        for attribute, values in by_attribute.items():
            cells = _column(figure, {tracker: values.get(tracker) for tracker in order})
            rows.append([escaped(scores.sized(attribute)), *(cells[tracker] for tracker in order)])
        caption = f"{figure.label} by attribute. {_caption(scores)}"
        label = f"tab:{key(scores.dataset)}-{key(name)}"
        heads = ["Attribute", *(rf"\rotatebox{{90}}{{{escaped(tracker)}}}" for tracker in order)]
        texts.append(_table(caption, label, heads, rows))
    return _HEAD + "% and \\usepackage{graphicx}\n" + "\n".join(texts) if texts else ""


def overview(everything: Sequence[Scores]) -> str:
    """The main figure of each of several evaluations: trackers below, data sets beside each
    other."""
    trackers = list(dict.fromkeys(name for scores in everything for name in scores.ranked()))
    titles, cells = [], []
    for scores in everything:
        figure = scores.figures[scores.main]
        titles.append((f"{scores.dataset}: {figure.label}", figure))
        values = {t: scores.trackers.get(t, {}).get(scores.main) for t in trackers}
        cells.append(_column(figure, values))
    rows = [[escaped(tracker), *(column[tracker] for column in cells)] for tracker in trackers]
    captions = ". ".join(_caption(scores) for scores in everything)
    heads = _headings(trackers, titles)
    return _HEAD + _table(captions, "tab:overview", ["Tracker", *heads], rows)


def _caption(scores: Scores) -> str:
    return scores.caption.split("; brackets")[0]  # the numbers have none here


def _headings(trackers: Iterable[str], titles: Sequence[tuple[str, Figure]]) -> list[str]:
    """Headings with an arrow to better values; on several lines where the table would be too wide.

    Args:
        titles: text, and the figure below it.
    """
    widest = max(map(len, trackers), default=0)
    wide = widest + sum(len(title) + 4 for title, _ in titles) > WIDE
    heads = []
    for title, figure in titles:
        arrow = r"$\downarrow$" if figure.lower_is_better else r"$\uparrow$"
        lines = textwrap.wrap(title, NARROW, break_long_words=False) if wide else [title]
        text = r" \\ ".join(map(escaped, lines)) + f" {arrow}"
        heads.append(rf"\begin{{tabular}}[b]{{@{{}}r@{{}}}}{text}\end{{tabular}}" if wide else text)
    return heads


def _column(figure: Figure, values: Mapping[str, float | None]) -> dict[str, str]:
    """Tracker -> its number, the first three marked; a dash where there is none."""
    first = places(figure, values)
    cells = {}
    for tracker, value in values.items():
        number = figure.number(value)
        number = "--" if number == "-" else number.replace("-", "$-$")
        cells[tracker] = _MARKS.get(first.get(tracker, 0), "%s") % number
    return cells


def _table(caption: str, label: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [
        r"\begin{table*}[t]",
        r"\centering\footnotesize\setlength{\tabcolsep}{4pt}",
        rf"\caption{{{escaped(caption)}; {_LEGEND}.}}",
        rf"\label{{{label}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}",
        r"\toprule",
        " & ".join(heads) + r" \\",
        r"\midrule",
        *(" & ".join(row) + r" \\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"
