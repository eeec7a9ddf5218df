"""Result files -> figures: numpy alone, no image and no JAX."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from siamjax.datasets.registry import Benchmark
from siamjax.datasets.results import (
    Run,
    Store,
    multistart_anchors,
    multistart_frames,
    read_times,
)
from siamjax.datasets.sequence import Sequence
from siamjax.errors import UserError
from siamjax.geometry import polygons
from siamjax.measures import (
    bootstrap,
    got10k,
    longterm,
    multistart,
    ope,
    vot,
    vot_toolkit,
)


@dataclasses.dataclass
class Scores:
    """All figures of an evaluation.

    Attributes:
        dataset: title of the benchmark, "subset of ..." where it is one.
        sequences: how many were scored, how many the benchmark has.
        protocol: how the trackers were run.
        overlap: which overlap the figures use.
        trackers: name -> measure -> value.
        intervals: name -> measure -> (low, high), 95 % bootstrap over sequences; empty for one.
        per_sequence: name -> sequence -> measure -> value.
        curves: curve's name -> (thresholds, {tracker: values}).
        left_out: sequence -> reason.
        attributes: measure -> attribute or tag -> tracker -> value.
        interval: lengths low, high that an expected average overlap averages over.
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
    attributes: dict[str, dict[str, dict[str, float]]] = dataclasses.field(default_factory=dict)
    interval: tuple[int, int] | None = None

    @property
    def count(self) -> str:
        """ "k of n sequences", for every table."""
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
            "interval": self.interval,
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


Runs = dict[str, dict[str, list[Run]]]  # tracker -> sequence -> repetitions


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
    runs: Runs = {}
    for tracker, folder in results.items():
        store = Store(folder.parent, benchmark.dataset)
        runs[tracker] = {s.name: store.read(folder.name, s) for s in benchmark.sequences}
        if not any(runs[tracker].values()):
            raise UserError(
                f"{folder}: no result file of {benchmark.name}; expected for example"
                f" {store.form.paths(benchmark.sequences[0])[-1]}"
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
        overlap="none",
        trackers={tracker: {} for tracker in runs},
        per_sequence={tracker: {s.name: {} for s in kept} for tracker in runs},
        left_out=left_out,
    )
    known = [s for s in kept if len(s.groundtruth) == len(s)]
    if known:
        SCORERS[benchmark.dataset.measures](scores, benchmark, known, runs)
    if len(known) < 2:  # nothing to draw from
        scores.intervals = {}
    if len(known) < len(kept):
        scores.overlap += f"; {len(kept) - len(known)} sequences have no public ground truth"
    if times is not None:
        for tracker in runs:
            files = [path for s in kept for path in (times / tracker).glob(f"{s.name}*.txt")]
            _add_speed(scores, tracker, files)
    return scores


def _score_ope(scores: Scores, benchmark: Benchmark, kept: list[Sequence], runs: Runs) -> None:
    scores.overlap = "exact (area of boxes)"
    scores.curves = {
        "success": (ope.OVERLAPS, {}),
        "precision": (ope.DISTANCES.astype(float), {}),
        "normalised precision": (ope.NORMALISED, {}),
    }
    for tracker, by_sequence in runs.items():
        all_curves = []
        for sequence in kept:
            shift = np.array([sequence.base, sequence.base, 0, 0], np.float64)
            truth = sequence.boxes + shift
            repeated = [
                ope.curves(truth, _boxes(run.regions) + shift, sequence.absent)
                for run in by_sequence[sequence.name]
            ]
            curve = ope.mean_curves(repeated)
            all_curves.append(curve)
            scores.per_sequence[tracker][sequence.name] = ope.summary(curve)
        mean = ope.mean_curves(all_curves)
        scores.trackers[tracker] = ope.summary(mean)
        scores.intervals[tracker] = {
            measure: bootstrap.of_mean([ope.summary(curve)[measure] for curve in all_curves])
            for measure in ope.MEASURES
        }
        for name, values in zip(
            scores.curves, (mean.success, mean.precision, mean.normalised), strict=True
        ):
            scores.curves[name][1][tracker] = values
    _add_attributes(scores, kept, "success_auc")


