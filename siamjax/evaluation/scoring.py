"""Result files -> figures: numpy alone, no image and no JAX."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from siamjax.datasets.registry import Benchmark
from siamjax.datasets.results import Run, Store
from siamjax.errors import UserError
from siamjax.evaluation.protocols import EXPERIMENTS
from siamjax.measures import table
from siamjax.measures.result import Figure, Result
from siamjax.media.tables import read_table

SPEED = {
    "fps": Figure("frames/s", digits=1),
    "fps_with_reading": Figure("frames/s with reading", digits=1),
}


@dataclasses.dataclass(kw_only=True)
class Scores(Result):
    """All figures of an evaluation, and what they were scored on.

    Attributes:
        dataset: title of the benchmark, "subset of ..." where it is one.
        sequences: how many were scored, how many the benchmark has.
        protocol: how the trackers were run.
        left_out: sequence -> reason.
    """

    dataset: str
    sequences: tuple[int, int]
    protocol: str
    left_out: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def count(self) -> str:
        """ "k of n sequences", for every table."""
        return f"{self.sequences[0]} of {self.sequences[1]} sequences"

    @property
    def caption(self) -> str:
        """One line for every table: what was scored, on how much of it, by which overlap."""
        brackets = "; brackets: 95 % bootstrap over sequences" if self.intervals else ""
        return (
            f"{self.dataset}: {self.count}; protocol {EXPERIMENTS[self.protocol].text};"
            f" overlap {self.overlap}{brackets}"
        )

    def to_dict(self) -> dict:
        """JSON's form; NaN becomes None."""
        curves = {
            name: {"thresholds": thresholds, "trackers": lines}
            for name, (thresholds, lines) in self.curves.items()
        }
        tree = {"dataset": self.dataset, "sequences": self.sequences} | vars(self)
        del tree["figures"], tree["plots"], tree["resampled"]
        text = json.dumps(tree | {"curves": curves}, default=lambda value: value.tolist())
        return json.loads(text, parse_constant=lambda name: None)


def score(benchmark: Benchmark, results: Mapping[str, Path], times: Path | None = None) -> Scores:
    """Scores the result files of trackers.

    Sequences without results of every tracker are left out, so that all are compared on the same
    ones.

    Args:
        results: tracker's name -> its folder of result files.
        times: folder of time files, `<tracker>/<sequence>.txt`.

    Raises:
        UserError: a tracker without any result of the benchmark, an unreadable file.
    """
    runs = {tracker: _read(benchmark, folder) for tracker, folder in results.items()}
    sequences = benchmark.sequences
    lacking = {s.name: [name for name in runs if not runs[name][s.name]] for s in sequences}
    reasons = {name: f"no result of {', '.join(who)}" for name, who in lacking.items() if who}
    kept = [s for s in sequences if not lacking[s.name]]
    if not kept:
        raise UserError(f"no sequence of {benchmark.name} has results of all of {', '.join(runs)}")
    known = [s for s in kept if len(s.groundtruth) == len(s)]
    result = Result(overlap="none", trackers={tracker: {} for tracker in runs})
    if known:
        found = {tracker: [by_name[s.name] for s in known] for tracker, by_name in runs.items()}
        dataset = benchmark.dataset
        result = table.score(dataset.measures, known, found, dataset.interval)
    scores = Scores(
        **vars(result),
        dataset=dataclasses.replace(benchmark, sequences=tuple(kept)).title,
        sequences=(len(kept), benchmark.total),
        protocol=benchmark.protocol,
        left_out=benchmark.left_out | reasons,
    )
    unscored: dict[str, dict] = {s.name: {} for s in kept}
    scores.per_sequence = {name: unscored | result.per_sequence.get(name, {}) for name in runs}
    if len(known) < 2:  # nothing to draw from
        scores.intervals = {}
    if len(known) < len(kept):
        scores.overlap += f"; {len(kept) - len(known)} sequences have no public ground truth"
    if times is not None:
        scores.figures = {**scores.figures, **SPEED}
        for tracker, row in scores.trackers.items():
            files = [path for s in kept for path in (times / tracker).glob(f"{s.name}*.txt")]
            row.update(_speed(files))
    return scores


def _read(benchmark: Benchmark, folder: Path) -> dict[str, list[Run]]:
    """A tracker's runs of each sequence."""
    store = Store(folder.parent, benchmark.dataset)
    runs = {s.name: store.read(folder.name, s) for s in benchmark.sequences}
    if not any(runs.values()):
        raise UserError(
            f"{folder}: no result file of {benchmark.name}; expected for example"
            f" {store.form.paths(benchmark.sequences[0])[-1]}"
        )
    return runs


def _speed(paths: list[Path]) -> dict[str, float]:
    """Frames per second over all timed frames but each run's first; empty without any."""
    # two columns per frame: seconds of reading, seconds of tracking
    tables = [table for path in paths if len(table := read_table(path, (2,))) > 1]
    if not tables:
        return {}
    # frames in which a supervised run pauses take no time and are not counted
    frames = sum(int((table[1:, 1] > 0).sum()) for table in tables)
    reading, tracking = np.sum([table[1:].sum(0) for table in tables], 0)
    seconds = float(tracking), float(tracking + reading)
    return {name: frames / max(value, 1e-9) for name, value in zip(SPEED, seconds, strict=True)}
