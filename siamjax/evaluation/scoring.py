"""Result files -> figures: numpy alone, no image and no JAX."""

import dataclasses
import json
import re
from collections.abc import Mapping
from collections.abc import Sequence as AbstractSequence
from pathlib import Path

import numpy as np

from siamjax.datasets.forms.base import LENGTHS
from siamjax.datasets.registry import Benchmark
from siamjax.datasets.results import Run, Store
from siamjax.datasets.sequence import Sequence
from siamjax.errors import UserError, one_of
from siamjax.evaluation import assumptions, claims
from siamjax.evaluation.protocols import EXPERIMENTS
from siamjax.measures import conventions, table
from siamjax.measures.result import Figure, Result
from siamjax.media.tables import read_table
from siamjax.wording import counted

SCHEMA = 1  # of scores.json; it grows when a key changes its meaning
SPEED = {
    "fps": Figure("frames/s", digits=1),
    "fps_with_reading": Figure("frames/s with reading", digits=1),
}
# measures that count pixels inside the image
_SIZED = {"vot", "vot_toolkit", "longterm", "multistart", "got10k"}


_NO_WORK = 20e-6  # s per frame; a tracker that takes less does no work, and has no speed
NAMED = 12  # so many names stand in a line, the others in scores.json
LACKING = "no result of "


def some(names: AbstractSequence[str]) -> str:
    """ "a, b" or "a, b and 7 more"."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


@dataclasses.dataclass(kw_only=True)
class Scores(Result):
    """All figures of an evaluation, and what they were scored on.

    Attributes:
        dataset: title of the benchmark, "subset of ..." where it is one.
        sequences: how many were scored, how many the benchmark has.
        protocol: how the trackers were run.
        convention: the toolkit whose rules the figures follow; "": those of the published figures.
        left_out: sequence -> reason.
        assumptions: what was taken for granted, a line each; they stand below every table.
        problems: what was found in the result files, a line with file and rows each, or beside
            them: that a tracker's code has changed since the first of them.
        without: folders beside the trackers' that hold no result.
        beside: evaluations of the data set by the same rules in tables of their own, with the
            number of their sequences.
    """

    dataset: str
    sequences: tuple[int, int]
    protocol: str
    convention: str = ""
    left_out: dict[str, str] = dataclasses.field(default_factory=dict)
    assumptions: list[str] = dataclasses.field(default_factory=list)
    problems: list[str] = dataclasses.field(default_factory=list)
    without: list[str] = dataclasses.field(default_factory=list)
    beside: list[str] = dataclasses.field(default_factory=list)

    @property
    def count(self) -> str:
        """ "k of n sequences", for every table."""
        return f"{self.sequences[0]} of {self.sequences[1]} sequences"

    @property
    def caption(self) -> str:
        """One line for every table: what was scored, on how much of it, by which overlap."""
        brackets = "; brackets: 95 % bootstrap over sequences" if self.intervals else ""
        convention = f"; convention {self.convention}" if self.convention else ""
        return (
            f"{self.dataset}: {self.count}; protocol {EXPERIMENTS[self.protocol].text};"
            f" overlap {self.overlap}{convention}{brackets}"
        )

    @property
    def footer(self) -> list[str]:
        """What was taken for granted and what is missing, for below every table."""
        lines = [f"assumed: {text}" for text in self.assumptions]
        lines += self._not_scored()
        if self.beside:
            others = some(self.beside)
            lines.append(f"in other tables, as their sequences differ from these: {others}")
        if self.without:
            lines.append(f"no results in: {some(self.without)}")
        lines += self._without_eao()
        lines += [f"found: {problem}" for problem in self.problems[:NAMED]]
        if len(self.problems) > NAMED:
            lines.append(f"found: {len(self.problems) - NAMED} more files, named in scores.json")
        return lines

    def _not_scored(self) -> list[str]:
        """A line for each reason, with the sequences that it holds for."""
        names: dict[str, list[str]] = {}
        for name, reason in self.left_out.items():
            names.setdefault(reason.removeprefix(f"{name}: "), []).append(name)
        lines = [
            f"not scored, {reason}: {some(own)}"
            if len(own) > 1 or reason.startswith(LACKING)
            else f"not scored, {own[0]}: {reason}"
            for reason, own in names.items()
        ]
        if more := sum(map(len, [*names.values()][NAMED:])):
            lines[NAMED:] = [f"not scored: {counted(more, 'sequence')} more, named in scores.json"]
        return lines

    def _without_eao(self) -> list[str]:
        """Why trackers have no EAO: "-" in the tables."""
        without = [t for t, row in self.trackers.items() if not np.isfinite(row.get("eao", 0))]
        if not without or self.interval is None:
            return []
        low, high = self.interval
        return [
            f"no EAO of {some(without)}: it is taken over lengths {low}..{high}, and no stretch of"
            f" a run here is {low} frames long"
        ]

    def to_dict(self) -> dict:
        """JSON's form; NaN becomes None."""
        curves = {
            name: {"thresholds": thresholds, "trackers": lines}
            for name, (thresholds, lines) in self.curves.items()
        }
        tree = {"schema": SCHEMA, "dataset": self.dataset, "sequences": self.sequences} | vars(self)
        del tree["figures"], tree["plots"], tree["resampled"]
        text = json.dumps(tree | {"curves": curves}, default=lambda value: value.tolist())
        return json.loads(text, parse_constant=lambda name: None)