def _boxes(regions: np.ndarray) -> np.ndarray:
    """Upright boxes of a run; of polygons those of equal area."""
    return regions if regions.shape[1] == 4 else polygons.box_of_region(regions)


def _add_attributes(scores: Scores, kept: list[Sequence], measure: str) -> None:
    """Means of a measure over the sequences that carry each attribute."""
    by_attribute = {}
    for attribute in sorted({a for s in kept for a in s.attributes}):
        names = [s.name for s in kept if attribute in s.attributes]
        by_attribute[attribute] = {
            tracker: float(np.mean([rows[name][measure] for name in names]))
            for tracker, rows in scores.per_sequence.items()
        }
    if by_attribute:
        scores.attributes[measure] = by_attribute


def _interval(benchmark: Benchmark, kept: list[Sequence]) -> tuple[int, int]:
    """The benchmark's EAO interval; without one, the middle half of the sequences' lengths."""
    if benchmark.dataset.interval is not None:
        return benchmark.dataset.interval
    low, high = np.quantile([len(s) for s in kept], [0.25, 0.75])
    return max(int(low), 2), max(int(high), 2)


def _score_vot(scores: Scores, benchmark: Benchmark, kept: list[Sequence], runs: Runs) -> None:
    low, high = interval = scores.interval = _interval(benchmark, kept)
    scores.overlap = f"raster (pixels inside the image); EAO over lengths {low}..{high}"
    lengths = np.array([len(s) for s in kept])
    picks = bootstrap.resamples(len(kept))
    tags = sorted({tag for s in kept for tag in s.tags})
    scores.curves = {"expected overlap": (np.arange(1, lengths.max() + 1.0), {})}
    for tag in tags:
        for measure in ("eao", "accuracy", "robustness"):
            scores.attributes.setdefault(measure, {})[tag] = {}
    for tracker, by_sequence in runs.items():
        scored = [vot.measure(s, by_sequence[s.name]) for s in kept]
        frames = [vot.mean_over_repetitions(vot.burned_in(one)) for one in scored]
        failures = [np.array([len(f) for f in one.failures]) for one in scored]
        robustness, lost = vot.robustness(failures, list(lengths))
        cut = vot.fragments(scored)
        curve = vot.expected_overlap(cut, vot.weights(cut))
        scores.curves["expected overlap"][1][tracker] = curve
        scores.trackers[tracker] = {
            "eao": vot.eao(curve, interval),
            "accuracy": vot.accuracy(frames),
            "robustness": robustness,
            "lost": lost,
        }
        counts = np.array([[np.nansum(f), np.isfinite(f).sum()] for f in frames])
        misses = np.array([f.mean() for f in failures])
        drawn = counts[picks].sum(1)
        with np.errstate(invalid="ignore", divide="ignore"):
            accuracies = drawn[:, 0] / drawn[:, 1]
        scores.intervals[tracker] = {
            "eao": bootstrap.interval(vot.resampled_eao(cut, interval, picks, len(kept))),
            "accuracy": bootstrap.interval(accuracies),
            "robustness": bootstrap.interval(misses[picks].sum(1) / lengths[picks].sum(1) * 100),
        }
        for sequence, mean, missed in zip(kept, frames, misses, strict=True):
            scores.per_sequence[tracker][sequence.name] = {
                "accuracy": vot.accuracy([mean]),
                "lost": float(missed),
                "robustness": float(missed) / len(sequence) * 100,
            }
        for tag in tags:
            flags = [s.tags.get(tag, np.zeros(len(s), bool)) for s in kept]
            by_tag = vot.tag_summary(cut, interval, frames, scored, flags)
            for measure, value in by_tag.items():
                scores.attributes[measure][tag][tracker] = value


