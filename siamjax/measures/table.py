"""The measures of the benchmarks by name. A measure is a module here and a line in this table.

Its module holds

- `FIGURES`: name -> `Figure`, of all numbers that it gives; the first ranks the trackers;
- `PLOTS`: name -> `Plot`;
- `score(sequences, runs, interval)` -> `Part`: what one tracker scored.
"""

from collections.abc import Mapping
from importlib import import_module

from siamjax.measures.result import Interval, Result, Runs, Sequences, collect

MEASURES = {
    "ope": "siamjax.measures.ope",
    "vot": "siamjax.measures.vot",
    "vot_toolkit": "siamjax.measures.vot_toolkit",
    "longterm": "siamjax.measures.longterm",
    "multistart": "siamjax.measures.multistart",
    "got10k": "siamjax.measures.got10k",
}


def score(
    name: str, sequences: Sequences, runs: Mapping[str, Runs], interval: Interval | None = None
) -> Result:
    """Scores trackers by the measure of this name.

    Args:
        sequences: with ground truth of all frames.
        runs: tracker -> its runs of these sequences, in their order.
        interval: lengths low, high of the benchmark's expected average overlap, if it has them.
    """
    measure = import_module(MEASURES[name])
    parts = {tracker: measure.score(sequences, own, interval) for tracker, own in runs.items()}
    return collect(sequences, parts, figures=measure.FIGURES, plots=measure.PLOTS)
