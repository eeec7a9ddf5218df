"""What a fine-tuning gained or lost, in the terminal."""

import json
from pathlib import Path

from siamjax.evaluation.scoring import Scores
from siamjax.files import write_whole
from siamjax.measures import bootstrap

FIGURE = "success_auc"


def lines(scores: Scores, before: str, after: str) -> list[str]:
    """A row per target, then the mean with its 95 % interval over the targets.

    Args:
        before, after: names of the two trackers.
    """
    old, new = scores.per_sequence[before], scores.per_sequence[after]
    width = max(map(len, [*old, "success AUC"]))
    rows = [f"{'success AUC':<{width}}  before   after  difference"]
    gains = []
    for name in old:
        was, now = old[name][FIGURE], new[name][FIGURE]
        gains.append(now - was)
        rows.append(f"{name:<{width}}  {was:6.3f}  {now:6.3f}  {now - was:+10.3f}")
    was, now = (scores.trackers[name][FIGURE] for name in (before, after))
    rows.append(f"{'mean':<{width}}  {was:6.3f}  {now:6.3f}  {now - was:+10.3f}")
    return [*rows, _verdict(gains)]


def _verdict(gains: list[float]) -> str:
    mean = sum(gains) / len(gains)
    what = "gain" if mean > 0 else "loss" if mean < 0 else "no change"
    if len(gains) < 2:
        return f"{what} of {abs(mean):.3f} on one target: too little to know what others give"
    low, high = bootstrap.of_mean(gains)
    sure = "" if low > 0 or high < 0 else "; the interval holds 0: it may be chance"
    interval = f"95 % interval over {len(gains)} targets {low:+.3f} to {high:+.3f}"
    return f"{what} of {abs(mean):.3f}, {interval}{sure}"


def write(out: Path, scores: Scores, before: str, after: str) -> None:
    """The same as `finetune.json`."""
    rows = {
        name: {tracker: scores.per_sequence[tracker][name][FIGURE] for tracker in (before, after)}
        for name in scores.per_sequence[before]
    }
    mean = {tracker: scores.trackers[tracker][FIGURE] for tracker in (before, after)}
    gains = [row[after] - row[before] for row in rows.values()]
    interval = bootstrap.of_mean(gains) if len(gains) > 1 else None
    found = {"figure": FIGURE, "targets": rows, "mean": mean, "interval_of_difference": interval}
    text = json.dumps(found, indent=1)
    write_whole(out / "finetune.json", text + "\n")
