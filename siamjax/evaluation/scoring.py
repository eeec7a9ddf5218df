"""Result files -> figures: numpy alone, no image and no JAX."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from siamjax.benchmarks.measures import bootstrap, ope
from siamjax.benchmarks.registry import Benchmark
from siamjax.benchmarks.results import Run, Store, read_times
from siamjax.benchmarks.sequence import Sequence
from siamjax.errors import UserError


@dataclasses.dataclass
class Scores:
    """All figures of an evaluation.

    Attributes:
        dataset: title of the benchmark, "subset of ..." where it is one.
        sequences: how many were scored, how many the benchmark has.
        protocol: how the trackers were run.
        overlap: which overlap the figures use.
        trackers: name -> measure -> value.
        intervals: name -> measure -> (low, high), 95 % bootstrap over sequences.
        per_sequence: name -> sequence -> measure -> value.
        curves: curve's name -> (thresholds, {tracker: values}).
        left_out: sequence -> reason.
        attributes: attribute -> tracker -> value of the main measure.
    """

    dataset: str
    sequences: tuple[int, int]
    protocol: str
    overlap: str
    trackers: dict[str, dict[str, float]] = dataclasses.field(default_factory=dict)
    intervals: dict[str, dict[str, tuple[float, float]]] = dataclasses.field(default_factory=dict)
    per_sequence: dict[str, dict[str, dict[str, float]]] = dataclasses.field(default_factory=dict)
    curves: dict[str, tuple[np.ndarray, dict[str, np.ndarray]]] = dataclasses.field(
        default_factory=dict
    )
    left_out: dict[str, str] = dataclasses.field(default_factory=dict)
    attributes: dict[str, dict[str, float]] = dataclasses.field(default_factory=dict)

    @property
    def count(self) -> str:
        return f"{self.sequences[0]} of {self.sequences[1]} sequences"

    def to_dict(self) -> dict:
        """JSON's form; NaN becomes None."""
        tree = {
            "dataset": self.dataset,
            "sequences": list(self.sequences),
            "protocol": self.protocol,
            "overlap": self.overlap,
            "trackers": self.trackers,
            "intervals": self.intervals,
            "attributes": self.attributes,
            "per_sequence": self.per_sequence,
            "curves": {
                name: {
                    "thresholds": thresholds.tolist(),
                    "trackers": {t: v.tolist() for t, v in lines.items()},
                }
                for name, (thresholds, lines) in self.curves.items()
            },
            "left_out": self.left_out,
        }
        return _plain(tree)


def _plain(node):
    if isinstance(node, dict):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_plain(value) for value in node]
    if isinstance(node, float | np.floating):
        return float(node) if np.isfinite(node) else None
    return int(node) if isinstance(node, np.integer) else node


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
    runs: dict[str, dict[str, list[Run]]] = {}
    for tracker, folder in results.items():
        store = Store(folder.parent, benchmark.dataset)
        runs[tracker] = {s.name: store.read(folder.name, s) for s in benchmark.sequences}
        if not any(runs[tracker].values()):
            raise UserError(
                f"{folder}: no result file of {benchmark.name}; expected for example"
                f" {store.form.paths(benchmark.sequences[0])[0]}"
            )
    kept = [s for s in benchmark.sequences if all(runs[t][s.name] for t in runs)]
    left_out = dict(benchmark.left_out)
    for sequence in benchmark.sequences:
        lacking = [t for t in runs if not runs[t][sequence.name]]
        if lacking:
            left_out[sequence.name] = f"no result of {', '.join(lacking)}"
    if not kept:
        raise UserError(f"no sequence of {benchmark.name} has results of all of {', '.join(runs)}")
    complete = len(kept) == benchmark.total
    scores = Scores(
        dataset=benchmark.name if complete else f"subset of {benchmark.name}",
        sequences=(len(kept), benchmark.total),
        protocol=benchmark.protocol,
        overlap="",
        left_out=left_out,
    )
    SCORERS[benchmark.dataset.measures](scores, benchmark, kept, runs)
    if times is not None:
        for tracker in runs:
            _add_speed(scores, tracker, [times / tracker / f"{s.name}.txt" for s in kept])
    return scores


def _score_ope(scores: Scores, benchmark: Benchmark, kept: list[Sequence], runs) -> None:
    scores.overlap = "exact (area of boxes)"
    scores.curves = {
        "success": (ope.OVERLAPS, {}),
        "precision": (ope.DISTANCES.astype(float), {}),
        "normalised precision": (ope.NORMALISED, {}),
    }
    for tracker, by_sequence in runs.items():
        all_curves = []
        rows = {}
        for sequence in kept:
            shift = np.array([sequence.base, sequence.base, 0, 0], np.float64)
            result = by_sequence[sequence.name][0].regions
            curve = ope.curves(sequence.boxes + shift, result + shift, sequence.absent)
            all_curves.append(curve)
            rows[sequence.name] = ope.summary(curve)
        mean = ope.mean_curves(all_curves)
        scores.per_sequence[tracker] = rows
        scores.trackers[tracker] = ope.summary(mean)
        scores.intervals[tracker] = {
            measure: bootstrap.of_mean([row[measure] for row in rows.values()])
            for measure in ope.MEASURES
        }
        for name, values in zip(
            scores.curves, (mean.success, mean.precision, mean.normalised), strict=True
        ):
            scores.curves[name][1][tracker] = values
    _add_attributes(scores, kept, "success_auc")


def _add_attributes(scores: Scores, kept: list[Sequence], measure: str) -> None:
    """Means of the main measure over the sequences that carry each attribute."""
    for attribute in sorted({a for s in kept for a in s.attributes}):
        names = [s.name for s in kept if attribute in s.attributes]
        scores.attributes[attribute] = {
            tracker: float(np.mean([rows[name][measure] for name in names]))
            for tracker, rows in scores.per_sequence.items()
        }


def _add_speed(scores: Scores, tracker: str, paths: list[Path]) -> None:
    """Frames per second over all timed frames but each run's first."""
    tables = [table for table in map(read_times, paths) if table is not None and len(table) > 1]
    if not tables:
        return
    frames = sum(len(table) - 1 for table in tables)
    reading, tracking = np.sum([table[1:].sum(0) for table in tables], 0)
    scores.trackers[tracker]["fps"] = frames / max(float(tracking), 1e-9)
    scores.trackers[tracker]["fps_with_reading"] = frames / max(float(tracking + reading), 1e-9)


SCORERS = {"ope": _score_ope}
