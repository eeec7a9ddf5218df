"""Scores -> tables (terminal, Markdown, CSV, LaTeX), scores.json, plots and one HTML page."""

import csv
import io
import json
from pathlib import Path

import numpy as np

from siamjax.datasets.registry import Benchmark
from siamjax.evaluation.protocols import EXPERIMENTS
from siamjax.evaluation.scoring import Scores
from siamjax.files import write_whole

LABELS = {
    "success_auc": "success AUC",
    "precision_20": "precision @20 px",
    "normalised_precision_20": "norm. precision @0.2",
    "op_50": "OP 0.5",
    "op_75": "OP 0.75",
    "mean_overlap": "mean overlap",
    "eao": "EAO",
    "lost": "failures",
    "robustness": "robustness (lost per 100)",
    "weighted_lost": "failures per sequence, by length",
    "reliability": "reliability (30 frames)",
    "robustness_share": "robustness (share tracked)",
    "f_score": "F",
    "ao": "AO",
    "sr_50": "SR 0.5",
    "sr_75": "SR 0.75",
    "fps": "frames/s",
    "fps_with_reading": "frames/s with reading",
}
LOWER_IS_BETTER = {"robustness", "lost", "weighted_lost"}
_SPEEDS = {"fps", "fps_with_reading"}


def label(measure: str) -> str:
    """A measure's name as tables and plots print it."""
    return LABELS.get(measure, measure.replace("_", " "))


def number(measure: str, value: float | None) -> str:
    """A figure as tables print it; "-" where there is none."""
    if value is None or not np.isfinite(value):
        return "-"
    if measure in _SPEEDS:
        return f"{value:.1f}"
    return f"{value:.1f}" if measure == "lost" else f"{value:.3f}"


def measures(scores: Scores) -> list[str]:
    """The measures that any tracker has, in the order of the first that has them."""
    names: dict[str, None] = {}
    for row in scores.trackers.values():
        names.update(dict.fromkeys(row))
    return list(names)


def ranked(scores: Scores) -> list[str]:
    """Trackers, best of the main measure first."""
    main = main_measure(scores)
    sign = 1 if main in LOWER_IS_BETTER else -1

    def place(name):
        value = scores.trackers[name].get(main, np.nan)
        return (not np.isfinite(value), sign * value)

    return sorted(scores.trackers, key=place)


def main_measure(scores: Scores) -> str:
    """The measure trackers are ranked by: the first one; "" where there is none."""
    return next(iter(measures(scores)), "")


def caption(scores: Scores) -> str:
    """One line that every table carries: what was scored, on how much of it, by which overlap."""
    brackets = "; brackets: 95 % bootstrap over sequences" if scores.intervals else ""
    return (
        f"{scores.dataset}: {scores.count}; protocol {EXPERIMENTS[scores.protocol].text};"
        f" overlap {scores.overlap}{brackets}"
    )


def _cell(scores: Scores, tracker: str, measure: str) -> str:
    text = number(measure, scores.trackers[tracker].get(measure))
    bounds = scores.intervals.get(tracker, {}).get(measure)
    if bounds is None or text == "-":
        return text
    return f"{text} [{number(measure, bounds[0])}, {number(measure, bounds[1])}]"


def rows(scores: Scores) -> list[list[str]]:
    """Header and one row per tracker, as text."""
    columns = measures(scores)
    table = [["tracker", *map(label, columns)]]
    for tracker in ranked(scores):
        table.append([tracker, *(_cell(scores, tracker, measure) for measure in columns)])
    return table


def terminal(scores: Scores) -> str:
    """A table for the terminal: a block per tracker where the row would be too wide."""
    columns = measures(scores)
    plain = [["tracker", *map(label, columns)]]
    for tracker in ranked(scores):
        values = scores.trackers[tracker]
        plain.append([tracker, *(number(m, values.get(m)) for m in columns)])
    widths = [max(len(row[i]) for row in plain) for i in range(len(plain[0]))]
    lines = [caption(scores).split("; brackets")[0]]
    for row in plain:
        cells = [row[0].ljust(widths[0])] + [
            cell.rjust(width) for cell, width in zip(row[1:], widths[1:])
        ]
        lines.append("  ".join(cells))
    main = main_measure(scores)
    for tracker in ranked(scores):
        bounds = scores.intervals.get(tracker, {}).get(main)
        if bounds is not None and np.isfinite(bounds).all():
            low, high = (number(main, value) for value in bounds)
            lines.append(f"{tracker}: {label(main)} 95 % interval over sequences {low} .. {high}")
    return "\n".join(lines)


