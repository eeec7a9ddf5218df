"""Plots by attribute, tag or class: a row of markers each, a panel of curves each."""

import numpy as np
from matplotlib.figure import Figure

from siamjax.evaluation import style
from siamjax.evaluation.canvas import WIDE, Canvas, short
from siamjax.evaluation.scoring import Scores
from siamjax.measures.result import Plot

PANELS = 24  # attributes with curves in one figure, the most frequent ones
ROWS = 40  # attributes in one figure of markers, the most frequent ones


def known(scores: Scores, measure: str) -> list[str]:
    """Attributes for which some tracker has a value of a figure, those that rest on most first."""
    values = scores.attributes.get(measure, {})
    found = [name for name in values if np.isfinite(list(values[name].values())).any()]

    def size(name: str) -> int:
        return int(scores.attribute_sizes.get(name, "0").split()[0].replace(",", ""))

    return sorted(found, key=size, reverse=True)


def has_panels(scores: Scores, plot: Plot) -> bool:
    """Whether there are curves of attributes for a plot."""
    curves = plot.data is None and plot.title in scores.attribute_curves
    return curves and bool(known(scores, plot.figure))


def _titled(scores: Scores, title: str, measure: str, most: int) -> str:
    count = len(known(scores, measure))
    return f"{title} by attribute" + (f", {most} of {count}" if count > most else "")


def markers(canvas: Canvas, measure: str) -> Figure:
    """A row of markers for each attribute, the easiest on top."""
    scores, values = canvas.scores, canvas.scores.attributes[measure]
    lower = scores.figures[measure].lower_is_better
    names = known(scores, measure)[:ROWS]
    table = {name: [values[name].get(t, np.nan) for t in scores.trackers] for name in names}
    names.sort(key=lambda name: np.nanmean(table[name]), reverse=not lower)
    order, rows = scores.ranked(measure), np.arange(len(names))
    named = canvas.named(order, measure)
    title = _titled(scores, scores.label(measure), measure, ROWS)
    figure = canvas.figure(title, 0.16 + 0.052 * len(names), list(named.values()))
    axes = figure.add_subplot()
    axes.grid(True, axis="x")
    ends = np.array([table[name] for name in names])
    axes.hlines(rows, np.nanmin(ends, 1), np.nanmax(ends, 1), color="0.75", lw=0.8, zorder=0)
    for tracker in reversed(order):  # the best on top of the others
        row = [values[name].get(tracker, np.nan) for name in names]
        axes.plot(row, rows, **canvas.dot(tracker, 1.4))
    axes.set_yticks(rows, [scores.sized(name) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(style.limits([ends]))
    axes.set_xlabel(scores.label(measure))
    canvas.legend(figure, named, lines=False)
    return figure


def panels(canvas: Canvas, plot: Plot) -> Figure:
    """The curves of each attribute beside each other, above each panel the best tracker."""
    scores, curves = canvas.scores, canvas.scores.attribute_curves[plot.title]
    values, medium = scores.attributes[plot.figure], canvas.medium
    names = [name for name in known(scores, plot.figure) if name in curves][:PANELS]
    columns = min(4, len(names))
    lines = -(-len(names) // columns)
    order = scores.ranked(plot.figure)
    title = _titled(scores, plot.title, plot.figure, PANELS)
    figure = canvas.figure(title, 0.1 + 0.5 * lines, order, WIDE)
    grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    thresholds = scores.curves[plot.title][0]
    sign = 1 if scores.figures[plot.figure].lower_is_better else -1
    for place, axes in enumerate(grid.flat):
        if place >= len(names):
            axes.set_axis_off()
            continue
        name = names[place]
        axes.grid(True)
        for i, tracker in enumerate(order):
            line = canvas.line(tracker, i, linewidth=medium.line * 0.8)
            axes.plot(thresholds, curves[name][tracker], **line)
        best = min(order, key=lambda t: (np.isnan(values[name][t]), sign * values[name][t]))
        first = f"{short(best)} {scores.number(plot.figure, values[name][best])}"
        axes.set_title(f"{scores.sized(name)}\n{first}", fontsize=medium.font * 0.9)
        if place % columns == 0:
            axes.set_ylabel(plot.y)
        if place >= (lines - 1) * columns:
            axes.set_xlabel(plot.x)
    grid[0, 0].set_xlim(style.limits([thresholds], 0.0))
    grid[0, 0].set_ylim(style.limits([y for name in names for y in curves[name].values()]))
    canvas.legend(figure, canvas.named(order))
    return figure
