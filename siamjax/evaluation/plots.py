"""The plots of a report as SVG and PNG, drawn by matplotlib without a display."""

import io
import math
import os
from pathlib import Path

from siamjax.evaluation.scoring import Scores

COLOURS = ("#d1495b", "#00798c", "#edae49", "#30638e", "#6a994e", "#8f2d56", "#5c677d", "#bc6c25")
TRUTH = "#2ca02c"


def colour(index: int) -> str:
    """The colour of the tracker at this place of the ranking."""
    return COLOURS[index % len(COLOURS)]


_SHARE = "share of frames"
# curve -> label of the thresholds, label of the values, measure that stands in the legend
AXES = {
    "success": ("overlap threshold", _SHARE, "success_auc"),
    "precision": ("centre distance (px)", _SHARE, "precision_20"),
    "normalised precision": (
        "centre distance / target size",
        _SHARE,
        "normalised_precision_20",
    ),
    "overlap": ("overlap threshold", _SHARE, "ao"),
    "expected overlap": ("length of the sequence (frames)", "expected overlap", "eao"),
}


def _figure(width: float = 5.4, height: float = 4.0):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure


def draw_all(scores: Scores) -> dict[str, object]:
    """Plot's name -> matplotlib figure, for everything the scores have."""
    from siamjax.evaluation.report import ranked

    order = ranked(scores)
    drawn = {
        name.replace(" ", "_"): _curve(scores, name, order)
        for name in scores.curves
        if name in AXES
    }
    if "long-term precision" in scores.curves:
        drawn["precision_recall"] = _precision_recall(scores, order)
        drawn["f_score"] = _f_score(scores, order)
    if all("accuracy" in row and _survival(row) is not None for row in scores.trackers.values()):
        drawn["accuracy_robustness"] = _accuracy_robustness(scores, order)
    if all("eao" in row for row in scores.trackers.values()):
        drawn["eao_ranking"] = _ranking(scores, order)
    main = next(iter(scores.attributes), None)
    if main is not None and len(scores.attributes[main]) >= 3:
        drawn["attributes"] = _radar(scores, order, main)
    return drawn


def _curve(scores: Scores, name: str, order: list[str]):
    from siamjax.evaluation.report import number

    thresholds, lines = scores.curves[name]
    x_label, y_label, measure = AXES[name]
    figure, axes = _titled(scores, name)
    for place, tracker in enumerate(order):
        value = number(measure, scores.trackers[tracker].get(measure))
        axes.plot(
            thresholds, lines[tracker], color=colour(place), lw=2, label=f"{tracker} [{value}]"
        )
    axes.set(xlabel=x_label, ylabel=y_label, ylim=(0, 1.02))
    if scores.interval is not None:
        axes.axvspan(*scores.interval, color="0.5", alpha=0.15, lw=0)
    axes.margins(x=0)
    axes.legend(fontsize=8, framealpha=0.8)
    return figure


def _titled(scores: Scores, title: str, **size):
    figure = _figure(**size)
    axes = figure.add_subplot()
    axes.set_title(f"{title} — {scores.dataset}\n{scores.count}", fontsize=10)
    axes.grid(alpha=0.3)
    return figure, axes


def _precision_recall(scores: Scores, order: list[str]):
    figure, axes = _titled(scores, "precision and recall")
    for place, tracker in enumerate(order):
        recall = scores.curves["long-term recall"][1][tracker]
        precision = scores.curves["long-term precision"][1][tracker]
        best = scores.trackers[tracker]
        axes.plot(recall, precision, color=colour(place), lw=2, label=tracker)
        axes.plot(best["recall"], best["precision"], "o", color=colour(place))
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(fontsize=8)
    return figure


def _f_score(scores: Scores, order: list[str]):
    import numpy as np

    figure, axes = _titled(scores, "F")
    for place, tracker in enumerate(order):
        recall = scores.curves["long-term recall"][1][tracker]
        precision = scores.curves["long-term precision"][1][tracker]
        total = precision + recall
        values = 2 * precision * recall / np.where(total > 0, total, 1)
        axes.plot(values, color=colour(place), lw=2, label=f"{tracker} [{values.max():.3f}]")
    axes.set(xlabel="threshold of confidence (rank, strictest first)", ylabel="F", ylim=(0, 1.02))
    axes.legend(fontsize=8)
    return figure


SENSITIVITY = 30  # frames over which the AR plot asks whether a tracker survives


def _survival(row: dict[str, float]) -> float | None:
    """The x of the AR plot; None for measures without failures."""
    if "reliability" in row:
        return row["reliability"]
    return math.exp(-SENSITIVITY * row["robustness"] / 100) if "robustness" in row else None


def _accuracy_robustness(scores: Scores, order: list[str]):
    """VOT's AR plot: accuracy over the chance to track 30 frames without failure."""
    figure, axes = _titled(scores, f"accuracy and robustness, S = {SENSITIVITY}")
    for place, tracker in enumerate(order):
        row = scores.trackers[tracker]
        axes.plot(_survival(row), row["accuracy"], "o", ms=9, color=colour(place), label=tracker)
    axes.set(
        xlabel=f"reliability: exp(-{SENSITIVITY} x failures per frame)",
        ylabel="accuracy",
        xlim=(0, 1.02),
        ylim=(0, 1.02),
    )
    axes.legend(fontsize=8)
    return figure


def _ranking(scores: Scores, order: list[str]):
    """EAO of the trackers side by side, with their bootstrap intervals."""
    figure, axes = _titled(scores, "expected average overlap")
    for place, tracker in enumerate(order):
        value = scores.trackers[tracker]["eao"]
        low, high = scores.intervals.get(tracker, {}).get("eao", (value, value))
        error = [[max(value - low, 0)], [max(high - value, 0)]]
        axes.bar(place, value, color=colour(place), yerr=error, capsize=4)
    axes.set_xticks(range(len(order)), order, rotation=20, ha="right", fontsize=8)
    axes.set(ylabel="EAO")
    return figure


def _radar(scores: Scores, order: list[str], measure: str):
    import numpy as np

    from siamjax.evaluation.report import label

    values = scores.attributes[measure]
    names = [name for name in values if np.isfinite(list(values[name].values())).any()]
    angles = np.linspace(0, 2 * np.pi, len(names), endpoint=False)
    figure = _figure(5.4, 5.0)
    axes = figure.add_subplot(projection="polar")
    for place, tracker in enumerate(order):
        ring = [values[name].get(tracker, np.nan) for name in names]
        axes.plot([*angles, angles[0]], [*ring, ring[0]], color=colour(place), lw=2, label=tracker)
    axes.set_xticks(angles, [name.replace("_", " ") for name in names], fontsize=8)
    axes.tick_params(axis="x", pad=14)
    axes.set_rlabel_position(180 / max(len(names), 1))  # between two rays
    axes.set_title(f"{label(measure)} by attribute — {scores.dataset}\n{scores.count}", fontsize=10)
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
    from siamjax.files import write_whole

    for name, figure in drawn.items():
        write_whole(folder / f"{name}.svg", to_svg(figure))
        save_png(figure, folder / f"{name}.png")


def save_png(figure, path: Path, dpi: int = 130) -> None:
    """Writes a figure as PNG, whole: temporary name, then rename."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    figure.savefig(temporary, format="png", dpi=dpi)
    os.replace(temporary, path)