def _score_vot_toolkit(
    scores: Scores, benchmark: Benchmark, kept: list[Sequence], runs: Runs
) -> None:
    low, high = _interval(benchmark, kept)
    if benchmark.dataset.interval is None:  # entries count from 0
        low, high = low - 1, high - 1
    interval = scores.interval = low, high
    scores.overlap = (
        f"raster of vot-toolkit 0.7 (pixels inside the image); EAO over lengths {low}..{high}"
    )
    lengths = np.array([len(s) for s in kept])
    scores.curves = {"expected overlap": (np.arange(lengths.max()), {})}
    picks = bootstrap.resamples(len(kept))
    drawn_lengths = lengths[picks]
    for tracker, by_sequence in runs.items():
        scored = [vot_toolkit.measure(s, by_sequence[s.name]) for s in kept]
        accuracies = np.array([vot_toolkit.sequence_accuracy(one) for one in scored])
        failures = np.array([vot_toolkit.sequence_failures(one) for one in scored])
        cut = vot_toolkit.fragments(scored)
        curve = vot_toolkit.expected_overlap(cut, np.ones(len(cut.sequence)))
        scores.curves["expected overlap"][1][tracker] = np.pad(
            curve, (0, lengths.max() - len(curve)), constant_values=np.nan
        )
        lost = vot_toolkit.average(failures, lengths)
        scores.trackers[tracker] = {
            "eao": vot_toolkit.eao(curve, interval),
            "accuracy": vot_toolkit.average(accuracies, lengths),
            "weighted_lost": lost,
            "reliability": vot_toolkit.reliability(lost, lengths),
        }
        times = np.stack([np.bincount(pick, minlength=len(kept)) for pick in picks])
        curves = vot_toolkit.expected_overlap(cut, times[:, cut.sequence].astype(float))
        drawn = [vot_toolkit.eao(one, interval) for one in curves]
        weight = drawn_lengths / drawn_lengths.sum(1, keepdims=True)
        scores.intervals[tracker] = {
            "eao": bootstrap.interval(np.array(drawn)),
            "accuracy": bootstrap.interval((accuracies[picks] * weight).sum(1)),
            "weighted_lost": bootstrap.interval((failures[picks] * weight).sum(1)),
        }
        for sequence, accuracy, missed in zip(kept, accuracies, failures, strict=True):
            scores.per_sequence[tracker][sequence.name] = {
                "accuracy": float(accuracy),
                "lost": float(missed),
            }


def _score_longterm(scores: Scores, benchmark: Benchmark, kept, runs: Runs) -> None:
    scores.overlap = "raster (pixels inside the image)"
    ranks = np.arange(longterm.RESOLUTION, dtype=float)
    scores.curves = {"long-term precision": (ranks, {}), "long-term recall": (ranks, {})}
    picks = bootstrap.resamples(len(kept))
    for tracker, by_sequence in runs.items():
        firsts = [by_sequence[s.name][0] for s in kept]
        limits = longterm.thresholds(np.concatenate([run.scores for run in firsts]))
        per_sequence = []
        for sequence, run in zip(kept, firsts, strict=True):
            overlap = polygons.raster_overlap(sequence.groundtruth, run.regions, sequence.size)
            visible = int(np.isfinite(sequence.groundtruth).all(1).sum())
            curve = longterm.sequence_curves(overlap, run.scores, visible, limits)
            per_sequence.append(curve)
        mean = longterm.mean_curves(limits, per_sequence)
        scores.trackers[tracker] = mean.summary()
        for sequence, (p, r) in zip(kept, per_sequence, strict=True):
            alone = longterm.Curves(limits[mean.best :][:1], p[mean.best :][:1], r[mean.best :][:1])
            scores.per_sequence[tracker][sequence.name] = alone.summary()
        scores.curves["long-term precision"][1][tracker] = mean.precision
        scores.curves["long-term recall"][1][tracker] = mean.recall
        precision, recall = (np.stack(side) for side in zip(*per_sequence, strict=True))
        resampled = [
            longterm.Curves(limits, precision[pick].mean(0), recall[pick].mean(0)).summary()
            for pick in picks
        ]
        scores.intervals[tracker] = {
            measure: bootstrap.interval(np.array([one[measure] for one in resampled]))
            for measure in longterm.MEASURES
        }