def markdown(scores: Scores) -> str:
    """The table in Markdown, with a caption."""
    header, *body = rows(scores)
    lines = [caption(scores), ""]
    lines.append("| " + " | ".join(header) + " |")
    lines.append("|" + " --- |" * len(header))
    lines += ["| " + " | ".join(row) + " |" for row in body]
    for measure, by_attribute in scores.attributes.items():
        lines += ["", f"{label(measure)} by attribute ({scores.count})", ""]
        lines.append("| attribute | " + " | ".join(ranked(scores)) + " |")
        lines.append("|" + " --- |" * (len(scores.trackers) + 1))
        for attribute, values in by_attribute.items():
            cells = [number(measure, values.get(tracker)) for tracker in ranked(scores)]
            lines.append(f"| {attribute} | " + " | ".join(cells) + " |")
    lines += _left_out(scores)
    return "\n".join(lines) + "\n"


def _left_out(scores: Scores) -> list[str]:
    if not scores.left_out:
        return []
    return ["", f"Not scored ({len(scores.left_out)}): " + ", ".join(scores.left_out)]


def latex(scores: Scores) -> str:
    """Rows for a LaTeX tabular; the caption stands in a comment, the best figure of a column in
    bold."""
    columns = measures(scores)
    lines = [f"% {caption(scores)}".replace("95 %", "95 percent")]
    lines.append(" & ".join(["Tracker", *(label(m).replace("_", r"\_") for m in columns)]) + r" \\")
    best = {}
    for measure in columns:
        values = [row[measure] for row in scores.trackers.values() if measure in row]
        best[measure] = (min if measure in LOWER_IS_BETTER else max)(values)
    for tracker in ranked(scores):
        cells = [tracker.replace("_", r"\_")]
        for measure in columns:
            value = scores.trackers[tracker].get(measure)
            text = number(measure, value)
            cells.append(rf"\textbf{{{text}}}" if value == best[measure] and text != "-" else text)
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join(lines) + "\n"


def trackers_csv(scores: Scores) -> str:
    """One line per tracker and measure: value and interval."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["dataset", "sequences", "of", "tracker", "measure", "value", "low", "high"])
    for tracker in ranked(scores):
        for measure, value in scores.trackers[tracker].items():
            low, high = scores.intervals.get(tracker, {}).get(measure, ("", ""))
            writer.writerow([scores.dataset, *scores.sequences, tracker, measure, value, low, high])
    return out.getvalue()


def sequences_csv(scores: Scores) -> str:
    """One line per tracker and sequence."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    columns = _sequence_measures(scores)
    writer.writerow(["dataset", "sequences", "of", "tracker", "sequence", *columns])
    for tracker in ranked(scores):
        for sequence, values in scores.per_sequence.get(tracker, {}).items():
            cells = [values.get(measure, "") for measure in columns]
            writer.writerow([scores.dataset, *scores.sequences, tracker, sequence, *cells])
    return out.getvalue()


def _sequence_measures(scores: Scores) -> list[str]:
    names: dict[str, None] = {}
    for by_sequence in scores.per_sequence.values():
        for values in by_sequence.values():
            names.update(dict.fromkeys(values))
    return list(names)


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
    from siamjax.evaluation import page, plots

    out = Path(out_dir)
    write_whole(out / "scores.json", json.dumps(scores.to_dict(), indent=1, allow_nan=False) + "\n")
    write_whole(out / "table.md", markdown(scores))
    write_whole(out / "table.tex", latex(scores))
    write_whole(out / "trackers.csv", trackers_csv(scores))
    write_whole(out / "sequences.csv", sequences_csv(scores))
    drawn = plots.draw_all(scores)
    plots.save(drawn, out / "plots")
    write_whole(out / "report.html", page.render(scores, drawn, benchmark, results or {}, clip))
    return out / "report.html"
