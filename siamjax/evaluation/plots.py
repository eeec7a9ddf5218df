"""The plots of a report as SVG and PNG, drawn by matplotlib without a display."""

import io
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from siamjax.evaluation.scoring import Scores
from siamjax.files import write_whole
from siamjax.measures.result import Plot

COLOURS = ("#d1495b", "#00798c", "#edae49", "#30638e", "#6a994e", "#8f2d56", "#5c677d", "#bc6c25")
TRUTH = "#2ca02c"
TOP = 1.02  # of an axis for shares


def colour(index: int) -> str:
    """The colour of the tracker at this place of the ranking."""
    return COLOURS[index % len(COLOURS)]


def draw_all(scores: Scores) -> dict[str, Figure]:
    """Plot's name -> matplotlib figure, for everything the measure describes."""
    drawn = {name: _draw(scores, plot) for name, plot in scores.plots.items()}
    main = next(iter(scores.attributes), None)
    if main is not None and len(scores.attributes[main]) >= 3:
        drawn["attributes"] = _radar(scores, main)
    return drawn


def _titled(scores: Scores, title: str, height: float, projection: str | None = None) -> Any:
    """A figure and its only axes."""
    figure = Figure(figsize=(5.4, height), layout="constrained")
    axes = figure.add_subplot(projection=projection)
    axes.set_title(f"{title} — {scores.dataset}\n{scores.count}", fontsize=10)
    return figure, axes


def _draw(scores: Scores, plot: Plot) -> Figure:
    figure, axes = _titled(scores, plot.title, 4.0)
    axes.grid(alpha=0.3)
    _KINDS[plot.kind](scores, plot, axes)
    axes.set(xlabel=plot.x, ylabel=plot.y)
    return figure


def _lines(scores: Scores, plot: Plot, axes: Axes) -> None:
    for place, tracker in enumerate(scores.ranked()):
        row = scores.trackers[tracker]
        value = f" [{scores.number(plot.figure, row[plot.figure])}]" if plot.figure else ""
        axes.plot(*plot.at(scores, tracker), color=colour(place), lw=2, label=f"{tracker}{value}")
        if plot.mark is not None:
            axes.plot(*(row[figure] for figure in plot.mark), "o", color=colour(place))
    axes.set_ylim(0, TOP)
    if scores.interval is not None:
        axes.axvspan(*scores.interval, color="0.5", alpha=0.15, lw=0)
    if plot.x_range is None:
        axes.margins(x=0)
    else:
        axes.set_xlim(plot.x_range)
    axes.legend(fontsize=8)


def _points(scores: Scores, plot: Plot, axes: Axes) -> None:
    for place, tracker in enumerate(scores.ranked()):
        axes.plot(*plot.at(scores, tracker), "o", ms=9, color=colour(place), label=tracker)
    axes.set(xlim=(0, TOP), ylim=(0, TOP))
    axes.legend(fontsize=8)


def _bars(scores: Scores, plot: Plot, axes: Axes) -> None:
    """The trackers side by side, with their bootstrap intervals."""
    order = scores.ranked()
    for place, tracker in enumerate(order):
        value = scores.trackers[tracker][plot.figure]
        low, high = scores.bounds(tracker, plot.figure) or (value, value)
        error = [[max(value - low, 0)], [max(high - value, 0)]]
        axes.bar(place, value, color=colour(place), yerr=error, capsize=4)
    axes.set_xticks(range(len(order)), order, rotation=20, ha="right", fontsize=8)


_KINDS = {"lines": _lines, "points": _points, "bars": _bars}


def _radar(scores: Scores, measure: str) -> Figure:
    values = scores.attributes[measure]
    names = [name for name in values if np.isfinite(list(values[name].values())).any()]
    angles = np.linspace(0, 2 * np.pi, len(names), endpoint=False)
    figure, axes = _titled(scores, f"{scores.label(measure)} by attribute", 5.0, "polar")
    for place, tracker in enumerate(scores.ranked()):
        ring = [values[name].get(tracker, np.nan) for name in names]
        axes.plot([*angles, angles[0]], [*ring, ring[0]], color=colour(place), lw=2, label=tracker)
    axes.set_xticks(angles, [name.replace("_", " ") for name in names], fontsize=8)
    axes.tick_params(axis="x", pad=14)
    axes.set_rlabel_position(180 / max(len(names), 1))  # between two rays
    figure.legend(loc="outside lower center", ncols=3, fontsize=8)
    return figure


def to_svg(figure: Figure) -> str:
    """SVG text that may stand inside HTML; the same bytes for the same figure."""
    out = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "siamjax"}):
        figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]


def save(drawn: dict[str, Figure], folder: Path) -> None:
    """Writes `<name>.png` and `<name>.svg` for each plot, each whole."""
    for name, figure in drawn.items():
        write_whole(folder / f"{name}.svg", to_svg(figure))
        save_png(figure, folder / f"{name}.png")


def save_png(figure: Figure, path: Path, dpi: int = 130) -> None:
    """Writes a figure as PNG, whole."""
    write_whole(path, lambda file: figure.savefig(file, format="png", dpi=dpi))
