"""Learning curve of a training run: every kept checkpoint, and the untrained network, on a
benchmark."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from siamjax import api, models
from siamjax.datasets.registry import Benchmark
from siamjax.errors import UserError
from siamjax.evaluation import runner, scoring, tables, trackers
from siamjax.evaluation.canvas import save_png
from siamjax.evaluation.scoring import Scores
from siamjax.evaluation.specs import Spec
from siamjax.files import write_whole
from siamjax.models import weights
from siamjax.tracking.decode import NOT_FINITE
from siamjax.training.checkpoint import saved_steps
from siamjax.training.initial import initial_variables

UNTRAINED = "step 0 (untrained)"


def evaluate(
    steps: Mapping[int, Path],
    benchmark: Benchmark,
    out: Path,
    baselines: Sequence[str] = (),
    constants: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Tracks with every checkpoint, with the variables that their run started from, and with
    baselines; what is done is skipped.

    Args:
        steps: as `checkpoints` gives them.
        out: folder; gets results/, times/ and untrained.npz.
        constants: fields of the config's section `tracker` to replace.

    Returns:
        The curve, see `table`, of what tracked every sequence, and what did not: left_out,
        {label: reason}, of the untrained network `UNTRAINED`, "step N" or the baseline's name.

    Raises:
        UserError: as `siamjax.evaluation.trackers.run`; the config's `train.init_from` is not there
            or does not fit; there is no point to draw.
    """
    config = _config(list(steps.values()))
    start = out / "untrained.npz"
    if not start.is_file():
        weights.save(start, config, initial_variables(config, models.build(config)))
    names: dict[int, str] = {}
    results: dict[str, Path] = {}
    left_out: dict[str, str] = {}
    for step, path in {0: start, **steps}.items():
        (spec,) = trackers.select(path, name=f"step{step:07d}", constants=constants)
        found, reason = _track(benchmark, out, spec)
        if reason:
            left_out[f"step {step}" if step else UNTRAINED] = reason
        else:
            names[step] = spec.name
            results |= found
    if NOT_FINITE in left_out.get(UNTRAINED, ""):  # drawn, not damaged
        left_out[UNTRAINED] = f"{NOT_FINITE} with the initial weights"
    for spec in trackers.select(None, baselines) if baselines else ():
        found, reason = _track(benchmark, out, spec)
        results |= found
        if reason:
            left_out[spec.name] = reason
    if not names:
        reasons = "\n".join(f"{label}: {reason}" for label, reason in left_out.items())
        raise UserError(f"no checkpoint tracks every sequence:\n{reasons}")
    drawn = table(scoring.score(benchmark, results), names, config.train.batch_size)
    return drawn | {"left_out": left_out}


def _config(places: Sequence[Path]):
    """That of the first checkpoint which can be read.

    Raises:
        UserError: none can be.
    """
    for place in places[:-1]:
        try:
            return api.load_variables(place)[0]
        except UserError:
            continue
    return api.load_variables(places[-1])[0]


def _track(benchmark: Benchmark, out: Path, spec: Spec) -> tuple[dict[str, Path], str]:
    """The result files of one tracker, or nothing and why it has not all of them.

    Raises:
        UserError: what is not the fault of the tracker's weights.
    """
    try:
        results, failed = trackers.run(benchmark, out, [spec])
    except UserError:
        if spec.checkpoint is None:
            raise
        try:
            api.load_variables(spec.checkpoint, spec.constants)
        except UserError as fault:
            return {}, str(fault)
        raise
    return ({}, str(runner.TrackersFailed(failed))) if failed else (results, "")


def checkpoints(workdir) -> dict[int, Path]:
    """Step -> folder of each checkpoint that the run in `workdir` kept, oldest first.

    Raises:
        UserError: there is none.
    """
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
    found, measure = scores.trackers, scores.main
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


def write(out: Path, curve: dict[str, Any], lines: Mapping[str, float]) -> None:
    """Writes curve.json, curve.md and curve.png; `lines` as in `plot`."""
    write_whole(out / "curve.json", json.dumps(curve, indent=1) + "\n")
    write_whole(out / "curve.md", markdown(curve))
    plot(out / "curve.png", curve, lines)


def plot(path: Path, curve: dict[str, Any], lines: Mapping[str, float]) -> None:
    """The curve as PNG: the mean, each sequence in thin lines, and `lines` (name -> value) and the
    baselines as levels."""
    points = curve["points"]
    pairs = [point["pairs"] for point in points]
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for sequence in points[0]["per_sequence"]:
        values = [point["per_sequence"].get(sequence, float("nan")) for point in points]
        axes.plot(pairs, values, lw=0.8, alpha=0.6, label=sequence)
    axes.plot(pairs, [point["mean"] for point in points], "k-o", lw=2, label="mean")
    for i, (name, value) in enumerate((curve["baselines"] | dict(lines)).items()):
        style = ("--", ":", "-.")[i % 3]
        axes.axhline(value, color="0.35", ls=style, lw=1.2, label=f"{name} {value:.3f}")
    count = "{} of {} sequences".format(*curve["sequences"])
    axes.set(xlabel="training pairs", ylabel=curve["measure"].replace("_", " "), ylim=(0, 1))
    axes.set_title(f"{curve['dataset']}: {count}")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.01, 0.5))
    save_png(figure, path)


def parse_lines(text: str) -> dict[str, float]:
    """`CSRT=0.704,other=0.7` -> names and values.

    Raises:
        UserError: not of that form.
    """
    pairs = (part.partition("=") for part in text.split(",") if part)
    try:
        return {name: float(value) for name, _, value in pairs}
    except ValueError:
        raise UserError(f"--lines={text}: give NAME=VALUE, comma-separated") from None


def markdown(curve: dict[str, Any]) -> str:
    """The curve as a Markdown table: a row per checkpoint."""
    sequences: Sequence[str] = list(curve["points"][0]["per_sequence"])
    rows = [["pairs", "mean", *sequences]]
    for point in curve["points"]:
        values = [point["mean"], *(point["per_sequence"].get(s, float("nan")) for s in sequences)]
        rows.append([f"{point['pairs']:,}", *(f"{value:.3f}" for value in values)])
    return tables.markdown(rows, texts=0)
