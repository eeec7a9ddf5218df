"""Scores -> tables (terminal, Markdown, CSV, LaTeX), scores.json, plots and one HTML page.

Only what draws imports matplotlib.
"""

import contextlib
import csv
import dataclasses
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from siamjax.datasets.registry import Benchmark
from siamjax.evaluation import compare, latex, page, strips, style
from siamjax.evaluation.scoring import Scores, some
from siamjax.files import remove_partials, write_whole
from siamjax.locks import Lock


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
            rows.append(
                [scores.sized(attribute), *(scores.number(figure, values.get(t)) for t in order)]
            )
        title = f"{scores.label(figure)} by attribute ({scores.count})"
        lines += ["", title, "", *_markdown_table(rows)]
    lines += _compared(scores)
    if scores.left_out:
        lines += ["", f"Not scored ({len(scores.left_out)}): " + some([*scores.left_out])]
    return "\n".join(lines) + "\n"


def _compared(scores: Scores) -> list[str]:
    """How far the others are below the best tracker, in Markdown."""
    best = next(iter(scores.ranked(compare.compared(scores))), "")
    rows = []
    for one in compare.differences(scores):
        if one.first == best:
            figure = compare.compared(scores)
            value, low, high = (scores.number(figure, v) for v in (one.value, one.low, one.high))
            rows.append([one.second, f"{value} [{low}, {high}]", f"{one.p:.2g}"])
    if not rows:
        return []
    label = scores.label(compare.compared(scores))
    title = f"{best} less each other tracker, {label}: paired, on the same sequences"
    heads = ["tracker", "difference [95 %]", "p"]
    return ["", title, "", *_markdown_table([heads, *rows])]


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


def differences_csv(scores: Scores) -> str:
    """One line per pair of trackers, compared on the same sequences."""
    figure = compare.compared(scores)
    rows = [[figure, *dataclasses.astuple(one)] for one in compare.differences(scores)]
    heads = ["measure", "tracker", "other", "difference", "low", "high", "p", "p_adjusted"]
    return _csv(scores, heads, rows)


def sequence_differences_csv(scores: Scores) -> str:
    """By how much each tracker is above the first of the ranking on each sequence."""
    first, *others = scores.ranked()
    rows = []
    for tracker in others:
        figure, found = compare.per_sequence(scores, tracker, first)
        rows += [[figure, tracker, first, name, value] for name, value in found.items()]
    return _csv(scores, ["measure", "tracker", "other", "sequence", "difference"], rows)


@dataclasses.dataclass(frozen=True)
class Entry:
    """One evaluation of a report.

    Attributes:
        scores: its figures.
        benchmark, results: the sequences and the folder of each tracker's result files, for the
            strips of frames with boxes; left out without them.
    """

    scores: Scores
    benchmark: Benchmark | None = None
    results: Mapping[str, Path] = dataclasses.field(default_factory=dict)


def write(
    out_dir: str | Path,
    scores: Scores,
    benchmark: Benchmark | None = None,
    results: Mapping[str, Path] | None = None,
    clip: str | Path | None = None,
    medium: str = "screen",
) -> Path:
    """Writes everything about an evaluation.

    Args:
        out_dir: gets scores.json, table.md, table.tex, attributes.tex, trackers.csv, sequences.csv,
            differences.csv, sequence_differences.csv, plots/ and report.html.
        benchmark, results: see `Entry`.
        clip: a .webm file to embed in the page.
        medium: sizes and formats of the plots, a name in `siamjax.evaluation.style.MEDIA`.

    Returns:
        The path of report.html.

    Raises:
        UserError: the folder cannot be written, or another process writes it; no such medium.
    """
    entries = {".": Entry(scores, benchmark, results or {})}
    with _alone(Path(out_dir), entries) as out:
        return _write_page(out, entries, style.medium(medium), clip)


def write_all(out_dir: str | Path, entries: Mapping[str, Entry], medium: str = "screen") -> Path:
    """Writes several evaluations on one page, with the curves of each attribute.

    Args:
        out_dir: gets a folder of each entry with the files of `write` but the page, table.tex with
            the main figure on each data set, and report.html.
        entries: by the name of their folder.
        medium: see `write`.

    Returns:
        The path of report.html.

    Raises:
        UserError: as `write`.
    """
    sizes = dataclasses.replace(style.medium(medium), attributes=True)
    with _alone(Path(out_dir), entries) as out:
        write_whole(out / "table.tex", latex.overview([entry.scores for entry in entries.values()]))
        return _write_page(out, entries, sizes)


@contextlib.contextmanager
def _alone(out: Path, entries: Mapping[str, Entry]) -> Iterator[Path]:
    """Holds a report's folder, without what killed processes left in it."""
    with Lock(out, ".report.lock", "wait for it to end, or choose another --out"):
        remove_partials(out, *(out / name / part for name in entries for part in (".", "plots")))
        yield out


def _write_page(
    out: Path, entries: Mapping[str, Entry], sizes: style.Medium, clip: str | Path | None = None
) -> Path:
    from siamjax.evaluation import canvas, plots  # matplotlib: 0.28 s that tables do not need

    styles = style.styles(entry.scores.ranked() for entry in entries.values())
    colours = {tracker: own.colour for tracker, own in styles.items()}
    sections = []
    for name, entry in entries.items():
        scores = entry.scores
        _write_tables(out / name, scores)
        drawn = plots.draw_all(scores, sizes, styles)
        svgs = {plot: canvas.to_svg(figure) for plot, figure in drawn.items()}
        plots.remove_others(out / name / "plots", drawn, sizes)
        canvas.save(drawn, out / name / "plots", sizes, svgs)
        shown = {t: colours[t] for t in scores.ranked()}
        frames = (
            strips.strips(entry.benchmark, entry.results, scores, shown) if entry.benchmark else []
        )
        sections.append(page.Section(scores, svgs, frames))
    return write_whole(out / "report.html", page.render(sections, colours, clip))


def _write_tables(out: Path, scores: Scores) -> None:
    write_whole(out / "scores.json", json.dumps(scores.to_dict(), indent=1, allow_nan=False) + "\n")
    write_whole(out / "table.md", markdown(scores))
    write_whole(out / "table.tex", latex.table(scores))
    write_whole(out / "trackers.csv", trackers_csv(scores))
    write_whole(out / "sequences.csv", sequences_csv(scores))
    several = len(scores.trackers) > 1
    for name, make, there in (
        ("attributes.tex", latex.attribute_tables, bool(scores.attributes)),
        ("differences.csv", differences_csv, several),
        ("sequence_differences.csv", sequence_differences_csv, several),
    ):
        if there:
            write_whole(out / name, make(scores))
        else:  # an earlier report's
            (out / name).unlink(missing_ok=True)
