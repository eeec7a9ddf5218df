"""The plots of a report, from the descriptions that a measure gives."""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from siamjax.evaluation import attribute_plots, difference_plots, style
from siamjax.evaluation.canvas import MARKS, Canvas, finished
from siamjax.evaluation.scoring import Scores
from siamjax.evaluation.style import Medium, Style
from siamjax.measures import table
from siamjax.measures.result import Plot


def draw_all(
    scores: Scores, medium: Medium | None = None, styles: Mapping[str, Style] | None = None
) -> dict[str, Figure]:
    """Plot's name -> matplotlib figure, for everything the measure describes.

    Args:
        medium: sizes; None: those for the screen.
        styles: tracker -> looks; None: by the ranking.
    """
    medium = medium or style.MEDIA["screen"]
    canvas = Canvas(scores, medium, styles or style.styles([scores.ranked()]))
    drawers: dict[str, Callable[[], Figure]] = {}
    for name, plot in scores.plots.items():
        drawers[name] = partial(_draw, canvas, plot)
    main = next(iter(scores.attributes), None)
    if main is not None and attribute_plots.known(scores, main):
        drawers["attributes"] = partial(attribute_plots.markers, canvas, main)
    for name, plot in scores.plots.items():
        if medium.attributes and attribute_plots.has_panels(scores, plot):
            drawers[f"{name}_by_attribute"] = partial(attribute_plots.panels, canvas, plot)
    two = difference_plots.pair(scores)
    if two is not None:
        drawers["differences"] = partial(difference_plots.bars, canvas, *two)
    return finished(medium, drawers)


def remove_others(folder: Path, drawn: Collection[str], medium: Medium) -> None:
    """Removes plots of an earlier report that a new one does not replace; files of other names
    stay.

    Args:
        drawn: names of the new one's plots.
        medium: of the new one.
    """
    written = {f"{name}.{kind}" for name in drawn for kind in medium.formats}
    described = table.plot_names()
    panels = {f"{name}_by_attribute" for name in described}
    for name in described | panels | {"attributes", "differences"}:
        for kind in {kind for medium in style.MEDIA.values() for kind in medium.formats}:
            if f"{name}.{kind}" not in written:
                (folder / f"{name}.{kind}").unlink(missing_ok=True)


def _draw(canvas: Canvas, plot: Plot) -> Figure:
    scores = canvas.scores
    found = {tracker: _at(scores, plot, tracker) for tracker in scores.ranked(plot.figure)}
    shown = {tracker: at for tracker, at in found.items() if at is not None}
    named = canvas.named(list(shown), plot.figure)
    if plot.kind == "bars":
        return _bars(canvas, plot, named)
    figure = canvas.figure(plot.title, 0.66, list(named.values()))
    axes = figure.add_subplot()
    axes.grid(True)
    _KINDS[plot.kind](canvas, axes, plot, shown)
    axes.set(xlabel=plot.x, ylabel=plot.y)
    canvas.legend(figure, named, lines=plot.kind == "lines")
    return figure


def _at(scores: Scores, plot: Plot, tracker: str) -> tuple[Any, Any] | None:
    """x and y of a tracker, of a bar its height as y; None where there is nothing to draw."""
    try:
        bar = plot.kind == "bars"
        at = (0, scores.trackers[tracker][plot.figure]) if bar else plot.at(scores, tracker)
    except KeyError:
        return None
    return at if np.isfinite(np.asarray(at[1], np.float64)).any() else None


Shown = Mapping[str, tuple[Any, Any]]  # tracker -> x and y, in the order of the ranking


def _points(canvas: Canvas, axes: Axes, plot: Plot, shown: Shown) -> None:
    for tracker, at in shown.items():
        axes.plot(*at, **canvas.dot(tracker, 1.9))
    axes.set_xlim(style.limits([x for x, _ in shown.values()], 0.2))
    axes.set_ylim(style.limits([y for _, y in shown.values()], 0.2))


def _lines(canvas: Canvas, axes: Axes, plot: Plot, shown: Shown) -> None:
    scores = canvas.scores
    for place, (tracker, at) in enumerate(shown.items()):
        few = {"markevery": None} if len(at[0]) <= MARKS else {}  # a point alone has no line
        axes.plot(*at, **canvas.line(tracker, place, **few))
        if plot.mark is not None:
            mark = [scores.trackers[tracker][figure] for figure in plot.mark]
            axes.plot(*mark, **canvas.dot(tracker, 1.9))
    if plot.diagonal:
        axes.axline((0, 0), slope=1, color="0.6", lw=0.8, ls=":", zorder=0)
    elif scores.interval is not None:
        axes.axvspan(*scores.interval, color="0.5", alpha=0.15, lw=0)
    axes.set_ylim(style.limits([y for _, y in shown.values()]))
    drawn = [np.asarray(x, np.float64)[np.isfinite(y)] for x, y in shown.values()]
    # a diagonal is of two shares, of which the data may have one value
    low, high = (0.0, 1.01) if plot.diagonal else style.limits(drawn, 0.0)
    if plot.x_range is not None:
        low, high = max(low, plot.x_range[0]), min(high, plot.x_range[1])
    axes.set_xlim(low, high)


_KINDS: dict[str, Callable] = {"points": _points, "lines": _lines}


def _bars(canvas: Canvas, plot: Plot, named: Mapping[str, str]) -> Figure:
    """The trackers below each other, with their bootstrap intervals."""
    scores, rows = canvas.scores, range(len(named))
    figure = canvas.figure(plot.title, 0.14 + 0.058 * max(len(named), 2))
    axes = figure.add_subplot()
    axes.grid(True, axis="x")
    ends = [0.0]
    for row, tracker in zip(rows, named, strict=True):
        value = scores.trackers[tracker][plot.figure]
        low, high = scores.bounds(tracker, plot.figure) or (value, value)
        error = [[max(value - low, 0)], [max(high - value, 0)]]
        colour = canvas.styles[tracker].colour
        axes.barh(row, value, 0.62, color=colour, xerr=error, capsize=2, ecolor="0.15")
        ends += [value, high]
    axes.set_yticks(rows, list(named.values()))
    axes.tick_params(axis="y", length=0)  # a bar needs no mark
    axes.set_ylim(max(len(named), 1) - 0.4, -0.6)
    low, high = style.limits(ends)
    axes.set_xlim(low if min(ends) < 0 else 0, high)
    axes.set(xlabel=plot.y, ylabel=plot.x)
    return figure
