"""How firmly trackers hold their targets: many one-pass runs of a few clips, and what they lose.

Single means are fragile: the same tracker on the same frames, encoded again, may lose a target that
it held. So each target is followed plain and mirrored, from several frames on, and encoded again
(`siamjax.studies.views`), and what the runs say is taken together
(`siamjax.measures.robustness`). No network is trained.
"""

import argparse
import dataclasses
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np

from siamjax.datasets import registry
from siamjax.datasets.registry import Benchmark
from siamjax.datasets.results import Store
from siamjax.datasets.sequence import Sequence
from siamjax.errors import UserError
from siamjax.evaluation import runner, trackers
from siamjax.evaluation.specs import Spec
from siamjax.files import write_whole
from siamjax.measures import ope, robustness
from siamjax.measures.robustness import Counts
from siamjax.studies import displaced, robustness_page
from siamjax.studies.given import targets
from siamjax.studies.views import FULL, QUICK, View, views
from siamjax.tracking.session import Tracker


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is to be run.

    Attributes:
        chosen: the tracker, and the one it is compared with, if any.
        targets: the clips.
        views: of each clip.
        every: frames between two displaced searches.
        batch, workers: see `siamjax.evaluation.trackers.run`.
    """

    chosen: list[Spec]
    targets: tuple[Sequence, ...]
    views: tuple[View, ...]
    every: int
    batch: int
    workers: int


def plan(args: argparse.Namespace) -> Plan:
    """The trackers and clips that the flags name.

    Raises:
        UserError: no such tracker or folder; two clips of one name.
    """
    chosen = trackers.select(None, [args.tracker, *([args.against] if args.against else [])])
    clips = targets("--data", args.data)
    if args.batch < 0 or args.workers < 0:
        raise UserError("--batch and --workers: give 0 or more")
    return Plan(
        chosen=chosen,
        targets=tuple(clips),
        views=FULL if args.full else QUICK,
        every=displaced.EVERY if args.full else displaced.EVERY_QUICK,
        batch=args.batch,
        workers=0 if args.batch else args.workers,
    )


def run(workdir: str | Path, plan: Plan) -> dict[str, Any]:
    """Follows all views of all targets, searches displaced, writes figures, table and picture.

    What is done is skipped, so a second call resumes where the first one stopped, with --full too.
    Writes to `workdir`: results/ (the runs), displaced/, `robustness.json`, `table.md`,
    `robustness.png`.

    Returns:
        What robustness.json holds.

    Raises:
        TrackersFailed: a tracker failed on a clip; all others were run.
        UserError: results of another tracker under the same name.
    """
    workdir = Path(workdir)
    of_target = {target.name: dict(views(target, plan.views)) for target in plan.targets}
    dataset = dataclasses.replace(
        registry.get("OTB100"), name="robustness", protocol="ope", results="flat", measures="ope"
    )
    clips = tuple(clip for each in of_target.values() for clip in each.values())
    whole = Benchmark(dataset, clips, len(clips), {})
    _, failed = trackers.run(whole, workdir, plan.chosen, workers=plan.workers, batch=plan.batch)
    if failed:
        raise runner.TrackersFailed(failed)
    store = Store(workdir / "results", dataset)
    found: dict[str, Any] = {}
    runs: dict[str, list[list[Counts]]] = {}
    for spec in plan.chosen:
        rows = {}
        runs[spec.name] = []
        search = _searcher(workdir, spec, plan)
        for target in plan.targets:
            counts, pairs, first = _runs(store, spec.name, target, of_target[target.name])
            runs[spec.name].append(counts)
            figures = {"first_auc": first, **robustness.figures(counts, pairs)}
            known = {name: v if np.isfinite(v) else None for name, v in figures.items()}
            rows[target.name] = {**known, "displaced": search(target)}
        found[spec.name] = {"mean": robustness_page.means(rows), "targets": rows}
    result = {
        "finished": True,
        "full": plan.views == FULL,
        "views": [view.name for view in plan.views],
        "frames": sum(map(len, clips)),
        "displaced_every": plan.every,
        "trackers": found,
        "identities": {spec.name: spec.identity for spec in plan.chosen},
    }
    if len(plan.chosen) == 2:
        ours, theirs = (runs[spec.name] for spec in plan.chosen)
        result["difference"] = robustness.gains(ours, theirs)
    write_whole(workdir / "robustness.json", json.dumps(result, indent=1) + "\n")
    write_whole(workdir / "table.md", robustness_page.table(result))
    robustness_page.draw(workdir / "robustness.png", result)
    return result


def _runs(store: Store, name: str, target: Sequence, clips: dict[View, Sequence]) -> tuple:
    """Counts of a tracker's runs, shifts of its pairs of runs, and the success AUC of the first."""
    regions = {view: store.read(name, clip)[0].regions for view, clip in clips.items()}
    counts = []
    for view, clip in clips.items():
        auc = ope.summary(ope.of_run(clip, regions[view]))["success_auc"]
        counts.append(robustness.counts(clip.boxes, regions[view], auc))
    width = float(target.size[0])
    pairs = [
        robustness.shift(clip.boxes, regions[view], regions[view._replace(mirrored=True)], width)
        for view, clip in clips.items()
        if not view.mirrored
    ]
    return counts, pairs, counts[0].auc


def _searcher(workdir: Path, spec: Spec, plan: Plan) -> Callable[[Sequence], float | None]:
    """The displaced search of one tracker, a share of each target; None of other programs."""
    make = functools.cache(lambda: cast(Tracker, spec.make()))

    def search(target: Sequence) -> float | None:
        if spec.checkpoint is None:
            return None
        path = workdir / "displaced" / spec.name / f"{target.name}_{plan.every}.json"
        key = f"{spec.identity} {plan.every} {len(target)}"
        return displaced.kept(path, key, lambda: displaced.share_found(make(), target, plan.every))

    return search
