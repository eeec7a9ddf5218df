"""Scores -> tables (terminal, Markdown, CSV, LaTeX), scores.json, plots and one HTML page."""

import csv
import io
import json
from pathlib import Path

from siamjax.datasets.registry import Benchmark
from siamjax.evaluation.scoring import Scores
from siamjax.files import write_whole


def _table(scores: Scores, brackets: bool = False) -> list[list[str]]:
    """The heading, and each tracker's figures as text, with or without their intervals."""

    def cell(tracker: str, figure: str) -> str:
        text = scores.number(figure, scores.trackers[tracker].get(figure))
        bounds = ", ".join(scores.bound_numbers(tracker, figure))
        return f"{text} [{bounds}]" if brackets and bounds and text != "-" else text

    rows = [[name, *(cell(name, figure) for figure in scores.columns)] for name in scores.ranked()]
    return [["tracker", *map(scores.label, scores.columns)], *rows]


def terminal(scores: Scores) -> str:
    """A table for the terminal, and below it the intervals of the main figure."""
    order, main = scores.ranked(), scores.main
    table = _table(scores)
    first, *widths = (max(map(len, column)) for column in zip(*table, strict=True))
    lines = [scores.caption.split("; brackets")[0]]
    for name, *cells in table:
        padded = (cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
        lines.append("  ".join([name.ljust(first), *padded]))
    for tracker in order:
        bounds = scores.bound_numbers(tracker, main)
        if bounds and "-" not in bounds:
            text = f"{scores.label(main)} 95 % interval over sequences {' .. '.join(bounds)}"
            lines.append(f"{tracker}: {text}")
    return "\n".join([*lines, *scores.footer])


def _markdown_table(rows: list[list[str]]) -> list[str]:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return [lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]]


def markdown(scores: Scores) -> str:
    """The tables in Markdown, with captions."""
    order = scores.ranked()
    lines = [scores.caption, "", *_markdown_table(_table(scores, brackets=True))]
    lines += ["", *(f"- {line}" for line in scores.footer)] if scores.footer else []
    for figure, by_attribute in scores.attributes.items():
        rows = [["attribute", *order]]
        for attribute, values in by_attribute.items():
            rows.append([attribute, *(scores.number(figure, values.get(t)) for t in order)])
        title = f"{scores.label(figure)} by attribute ({scores.count})"
        lines += ["", title, "", *_markdown_table(rows)]
    if scores.left_out:
        lines += ["", f"Not scored ({len(scores.left_out)}): " + ", ".join(scores.left_out)]
    return "\n".join(lines) + "\n"


def latex(scores: Scores) -> str:
    """Rows for a LaTeX tabular; the caption stands in a comment, the best figure of a column in
    bold."""
    (_, *labels), *rows = _table(scores)
    for row in rows:
        for i, figure in enumerate(scores.columns, 1):
            if row[i] != "-" and scores.trackers[row[0]][figure] == scores.best(figure):
                row[i] = rf"\textbf{{{row[i]}}}"
    rows = [["Tracker", *labels], *rows]
    lines = [f"% {scores.caption}".replace("95 %", "95 percent")]
    lines += [" & ".join(row).replace("_", r"\_") + r" \\" for row in rows]
    lines += [f"% {line}" for line in scores.footer]
    return "\n".join(lines) + "\n"


def _csv(scores: Scores, header: list[str], rows: list[list]) -> str:
    """A table whose lines all begin with what was scored."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["dataset", "sequences", "of", *header])
    writer.writerows([scores.dataset, *scores.sequences, *row] for row in rows)
    return out.getvalue()


def trackers_csv(scores: Scores) -> str:
    """One line per tracker and measure: value and interval."""
    rows = [
        [tracker, figure, value, *(scores.bounds(tracker, figure) or ("", ""))]
        for tracker in scores.ranked()
        for figure, value in scores.trackers[tracker].items()
    ]
    return _csv(scores, ["tracker", "measure", "value", "low", "high"], rows)


def sequences_csv(scores: Scores) -> str:
    """One line per tracker and sequence."""
    tables = scores.per_sequence
    columns = dict.fromkeys(f for rows in tables.values() for row in rows.values() for f in row)
    rows = [
        [tracker, sequence, *(values.get(figure, "") for figure in columns)]
        for tracker in scores.ranked()
        for sequence, values in tables[tracker].items()
    ]
    return _csv(scores, ["tracker", "sequence", *columns], rows)


def write(
    out_dir: str | Path,
    scores: Scores,
    benchmark: Benchmark | None = None,
    results: dict[str, Path] | None = None,
    clip: str | Path | None = None,
) -> Path:
    """Writes everything about an evaluation.

    Args:
        out_dir: gets scores.json, table.md, table.tex, trackers.csv, sequences.csv, plots/*.png,
            *.svg and report.html.
        benchmark, results: the sequences and the folder of each tracker's result files, for the
            strips of frames with boxes; left out without them.
        clip: a .webm file to embed in the page.

    Returns:
        The path of report.html.

    Raises:
        UserError: the folder cannot be written.
    """
    from siamjax.evaluation import page, plots  # matplotlib: 0.28 s that tables do not need

    out = Path(out_dir)
    drawn = plots.draw_all(scores)
    write_whole(out / "scores.json", json.dumps(scores.to_dict(), indent=1, allow_nan=False) + "\n")
    write_whole(out / "table.md", markdown(scores))
    write_whole(out / "table.tex", latex(scores))
    write_whole(out / "trackers.csv", trackers_csv(scores))
    write_whole(out / "sequences.csv", sequences_csv(scores))
    plots.save(drawn, out / "plots")
    text = page.render(scores, drawn, benchmark, results or {}, clip)
    return write_whole(out / "report.html", text)
