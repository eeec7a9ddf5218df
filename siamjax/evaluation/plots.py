"""The plots of a report as SVG and PNG, drawn by matplotlib without a display."""

import io
import os
from pathlib import Path

from siamjax.evaluation.scoring import Scores

COLOURS = ("#d1495b", "#00798c", "#edae49", "#30638e", "#6a994e", "#8f2d56", "#5c677d", "#bc6c25")
TRUTH = "#2ca02c"


def colour(index: int) -> str:
    """The colour of the tracker at this place of the ranking."""
    return COLOURS[index % len(COLOURS)]


AXES = {
    "success": ("overlap threshold", "share of frames", "success_auc"),
    "precision": ("centre distance (px)", "share of frames", "precision_20"),
    "normalised precision": (
        "centre distance / target size",
        "share of frames",
        "normalised_precision_20",
    ),
}


def _figure(width: float = 5.4, height: float = 4.0):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure


def draw_all(scores: Scores) -> dict[str, object]:
    """Plot's name -> matplotlib figure, one for each curve the scores have."""
    from siamjax.evaluation.report import ranked

    order = ranked(scores)
    drawn = {name.replace(" ", "_"): _curve(scores, name, order) for name in scores.curves}
    if len(scores.attributes) >= 3:
        drawn["attributes"] = _radar(scores, order)
    return drawn


def _curve(scores: Scores, name: str, order: list[str]):
    from siamjax.evaluation.report import number

    thresholds, lines = scores.curves[name]
    x_label, y_label, measure = AXES[name]
    figure = _figure()
    axes = figure.add_subplot()
    for place, tracker in enumerate(order):
        value = number(measure, scores.trackers[tracker].get(measure))
        axes.plot(
            thresholds, lines[tracker], color=colour(place), lw=2, label=f"{tracker} [{value}]"
        )
    axes.set(xlabel=x_label, ylabel=y_label, ylim=(0, 1.02))
    axes.set_title(f"{name} — {scores.dataset}\n{scores.count}", fontsize=10)
    axes.margins(x=0)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, framealpha=0.8)
    return figure


def _radar(scores: Scores, order: list[str]):
    import numpy as np

    names = list(scores.attributes)
    angles = np.linspace(0, 2 * np.pi, len(names), endpoint=False)
    figure = _figure(5.4, 5.0)
    axes = figure.add_subplot(projection="polar")
    for place, tracker in enumerate(order):
        values = [scores.attributes[name].get(tracker, np.nan) for name in names]
        axes.plot(
            [*angles, angles[0]], [*values, values[0]], color=colour(place), lw=2, label=tracker
        )
    axes.set_xticks(angles, [name.replace("_", " ") for name in names], fontsize=8)
    axes.set_title(f"by attribute — {scores.dataset}\n{scores.count}", fontsize=10)
    figure.legend(loc="outside lower center", ncols=3, fontsize=8)
    return figure


def to_svg(figure) -> str:
    """SVG text that may stand inside HTML; the same bytes for the same figure."""
    import matplotlib

    out = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "siamjax"}):
        figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]


def save(drawn: dict, folder: Path) -> None:
    """Writes `<name>.png` and `<name>.svg` for each plot, each whole."""
    from siamjax.benchmarks.tables import write_whole

    for name, figure in drawn.items():
        write_whole(folder / f"{name}.svg", to_svg(figure))
        temporary = folder / f".{name}.{os.getpid()}.tmp"
        figure.savefig(temporary, format="png", dpi=130)
        os.replace(temporary, folder / f"{name}.png")
