"""Where two trackers differ: a bar per sequence."""

import numpy as np
from matplotlib.figure import Figure

from siamjax.evaluation import compare, style
from siamjax.evaluation.canvas import Canvas, short
from siamjax.evaluation.scoring import Scores

SIDE = 12  # sequences named on either side, those with the largest differences


def pair(scores: Scores) -> tuple[str, str] | None:
    """The first two of the ranking where their sequences have values to compare."""
    first = scores.ranked()[:2]
    if len(first) < 2 or len(compare.per_sequence(scores, first[0], first[1])[1]) < 2:
        return None
    return first[0], first[1]


def bars(canvas: Canvas, first: str, second: str) -> Figure:
    """The sequences on which one tracker is farthest above the other, and farthest below."""
    scores = canvas.scores
    name, found = compare.per_sequence(scores, first, second)
    figure_of = scores.figures[name]
    better = -1 if figure_of.lower_is_better else 1
    above = sum(better * value > 0 for value in found.values())
    below = sum(better * value < 0 for value in found.values())
    shown = list(found.items())
    if len(shown) > 2 * SIDE:
        shown = [*shown[:SIDE], *shown[-SIDE:]]
    named = {
        first: f"{short(first)} better on {above} of {len(found)}",
        second: f"{short(second)} better on {below}",
    }
    title = f"{scores.label(name)}, differences by sequence"
    figure = canvas.figure(title, 0.12 + 0.043 * len(shown), list(named.values()))
    axes = figure.add_subplot()
    axes.grid(True, axis="x")
    rows = np.arange(len(shown), dtype=float)
    if len(found) > len(shown):
        rows[SIDE:] += 1  # a gap for those in between
        axes.axhline(SIDE, color="0.6", lw=0.7, ls=":")
    values = np.array([value for _, value in shown])
    winners = [first if better * value >= 0 else second for value in values]
    axes.barh(rows, values, 0.7, color=[canvas.styles[winner].colour for winner in winners])
    axes.axvline(0, color="0.2", lw=0.7)
    axes.set_yticks(rows, [sequence for sequence, _ in shown], fontsize=canvas.medium.font * 0.8)
    axes.set_ylim(rows[-1] + 0.6, -0.6)
    axes.set_xlim(style.limits([values, [0.0]]))
    axes.set_xlabel(f"{scores.label(name)}: {short(first)} less {short(second)}")
    canvas.legend(figure, named, lines=False)
    return figure
