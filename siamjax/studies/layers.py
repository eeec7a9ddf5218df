"""What layers 3, 4, 5 and their sums give (SiamRPN++, section 3.3)."""

import itertools
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from siamjax.errors import UserError
from siamjax.evaluation.style import MEDIA, style
from siamjax.studies import scores
from siamjax.studies.found import Found, save
from siamjax.studies.runs import Run, Setting, Variant
from siamjax.training import metrics

CONFIG = "studies"
QUESTION = "What do the backbone's layers 3, 4 and 5 give, alone and summed?"
SOURCE = "SiamRPN++, section 3.3, layer-wise aggregation, and the table of ablations"
FIGURES = scores.AUC | scores.EAO
RESNETS = ("resnet18", "resnet34", "resnet50")
PAPER = {2: 3, 3: 4, 4: 5}  # level by index -> the paper's number of the layer
DEFAULT = ((2,), (3,), (4,), (3, 4), (2, 3, 4))


def variants(setting: Setting) -> list[Variant]:
    """Sums of layers with learned weights, those of several also with equal ones; --full: all.

    Raises:
        UserError: a backbone without these layers.
    """
    if setting.base.model.backbone not in RESNETS:
        raise UserError(
            f"--config: layers 3, 4, 5 are a ResNet's, not {setting.base.model.backbone}'s"
        )
    sets: Sequence[tuple[int, ...]] = DEFAULT
    if setting.full:
        sets = [c for size in (1, 2, 3) for c in itertools.combinations(PAPER, size)]
    means = [levels for levels in sets if len(levels) > 1]
    adjust = tuple(setting.base.model.adjust_channels)
    parts = tuple(setting.base.train.unfreeze_layers)

    def variant(levels, weighted):
        beyond = {f"layer{number}" for number in range(levels[-1] + 1, 5)}  # they are not built
        trained = tuple(part for part in parts if part not in beyond)
        fields = {
            "model.levels": levels,
            "model.weighted": weighted,
            "train.unfreeze_layers": trained,
        }
        if len(adjust) == len(PAPER):  # a width per level
            fields["model.adjust_channels"] = tuple(adjust[level - 2] for level in levels)
        name = ", ".join(str(PAPER[level]) for level in levels)
        return Variant(
            f"({name})" + ("" if weighted else " mean"),
            fields,
            main=weighted and levels in ((4,), (2, 3, 4)),
        )

    weighted = [variant(levels, True) for levels in sorted(sets, key=len, reverse=True)]
    return weighted + [variant(levels, False) for levels in means]


def measure(run: Run) -> dict[str, dict[str, float]]:
    """Success AUC and EAO."""
    return {"": scores.of_run(run)}


def history(run: Run) -> list[dict[str, float]]:
    """Step and shares of the levels in the fused maps, over the training; empty for one level."""
    lines = metrics.read_lines(run.folder / "metrics.jsonl")
    return [
        {
            name: value
            for name, value in line.items()
            if name.startswith("fusion/") or name == "step"
        }
        for line in lines
        if any(name.startswith("fusion/") for name in line)
    ]


def finish(found: Found, runs: list[Run], folder: Path) -> None:
    """Draws the learned weights of the largest sum over the training."""
    learned = [(run, lines) for run in runs if (lines := history(run))]
    if not learned:
        return
    most = max(len(run.config.model.levels) for run, _ in learned)
    chosen = [(run, lines) for run, lines in learned if len(run.config.model.levels) == most]

    def draw() -> Figure:
        medium = MEDIA["paper"]
        figure = Figure(figsize=(medium.width * 1.4, 2.0), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        for panel, branch, title in zip(panels, ("cls", "loc"), ("classification", "regression")):
            for run, lines in chosen:
                steps = [line["step"] for line in lines]
                for place, level in enumerate(run.config.model.levels):
                    looks = style(place)
                    panel.plot(
                        steps,
                        [line[f"fusion/{branch}_{level}"] for line in lines],
                        color=looks.colour,
                        linestyle=(0, looks.dashes) if looks.dashes else "-",
                        linewidth=medium.line,
                        label=f"layer {PAPER.get(level, level)}" if run is chosen[0][0] else None,
                    )
            panel.set(title=title, xlabel="step")
            panel.grid()
        panels[0].set_ylabel("share")
        panels[1].legend(frameon=False)
        return figure

    save({"weights": draw}, folder)
