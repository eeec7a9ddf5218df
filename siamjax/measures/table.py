"""The measures of the benchmarks by name. A measure is a module here and a line in this table.

Its module holds

- `FIGURES`: name -> `Figure`, of all numbers that it gives; the first ranks the trackers;
- `PLOTS`: name -> `Plot`;
- `score(sequences, runs, interval)` -> `Part`: what one tracker scored.

A measure that follows the conventions of toolkits takes `rules` as well.
"""

import inspect
from collections.abc import Mapping
from importlib import import_module

import numpy as np

from siamjax.errors import UserError
from siamjax.measures import bootstrap, calibration
from siamjax.measures.conventions import DEFAULT, Rules
from siamjax.measures.result import (
    Bounds,
    Interval,
    Part,
    Result,
    Runs,
    Sequences,
    by_attribute,
    by_tag,
)

MEASURES = {
    "ope": "siamjax.measures.ope",
    "vot": "siamjax.measures.vot",
    "vot_toolkit": "siamjax.measures.vot_toolkit",
    "longterm": "siamjax.measures.longterm",
    "multistart": "siamjax.measures.multistart",
    "got10k": "siamjax.measures.got10k",
}


def plot_names() -> set[str]:
    """Of the plots of all measures."""
    modules = (calibration, *map(import_module, MEASURES.values()))
    return {name for module in modules for name in module.PLOTS}


def check_rules(name: str, rules: Rules) -> None:
    """Whether a measure can follow a convention.

    Raises:
        UserError: it follows none.
    """
    measure = import_module(MEASURES[name])
    if rules.text and "rules" not in inspect.signature(measure.score).parameters:
        raise UserError(
            f"--convention={rules.name} is about one-pass figures, this benchmark is scored by"
            f" {name}: leave it out, or add --protocol=ope"
        )


def score(
    name: str,
    sequences: Sequences,
    runs: Mapping[str, Runs],
    interval: Interval | None = None,
    rules: Rules = DEFAULT,
) -> Result:
    """Scores trackers by the measure of this name.

    Args:
        sequences: with ground truth of all frames.
        runs: tracker -> its runs of these sequences, in their order.
        interval: lengths low, high of the benchmark's expected average overlap, if it has them.
        rules: which toolkit's conventions the figures follow.

    Raises:
        UserError: a convention for a measure that follows none.
    """
    check_rules(name, rules)
    measure = import_module(MEASURES[name])
    more = {"rules": rules} if rules.text else {}
    parts = {
        tracker: measure.score(sequences, own, interval, **more) for tracker, own in runs.items()
    }
    names, first = [sequence.name for sequence in sequences], next(iter(parts.values()))
    result = Result(
        overlap=first.overlap,
        interval=first.interval,
        trackers={tracker: part.values for tracker, part in parts.items()},
        intervals={tracker: _intervals(part) for tracker, part in parts.items()},
        resampled={tracker: part.resampled for tracker, part in parts.items()},
        per_sequence={t: dict(zip(names, p.per_sequence, strict=True)) for t, p in parts.items()},
        curves={
            name: (thresholds, {tracker: part.curves[name][1] for tracker, part in parts.items()})
            for name, (thresholds, _) in first.curves.items()
        },
        attributes={
            figure: {
                tag: {tracker: part.attributes[figure][tag] for tracker, part in parts.items()}
                for tag in tags
            }
            for figure, tags in first.attributes.items()
        },
        attribute_curves={
            name: {
                tag: {tracker: part.attribute_curves[name][tag] for tracker, part in parts.items()}
                for tag in tags
            }
            for name, tags in first.attribute_curves.items()
        },
        attribute_sizes=_sizes(sequences),
        figures=measure.FIGURES,
        plots=measure.PLOTS,
    )
    calibration.add(result, sequences, runs)
    return result


def _intervals(part: Part) -> dict[str, Bounds]:
    """Those that the measure gave, and those of the figures that it resampled."""
    drawn = {figure: bootstrap.interval(values) for figure, values in part.resampled.items()}
    return drawn | part.intervals


def _sizes(sequences: Sequences) -> dict[str, str]:
    """On how many sequences each attribute rests, on how many frames each tag."""
    counts = {(name, "sequence"): len(own) for name, own in by_attribute(sequences).items()}
    counts |= {(t, "frame"): int(sum(map(np.sum, own))) for t, own in by_tag(sequences).items()}
    return {
        name: f"{count:,} {unit}{'' if count == 1 else 's'}"
        for (name, unit), count in counts.items()
    }