def score(
    benchmark: Benchmark,
    results: Mapping[str, Path | AbstractSequence[Path]],
    times: Path | Mapping[str, Path] | None = None,
    length: str = "pad",
    convention: str = "",
) -> Scores:
    """Scores the result files of trackers.

    Sequences without results of every tracker are left out, so that all are compared on the same
    ones.

    Args:
        results: tracker's name -> its folder of result files, or those of its runs, which are
            averaged.
        times: folder of time files, `<tracker>/<sequence>.txt`, or tracker -> its folder of them.
        length: what becomes of files with more or fewer rows than frames, see
            `siamjax.datasets.forms.base.LENGTHS`.
        convention: the toolkit whose rules the figures follow, see `siamjax.measures.conventions`.

    Raises:
        UserError: a tracker without any result of the benchmark, unreadable files (a line for
            each), a convention that does not fit.
    """
    rules = conventions.get(convention, benchmark.name)
    runs = _read_all(benchmark, results, length)
    kept, reasons = _common(benchmark, runs)
    if length == "cut":
        kept, runs = _cut(kept, runs)
    known = [s for s in kept if len(s.groundtruth) == len(s)]
    found = {tracker: [by_name[s.name] for s in known] for tracker, by_name in runs.items()}
    result = Result(overlap="none", trackers={tracker: {} for tracker in runs})
    if known:
        _check_sizes(benchmark, known)
        dataset = benchmark.dataset
        result = table.score(dataset.measures, known, found, dataset.interval, rules)
    scores = Scores(
        **vars(result),
        dataset=dataclasses.replace(benchmark, sequences=tuple(kept)).title,
        sequences=(len(kept), benchmark.total),
        protocol=benchmark.protocol,
        convention=f"{convention} ({rules.text} rules)" if convention else "",
        left_out=benchmark.left_out | reasons,
        assumptions=assumptions.lines(benchmark, known, found, results, length, rules),
        problems=[
            *(text for name, places in results.items() for text in _claims(name, places)),
            *(n.text for own in found.values() for one in own for run in one for n in run.notes),
        ],
    )
    unscored: dict[str, dict] = {s.name: {} for s in kept}
    scores.per_sequence = {name: unscored | result.per_sequence.get(name, {}) for name in runs}
    if len(known) < 2:  # nothing to draw from
        scores.intervals = {}
    if len(known) < len(kept):
        secret = counted(len(kept) - len(known), "sequence")
        scores.overlap += f"; {secret} with no public ground truth"
    _add_speed(scores, kept, runs, times)
    return scores


def _claims(name: str, places: Path | AbstractSequence[Path]) -> list[str]:
    folders = [places] if isinstance(places, Path) else places
    return [text for folder in folders for text in claims.notes(name, folder)]


