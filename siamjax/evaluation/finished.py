"""Finished evaluations: what was scored stands beside the results, so that they can be scored again
and shown together."""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from siamjax.datasets import registry, result_folders
from siamjax.datasets.registry import Benchmark
from siamjax.datasets.result_folders import Found
from siamjax.errors import UserError
from siamjax.evaluation import runner, scoring
from siamjax.evaluation.scoring import Scores
from siamjax.files import folder_name, write_whole

FILE = "evaluation.json"


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is scored, by which rules; fields as the flags of `siamjax eval`."""

    dataset: str
    data_root: str | None = None
    sequences: tuple[str, ...] | None = None
    limit: int | None = None
    protocol: str | None = None
    measures: str | None = None
    length: str = "pad"
    convention: str = ""

    def benchmark(self, images: bool = False) -> Benchmark:
        """The sequences.

        Args:
            images: whether sequences without images are left out.

        Raises:
            UserError: as `siamjax.datasets.registry.load`.
        """
        loaded = registry.load(self.dataset, self.data_root, self.sequences, self.limit, images)
        if self.protocol is not None:
            loaded = runner.with_protocol(loaded, self.protocol)
        return runner.with_toolkit_measures(loaded) if self.measures is not None else loaded


@dataclasses.dataclass(frozen=True)
class Finished:
    """The results of an evaluation.

    Attributes:
        plan: what they are of.
        results: folder or archive of the trackers' result files.
        times: folder of their times; None: there is none.
        name: tells two evaluations of one data set from each other.
    """

    plan: Plan
    results: Path
    times: Path | None
    name: str


def record(out: Path, plan: Plan, results: Path) -> None:
    """Writes evaluation.json: the plan, and where the result files lie.

    Args:
        out: folder of the evaluation.
        results: of the result files, below `out` or elsewhere.
    """
    root = plan.data_root and str(Path(plan.data_root).resolve())
    place = results.relative_to(out) if results.is_relative_to(out) else results.resolve()
    tree = {"results": str(place), **dataclasses.asdict(dataclasses.replace(plan, data_root=root))}
    write_whole(out / FILE, json.dumps(tree, indent=1) + "\n")


def read(text: str, data_root: str | None = None) -> Finished:
    """An evaluation by its folder, or `DATASET=FOLDER` for result files from elsewhere.

    Args:
        data_root: of the benchmark, in place of what the evaluation was given.

    Raises:
        UserError: no such folder, or nothing in it says what was evaluated.
    """
    folder = Path(text)
    dataset, equals, place = text.partition("=")
    if equals and not folder.exists():
        return Finished(Plan(dataset, data_root), Path(place), None, Path(place).name)
    if not folder.is_dir():
        raise UserError(f"{text}: no such folder; give that of an evaluation, or DATASET=FOLDER")
    if not any(folder.iterdir()):
        raise UserError(f"{folder}: empty; give the --out of siamjax eval, or DATASET=FOLDER")
    path = folder / FILE
    try:
        tree: dict[str, Any] = dict(json.loads(path.read_text()))
        results = folder / tree.pop("results")
        plan = Plan(**tree | {"sequences": tree["sequences"] and tuple(tree["sequences"])})
    except FileNotFoundError:
        raise UserError(
            f"{folder}: no {FILE} says of which data set; give DATASET={results_of(folder)}"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"{path}: not as siamjax eval writes it ({error}); give DATASET={results_of(folder)}"
        ) from None
    plan = dataclasses.replace(plan, data_root=data_root or plan.data_root)
    times = folder / "times"
    return Finished(plan, results, times if times.is_dir() else None, folder_name(folder))


def results_of(folder: Path) -> Path:
    """Where an evaluation's folder has its result files."""
    inner = folder / "results"
    return inner if inner.is_dir() else folder


@dataclasses.dataclass(frozen=True, eq=False)
class Scored:
    """Evaluations of one data set by the same rules, scored together.

    Attributes:
        results: tracker -> folder of its result files.
        found: keeps what archives held.
    """

    scores: Scores
    benchmark: Benchmark
    results: dict[str, Path]
    found: tuple[Found, ...]


def score_all(evaluations: Iterable[Finished]) -> dict[str, Scored]:
    """Scores evaluations, those of one data set by the same rules together.

    A tracker's name that two of them have gets the evaluation's name behind it.

    Returns:
        By a name for each: the data set's where it is the only one of it, else with the protocol,
        and a number where that is not enough.

    Raises:
        UserError: as `siamjax.evaluation.scoring.score`; two evaluations of one name have a tracker
            in common.
    """
    groups: dict[Plan, list[Finished]] = {}
    for evaluation in evaluations:
        plan = dataclasses.replace(evaluation.plan, data_root=None)
        groups.setdefault(plan, []).append(evaluation)
    scored = [_score(together) for together in groups.values()]
    _note_others(list(groups.items()), scored)
    names = [one.benchmark.name for one in scored]
    full = [f"{one.benchmark.name}-{one.benchmark.protocol}" for one in scored]
    found: dict[str, Scored] = {}
    for place, (one, name, longer) in enumerate(zip(scored, names, full, strict=True), 1):
        unique = name if names.count(name) == 1 else longer
        found[unique if full.count(longer) == 1 else f"{longer}-{place}"] = one
    return found


def _note_others(groups: Sequence[tuple[Plan, list[Finished]]], scored: Sequence[Scored]) -> None:
    """Names in each table the evaluations that differ from its own in their sequences alone."""
    rules = [dataclasses.replace(plan, sequences=None, limit=None) for plan, _ in groups]
    for i, one in enumerate(scored):
        for j, (_, evaluations) in enumerate(groups):
            if i != j and rules[i] == rules[j]:
                count = len(scored[j].benchmark.sequences)
                one.scores.beside += [f"{each.name} ({count})" for each in evaluations]


def _score(together: Sequence[Finished]) -> Scored:
    plan = together[0].plan
    benchmark = plan.benchmark()
    places = (evaluation.results for evaluation in together)
    found = [result_folders.find(p, benchmark.dataset, benchmark.sequences) for p in places]
    counts: dict[str, int] = {}
    for one in found:
        for name in one.trackers:
            counts[name] = counts.get(name, 0) + 1
    trackers: dict[str, tuple[Path, ...]] = {}
    times: dict[str, Path] = {}
    for evaluation, one in zip(together, found, strict=True):
        for name, folders in one.trackers.items():
            full = name if counts[name] == 1 else f"{name} ({evaluation.name})"
            if full in trackers:
                raise UserError(
                    f"two evaluations called {evaluation.name} have results of {name};"
                    " leave one out or rename its folder"
                )
            trackers[full] = folders
            if evaluation.times is not None:
                times[full] = evaluation.times / name
    scores = scoring.score(benchmark, trackers, times, plan.length, plan.convention)
    scores.without = [name for one in found for name in one.without]
    return Scored(scores, benchmark, {t: own[0] for t, own in trackers.items()}, tuple(found))
