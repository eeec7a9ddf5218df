"""Learning curve of a training run: every kept checkpoint, and the untrained network, on a
benchmark."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from siamjax.errors import UserError
from siamjax.evaluation.scoring import Scores
from siamjax.evaluation.validation import MEASURES


def untrained(config) -> tuple:
    """Config and the variables a run of it starts from.

    Raises:
        UserError: its `train.init_from` is not there or does not fit.
    """
    from siamjax import models
    from siamjax.training.loop import initial_variables

    return config, initial_variables(config, models.build(config))


def checkpoints(workdir) -> dict[int, Path]:
    """Step -> folder of each checkpoint that the run in `workdir` kept, oldest first.

    Raises:
        UserError: there is none.
    """
    from siamjax.training.checkpoint import saved_steps

    folder = Path(workdir) / "checkpoints"
    steps = saved_steps(folder)
    if not steps:
        raise UserError(f"{workdir}: no checkpoints; give the --workdir of run_train.py")
    return {step: folder / str(step) for step in steps}


def table(scores: Scores, names: dict[int, str], batch_size: int) -> dict[str, Any]:
    """The curve as JSON: dataset, measure, baselines {name: value}, and points, a list of
    {"step", "pairs", "mean", "per_sequence": {sequence: value}}, by rising step.

    Args:
        scores: of one evaluation of all checkpoints.
        names: step -> its tracker's name there.
        batch_size: training pairs per step.
    """
    found = scores.trackers
    measure = next(m for m in MEASURES if m in found[next(iter(names.values()))])
    points = [
        {
            "step": step,
            "pairs": step * batch_size,
            "mean": found[name][measure],
            "per_sequence": {
                sequence: values[measure]
                for sequence, values in scores.per_sequence[name].items()
                if measure in values
            },
        }
        for step, name in sorted(names.items())
    ]
    others = [name for name in found if name not in names.values()]
    return {
        "dataset": scores.dataset,
        "sequences": list(scores.sequences),
        "measure": measure,
        "baselines": {name: found[name][measure] for name in others},
        "points": points,
    }


def plot(path: Path, curve: dict[str, Any], lines: dict[str, float]) -> None:
    """The curve as PNG: the mean, each sequence in thin lines, and `lines` (name -> value) and the
    baselines as levels."""
    from matplotlib.figure import Figure

    from siamjax.evaluation.plots import save_png

    points = curve["points"]
    pairs = [point["pairs"] for point in points]
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for sequence in points[0]["per_sequence"]:
        values = [point["per_sequence"].get(sequence, float("nan")) for point in points]
        axes.plot(pairs, values, lw=0.8, alpha=0.6, label=sequence)
    axes.plot(pairs, [point["mean"] for point in points], "k-o", lw=2, label="mean")
    for i, (name, value) in enumerate((curve["baselines"] | lines).items()):
        style = ("--", ":", "-.")[i % 3]
        axes.axhline(value, color="0.35", ls=style, lw=1.2, label=f"{name} {value:.3f}")
    count = "{} of {} sequences".format(*curve["sequences"])
    axes.set(
        xlabel="training pairs",
        ylabel=curve["measure"].replace("_", " "),
        ylim=(0, 1),
        title=f"{curve['dataset']}: {count}",
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.01, 0.5))
    save_png(figure, path)


def parse_lines(text: str) -> dict[str, float]:
    """`CSRT=0.704,other=0.7` -> names and values.

    Raises:
        UserError: not of that form.
    """
    lines = {}
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        try:
            lines[name] = float(value)
        except ValueError:
            raise UserError(f"--lines={text}: give NAME=VALUE by comma") from None
    return lines


def markdown(curve: dict[str, Any]) -> str:
    """The curve as a Markdown table: a row per checkpoint."""
    sequences: Sequence[str] = list(curve["points"][0]["per_sequence"])
    rows = [
        ["pairs", "mean", *sequences],
        ["---:"] * (2 + len(sequences)),
        *(
            [f"{p['pairs']:,}", f"{p['mean']:.3f}"]
            + [f"{p['per_sequence'].get(s, float('nan')):.3f}" for s in sequences]
            for p in curve["points"]
        ),
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
