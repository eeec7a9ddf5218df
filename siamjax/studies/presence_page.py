"""The table and the picture of `siamjax study presence`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from siamjax.evaluation import tables
from siamjax.evaluation.canvas import save_png
from siamjax.evaluation.style import COLOURS
from siamjax.measures import calibration


def table(judged: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown: a row for score and presence on each set of clips."""
    figures = ["AUROC of lost frames", "calibration error", "lost frames found at 5 % false alarms"]
    rows = [["judged on", "by", *figures]]
    for where, row in judged.items():
        clips = f"{where}: {row['clips']} clips, {row['frames']:,} frames, {row['lost']:,} lost"
        for name in ("score", "presence"):
            own = row[name]
            error, found = own["calibration_error"], own["found_at_5"]
            rows.append([clips, name, f"{own['auroc']:.3f}", f"{error:.3f}", f"{found:.0%}"])
    return tables.markdown(rows, texts=2)


def draw(path: Path, judged: Mapping[str, Mapping[str, calibration.Frames]]) -> None:
    """Above the share of boxes that hold the target over what was said, below how many frames."""
    figure = Figure(figsize=(0.6 + 4.2 * len(judged), 5.4), layout="constrained")
    panels = figure.subplots(
        2, len(judged), squeeze=False, sharex=True, height_ratios=(3, 1), sharey="row"
    )
    for column, (where, each) in zip(panels.T, judged.items(), strict=True):
        upper, lower = column
        upper.axline((0, 0), slope=1, color="0.6", lw=0.8, ls=":")
        for i, (name, frames) in enumerate(each.items()):
            counts, (said, good) = calibration.reliability(frames)
            known = counts > 0
            error = calibration.calibration_error(counts, np.stack([said, good]))
            label = f"{name} (error {error:.3f})"
            upper.plot(said[known], good[known], "os"[i] + "-", color=COLOURS[i], label=label)
            places = (np.arange(calibration.BINS) + 0.3 + 0.4 * i) / calibration.BINS
            lower.bar(places, counts / counts.sum(), 0.4 / calibration.BINS, color=COLOURS[i])
        upper.set(title=where, xlim=(0, 1), ylim=(0, 1.02))
        upper.legend(loc="upper left", fontsize=8)
        upper.grid(alpha=0.3)
        lower.set_xlabel("score or presence")
    panels[0, 0].set_ylabel("share with overlap of at least 0.5")
    panels[1, 0].set_ylabel("share of frames")
    save_png(figure, path, dpi=110)
