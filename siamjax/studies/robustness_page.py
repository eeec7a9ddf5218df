"""The table and the picture of `siamjax study robustness`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from siamjax.evaluation import tables
from siamjax.evaluation.canvas import save_png
from siamjax.evaluation.style import COLOURS

# figure -> heading, format
COLUMNS = {
    "success_auc": ("success AUC", "{:.3f}"),
    "first_auc": ("plain, from the first frame", "{:.3f}"),
    "lost": ("lost frames per 1,000", "{:.0f}"),
    "losses": ("losses per 1,000", "{:.2f}"),
    "shift": ("shift (px of the crop)", "{:+.2f}"),
    "shift_width": ("shift (of the width)", "{:+.3f}"),
    "size": ("size", "{:.2f}"),
    "displaced": ("displaced search", "{:.2f}"),
}
DRAWN = ("success_auc", "lost", "losses", "displaced")

Row = dict[str, float | None]


def means(rows: Mapping[str, Row]) -> Row:
    """Of each figure over the targets that have it; of the shifts also without their signs."""
    found: Row = {}
    for name in COLUMNS:
        values = [row[name] for row in rows.values()]
        found[name] = tables.mean(values)
        if name.startswith("shift"):
            found[f"{name}_size"] = tables.mean(v if v is None else abs(v) for v in values)
    return found


def table(result: Mapping[str, Any]) -> str:
    """Markdown: a table for each tracker, and the differences where there are two."""
    parts = []
    for name, tracker in result["trackers"].items():
        head = [name, *(heading for heading, _ in COLUMNS.values())]
        rows = [_cells(target, row) for target, row in tracker["targets"].items()]
        rows.append(_cells("mean", tracker["mean"]))
        parts.append(tables.markdown([head, *rows]))
    if "difference" in result:
        first, second = result["trackers"]
        head = [f"{first} against {second}", "gain", "other targets (95 %)", "other runs (95 %)"]
        rows = [_gain(name, row) for name, row in result["difference"].items()]
        parts.append(tables.markdown([head, *rows]))
    return "\n".join(parts)


def _cells(target: str, row: Row) -> list[str]:
    return [target, *(_text(row[name], form) for name, (_, form) in COLUMNS.items())]


def _text(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def _gain(name: str, row: Mapping[str, Any]) -> list[str]:
    heading, form = COLUMNS[name]
    signed = form.replace(":", ":+")
    less = "" if name == "success_auc" else ", fewer"
    cells = [heading + less, signed.format(row["gain"])]
    for interval in (row["interval"], row["interval_runs"]):
        cells.append(" to ".join(signed.format(value) for value in interval))
    return cells


def draw(path: Path, result: Mapping[str, Any]) -> None:
    """A panel per figure, a bar per target and tracker, the mean as a line."""
    trackers = result["trackers"]
    targets = list(next(iter(trackers.values()))["targets"])
    shown = [name for name in DRAWN if any(t["mean"][name] is not None for t in trackers.values())]
    figure = Figure(figsize=(1.4 + 2.5 * len(shown), 1.4 + 0.28 * len(targets)))
    figure.set_layout_engine("constrained")
    panels = figure.subplots(1, len(shown), squeeze=False, sharey=True)[0]
    places, height = np.arange(len(targets)), 0.8 / len(trackers)
    for panel, figure_name in zip(panels, shown, strict=True):
        for i, (name, tracker) in enumerate(trackers.items()):
            values = [row[figure_name] or 0.0 for row in tracker["targets"].values()]
            middle = places + (i - (len(trackers) - 1) / 2) * height
            panel.barh(middle, values, height, color=COLOURS[i], label=name)
            if tracker["mean"][figure_name] is not None:
                panel.axvline(tracker["mean"][figure_name], color=COLOURS[i], lw=1, ls="--")
        panel.set_xlabel(COLUMNS[figure_name][0])
        panel.grid(True, axis="x", alpha=0.3)
    panels[0].set_yticks(places, targets)
    panels[0].invert_yaxis()
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
    save_png(figure, path, dpi=110)