def _read_all(benchmark: Benchmark, results, length: str) -> dict[str, dict[str, list[Run]]]:
    """Tracker -> sequence -> its runs.

    Raises:
        UserError: a line for each file that cannot be scored.
    """
    if length not in LENGTHS:
        raise UserError(f"--length={length}: {one_of(length, LENGTHS)}")
    problems: list[str] = []
    runs: dict[str, dict[str, list[Run]]] = {}
    for tracker, places in results.items():
        folders = [places] if isinstance(places, Path) else list(places)
        runs[tracker] = {}
        for sequence in benchmark.sequences:
            runs[tracker][sequence.name] = []
            for folder in folders:
                store = Store(folder.parent, benchmark.dataset)
                try:
                    runs[tracker][sequence.name] += store.read(folder.name, sequence, length)
                except UserError as problem:
                    problems += str(problem).split("\n")
        if not problems and not any(runs[tracker].values()):
            form = Store(folders[0].parent, benchmark.dataset).form
            raise UserError(
                f"{folders[0]}: no result file of {benchmark.name}; expected for example"
                f" {form.paths(benchmark.sequences[0])[-1]}"
            )
    if len(problems) > 1:
        problems.insert(0, f"{len(problems)} result files cannot be scored:")
    if problems:
        raise UserError("\n".join(problems))
    return runs


def _common(benchmark: Benchmark, runs: Mapping) -> tuple[list[Sequence], dict[str, str]]:
    """The sequences that all trackers have results of, and why the others are left out."""
    lacking = {
        s.name: [name for name in runs if not runs[name][s.name]] for s in benchmark.sequences
    }
    kept = [s for s in benchmark.sequences if not lacking[s.name]]
    if not kept:
        raise UserError(f"no sequence of {benchmark.name} has results of all of {', '.join(runs)}")
    return kept, {name: f"{LACKING}{', '.join(who)}" for name, who in lacking.items() if who}


def _cut(sequences: list[Sequence], runs: Mapping) -> tuple[list[Sequence], dict]:
    """Sequences and runs without the frames at the end that any tracker has no row for."""
    cut, kept = [], {tracker: dict(own) for tracker, own in runs.items()}
    for sequence in sequences:
        missing = max(run.missing for own in runs.values() for run in own[sequence.name])
        count = len(sequence) - missing
        if missing:
            for own in kept.values():
                own[sequence.name] = [run.first(count) for run in own[sequence.name]]
        cut.append(sequence.first(count) if missing else sequence)
    return cut, kept


def _check_sizes(benchmark: Benchmark, sequences: list[Sequence]) -> None:
    """Raises UserError where a measure needs the images' size and nothing tells it."""
    lacking = [s.name for s in sequences if s.image_size is None and not s.has_images]
    if lacking and benchmark.dataset.measures in _SIZED:
        raise UserError(
            f"{benchmark.name}: 'width' and 'height' of {counted(len(lacking), 'sequence')} are not"
            f" known (the first: {lacking[0]}); the annotation file lacks these keys and the images"
            f" are not there; add the keys, or a file <sequence>/sequence with width=, height="
        )


def _add_speed(scores: Scores, kept: list[Sequence], runs: Mapping, times) -> None:
    """Frames per second, from the files of times, else from what toolkits wrote beside results."""
    scores.figures = {**scores.figures, **SPEED}
    for tracker, row in scores.trackers.items():
        timed = times / tracker if isinstance(times, Path) else (times or {}).get(tracker)
        if timed is not None:
            row.update(_speed(_time_files(timed, {s.name for s in kept})))
            continue
        own = [run.seconds[1:] for s in kept for run in runs[tracker][s.name]]
        known = [np.nan_to_num(one) for one in own if len(one)]
        total = sum(float(one.sum()) for one in known)
        if total > 0:
            row["fps"] = sum(int((one > 0).sum()) for one in known) / total


def _time_files(folder: Path, names: set[str]) -> list[Path]:
    """The files of times of sequences, one per repetition or anchor."""
    paths = sorted(folder.glob("*.txt"))
    return [p for p in paths if {p.stem, re.sub(r"_\d{3,}$", "", p.stem)} & names]


def _speed(paths: list[Path]) -> dict[str, float]:
    """Frames per second over all timed frames but each run's first; empty without any, NaN
    where tracking is no work."""
    # two columns per frame: seconds of reading, seconds of tracking
    tables = [table for path in paths if len(table := read_table(path, (2,))) > 1]
    if not tables:
        return {}
    # frames in which a supervised run pauses take no time and are not counted
    timed = np.concatenate([table[1:, 1] for table in tables])
    timed = timed[timed > 0]
    if not timed.size or np.median(timed) < _NO_WORK:
        return dict.fromkeys(SPEED, np.nan)
    reading, tracking = np.sum([table[1:].sum(0) for table in tables], 0)
    seconds = float(tracking), float(tracking + reading)
    return {name: len(timed) / value for name, value in zip(SPEED, seconds, strict=True)}