def _score_got10k(scores: Scores, benchmark: Benchmark, kept, runs: Runs) -> None:
    scores.overlap = "exact (area of boxes inside the image)"
    scores.curves = {"overlap": (got10k.THRESHOLDS, {})}
    picks = bootstrap.resamples(len(kept))
    for tracker, by_sequence in runs.items():
        per_sequence = [
            [got10k.count(s.boxes, run.regions, s.absent, s.size) for run in by_sequence[s.name]]
            for s in kept
        ]
        counts = [count for repeated in per_sequence for count in repeated]
        scores.trackers[tracker] = got10k.summary(counts)
        scores.curves["overlap"][1][tracker] = got10k.curve(counts)
        for sequence, repeated in zip(kept, per_sequence, strict=True):
            scores.per_sequence[tracker][sequence.name] = got10k.summary(repeated)
        frames = np.array([sum(c.frames for c in repeated) for repeated in per_sequence])
        sums = np.array([np.sum([c.sums for c in repeated], 0) for repeated in per_sequence])
        drawn = sums[picks].sum(1) / np.maximum(frames[picks].sum(1), 1)[:, None]
        scores.intervals[tracker] = {
            measure: bootstrap.interval(drawn[:, i]) for i, measure in enumerate(got10k.MEASURES)
        }


def _score_multistart(scores: Scores, benchmark: Benchmark, kept, runs: Runs) -> None:
    longest = max(len(s) for s in kept)
    low, high = interval = scores.interval = multistart.interval(longest)
    scores.overlap = f"raster (pixels inside the image); EAO over lengths {low}..{high}"
    scores.curves = {"expected overlap": (np.arange(1.0, longest + 1), {})}
    picks = bootstrap.resamples(len(kept))
    lengths = np.array([len(s) for s in kept])
    for tracker, by_sequence in runs.items():
        tracked = []
        for sequence in kept:
            anchors = [frame for frame, _ in multistart_anchors(sequence)]
            tracked.append(
                [
                    multistart.measure(
                        sequence.groundtruth[multistart_frames(sequence, anchor)],
                        run.regions,
                        sequence.size,
                    )
                    for anchor, run in zip(anchors, by_sequence[sequence.name], strict=True)
                ]
            )
        summaries = [multistart.sequence_summary(parts) for parts in tracked]
        for sequence, (accuracy, share, _) in zip(kept, summaries, strict=True):
            scores.per_sequence[tracker][sequence.name] = {
                "accuracy": accuracy,
                "robustness_share": share,
            }
        curve = multistart.expected_overlap(tracked, longest)
        accuracy, share = multistart.summary(summaries, list(lengths))
        scores.trackers[tracker] = {
            "eao": vot.eao(curve, interval),
            "accuracy": accuracy,
            "robustness_share": share,
        }
        scores.curves["expected overlap"][1][tracker] = curve
        drawn = np.array(
            [
                multistart.summary([summaries[i] for i in pick], list(lengths[pick]))
                for pick in picks
            ]
        )
        scores.intervals[tracker] = {
            "accuracy": bootstrap.interval(drawn[:, 0]),
            "robustness_share": bootstrap.interval(drawn[:, 1]),
        }


def _add_speed(scores: Scores, tracker: str, paths: list[Path]) -> None:
    """Frames per second over all timed frames but each run's first."""
    tables = [table for table in map(read_times, paths) if table is not None and len(table) > 1]
    if not tables:
        return
    # frames in which a supervised run pauses take no time and are not counted
    frames = sum(int((table[1:, 1] > 0).sum()) for table in tables)
    reading, tracking = np.sum([table[1:].sum(0) for table in tables], 0)
    scores.trackers[tracker]["fps"] = frames / max(float(tracking), 1e-9)
    scores.trackers[tracker]["fps_with_reading"] = frames / max(float(tracking + reading), 1e-9)


SCORERS = {
    "ope": _score_ope,
    "vot": _score_vot,
    "vot_toolkit": _score_vot_toolkit,
    "longterm": _score_longterm,
    "got10k": _score_got10k,
    "multistart": _score_multistart,
}
